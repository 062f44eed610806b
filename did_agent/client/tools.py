"""The list of a server's tools, word for word, by the newest wire of MCP or an older one.

The tools are what the server sent: no library in between completes, drops or reorders anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx2

from did_agent.adapters.tool_pins import MAX_LISTING, tools_of
from did_agent.encoding.strict_json import parse_json
from did_agent.errors import Malformed, NotAuthenticated, PeerUnavailable

NEWEST: Final = "2026-07-28"
OLDER: Final = "2025-06-18"  # asked for in `initialize`; a server answers with the version it speaks
MAX_PAGES: Final = 32  # of one list
_META: Final = "io.modelcontextprotocol/"
_ACCEPT: Final = "application/json, text/event-stream"
_CLIENT: Final = {"name": "did-agent", "version": "1"}


async def list_tools(http: httpx2.AsyncClient, url: str) -> Sequence[Mapping[str, object]]:
    """Return every tool that the server at `url` lists for whoever `http` is.

    Raises: PeerUnavailable, NotAuthenticated when it wants another credential.
    """
    try:
        found = await _pages(http, url, _Newest())
        if found is None:
            found = await _of_older(http, url)
    except httpx2.HTTPError as error:
        raise PeerUnavailable(f"{url} cannot be reached: {type(error).__name__}") from error
    if found is None:
        raise PeerUnavailable(f"{url} does not list its tools")
    return found


class _Newest:
    """The wire without sessions: every request says everything."""

    def headers(self, method: str) -> dict[str, str]:
        """Return the headers of one request."""
        return {"Accept": _ACCEPT, "MCP-Protocol-Version": NEWEST, "Mcp-Method": method}

    def parameters(self) -> dict[str, object]:
        """Return the parameters of one request."""
        meta = {f"{_META}protocolVersion": NEWEST, f"{_META}clientCapabilities": {}, f"{_META}clientInfo": _CLIENT}
        return {"_meta": meta}


class _Older:
    """The wires that begin with `initialize`."""

    def __init__(self, version: str, session: str | None) -> None:
        self._headers = {"Accept": _ACCEPT, "MCP-Protocol-Version": version}
        self.has_session = session is not None
        if session is not None:
            self._headers["Mcp-Session-Id"] = session

    def headers(self, _method: str) -> dict[str, str]:
        """Return the headers of one request."""
        return self._headers

    def parameters(self) -> dict[str, object]:
        """Return the parameters of one request."""
        return {}


async def _of_older(http: httpx2.AsyncClient, url: str) -> Sequence[Mapping[str, object]] | None:
    wire = await _initialize(http, url)
    try:
        return await _pages(http, url, wire)
    finally:
        if wire.has_session:
            await http.delete(url, headers=wire.headers(""))


async def _pages(http: httpx2.AsyncClient, url: str, wire: _Newest | _Older) -> Sequence[Mapping[str, object]] | None:
    """Return all pages of the list; None when the server does not answer on this wire."""
    tools: list[Any] = []
    cursor: object = None
    for number in range(1, MAX_PAGES + 1):
        parameters = wire.parameters() | ({} if cursor is None else {"cursor": cursor})
        message = {"jsonrpc": "2.0", "id": number, "method": "tools/list", "params": parameters}
        response = await http.post(url, json=message, headers=wire.headers("tools/list"))
        result = answer_to(number, response)
        if result is None:
            return None
        tools += _tools(result)
        cursor = result.get("nextCursor")
        if cursor is None:
            return _listed(tools)
    raise PeerUnavailable(f"{url} lists its tools on more than {MAX_PAGES} pages")


def _listed(tools: list[Any]) -> Sequence[Mapping[str, object]]:
    try:
        return tools_of(tools)
    except Malformed as error:
        raise PeerUnavailable(f"the list of tools cannot be read: {error.detail}") from error


def _tools(result: Mapping[str, Any]) -> list[Any]:
    tools = result.get("tools")
    if not isinstance(tools, list):
        raise PeerUnavailable("the answer holds no list of tools")
    return tools


async def _initialize(http: httpx2.AsyncClient, url: str) -> _Older:
    parameters = {"protocolVersion": OLDER, "capabilities": {}, "clientInfo": _CLIENT}
    message = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": parameters}
    response = await http.post(url, json=message, headers={"Accept": _ACCEPT})
    result = answer_to(0, response)
    if result is None:
        raise PeerUnavailable(f"{url} answered {response.status_code} and is no MCP server that can be asked")
    wire = _Older(str(result.get("protocolVersion", OLDER)), response.headers.get("mcp-session-id"))
    done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    await http.post(url, json=done, headers=wire.headers("notifications/initialized"))
    return wire


def answer_to(identifier: int, response: httpx2.Response) -> Mapping[str, Any] | None:
    """Return the result that an HTTP answer holds, be it JSON or an event stream; None when it holds none.

    Raises: PeerUnavailable when it is too long, or no JSON; NotAuthenticated.
    """
    if response.status_code in (httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN):
        raise NotAuthenticated(f"{response.url} wants a credential that it accepts")
    if not response.is_success:
        return None
    for raw in _messages(response):
        try:
            message = parse_json(raw, max_bytes=MAX_LISTING, wide_integers=True)
        except Malformed as error:
            raise PeerUnavailable(f"the list of tools cannot be read: {error.code}") from error
        if isinstance(message, dict) and message.get("id") == identifier:
            result = message.get("result")
            return result if isinstance(result, dict) else None
    return None


def _messages(response: httpx2.Response) -> Sequence[bytes]:
    media_type = response.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "text/event-stream":
        return [response.content]
    lines = response.content.splitlines()
    return [line[5:].strip() for line in lines if line.startswith(b"data:") and line[5:].strip()]
