"""`protect`: an ASGI wrapper that admits, decides and records before an MCP server sees anything.

Outermost and framework-free.  It understands every wire of Streamable HTTP by reading the body, and lets answers
stream through untouched, apart from the list of tools.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from did_agent.adapters.peer_certificate import HEADERS, peer_certificate
from did_agent.encoding.strict_json import MAX_BODY
from did_agent.errors import DidAgentError, TooLarge, Unavailable
from did_agent.policy.caller import Principal, VerifiedCaller
from did_agent.policy.decide import is_visible
from did_agent.policy.evidence import Strictness
from verifier.composition import GuardParts, compose
from verifier.http import read_credential
from verifier.mcp.answers import (
    Answer,
    ResourceMetadata,
    denied,
    method_denied,
    nothing_here,
    refused,
    session_unknown,
)
from verifier.mcp.caller import enter, leave
from verifier.mcp.listing import MAX_LISTING, filter_listing
from verifier.mcp.operation import Operation, parse_operation
from verifier.model import Admission

Scope = MutableMapping[str, Any]

# Who a session belongs to: the person and every agent in between, however the rights of the next token differ.
_Owner = tuple[Principal, tuple[str, ...], str]

MAX_SESSIONS: Final = 10_000  # sessions of the older wires whose owner is remembered; the oldest goes first
_FOR_US: Final = (b"authorization", b"dpop", *HEADERS)
_READING: Final = ("GET", "HEAD", "OPTIONS")  # methods that call no tool
_SINGLE: Final = (b"mcp-method", b"mcp-name", b"mcp-protocol-version", b"mcp-session-id", b"content-type")


def protect(  # each is one thing a deployment may have to say
    app: Any,
    *,
    resource: str,
    bridge: str,
    trusted_issuers: Sequence[str] | None = None,
    ledger: str | None = None,
    data: Path | str | None = None,
    name: str | None = None,
    scopes: Sequence[str] = (),
    strict_delegation: Strictness | None = None,
) -> Any:
    """Return `app` behind the guard for `resource`, believing tokens of `bridge`.

    `resource` and `bridge` are exact identifiers without trailing slash.  With `trusted_issuers` (DIDs) presentations
    are accepted too; with `ledger` events are delivered there.  With `strict_delegation` "agents" or "full" a token
    counts only as far as the signed credentials behind it.  What is None comes from `DID_AGENT_*` settings.
    Raises: Misconfigured.
    """
    parts = compose(
        resource=resource,
        bridge=bridge,
        trusted_issuers=trusted_issuers,
        ledger=ledger,
        data=data,
        strict_delegation=strict_delegation,
    )
    metadata = ResourceMetadata(
        resource=resource, bridge=bridge, name=name, scopes=scopes, certificates=bool(parts.proxies.networks)
    )
    return Guard(app, parts, metadata)


class Guard:
    """The wrapper itself; `protect` makes it."""

    def __init__(self, app: Any, parts: GuardParts, metadata: ResourceMetadata) -> None:
        self._app, self._parts, self._metadata = app, parts, metadata
        parts_of = urlsplit(metadata.resource)
        self._path, self._origin = parts_of.path or "/", f"{parts_of.scheme}://{parts_of.netloc}"
        self._sessions: OrderedDict[str, _Owner] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            async with self._parts.running():
                await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._parts.ensure_running()
            await self._http(scope, receive, send)
        # Any other kind of connection is not MCP and is dropped.

    async def _http(self, scope: Scope, receive: Any, send: Any) -> None:
        request_id = str(uuid.uuid4())
        if scope["path"] in self._metadata.paths and scope["method"] in ("GET", "HEAD"):
            await _answer(send, self._metadata.answer(), request_id)
            return
        try:
            admission = await self._admit(scope, request_id)
            body = await _read(receive) if scope["method"] == "POST" else b""
            answer, operation = await self._judge(scope, body, admission, request_id)
        except DidAgentError as error:
            await _answer(send, refused(error, self._metadata, request_id=request_id), request_id)
            return
        if answer is not None:
            await _answer(send, answer, request_id)
            return
        await self._pass_on(scope, receive, send, body=body, admission=admission, operation=operation)

    async def _admit(self, scope: Scope, request_id: str) -> Admission:
        verifier = self._parts.verifier
        try:
            certificate = peer_certificate(scope, self._parts.proxies)
            shown = read_credential(
                scope["headers"],
                scope.get("query_string", b""),
                method=scope["method"],
                url=self._origin + scope["path"],
                certificate=None if certificate is None else certificate.der,
            )
            return await verifier.admit(shown)
        except DidAgentError as error:
            try:
                await verifier.refuse(error, action="resource.access", request_id=request_id)
            except Unavailable as unrecorded:
                raise unrecorded from error
            raise

    async def _judge(
        self, scope: Scope, body: bytes, admission: Admission, request_id: str
    ) -> tuple[Answer | None, Operation | None]:
        headers = _single_headers(scope)
        session = headers.get("mcp-session-id")
        if session is not None and self._sessions.get(session) != _owner(admission.caller):
            return session_unknown(), None
        if scope["path"] != self._path and scope["method"] not in _READING:
            # An app may answer to more names than its own (`/mcp/`, `//mcp`): what is not judged is not passed on.
            await self._parts.verifier.record(
                admission,
                action="resource.access",
                allowed=False,
                reason="not_found",
                explanation=f"{scope['method'][:20]} of another path than that of the resource",
                request_id=request_id,
            )
            return nothing_here(), None
        if scope["method"] != "POST":
            return None, None
        operation = parse_operation(body, headers)
        if operation.tool is not None:
            decision = await self._parts.verifier.decide(
                admission, tool=operation.tool, arguments=operation.arguments, request_id=request_id
            )
            answer = None if decision.allowed else denied(decision, operation, self._metadata)
            return answer, operation
        if operation.is_open:
            return None, operation
        await self._parts.verifier.record(
            admission,
            action="mcp.method",
            allowed=False,
            reason="method_not_allowed",
            explanation=f"no capability speaks of {str(operation.method)[:100]}",
            request_id=request_id,
        )
        return method_denied(operation), operation

    async def _pass_on(  # the three ASGI arguments and what was found out
        self, scope: Scope, receive: Any, send: Any, *, body: bytes, admission: Admission, operation: Operation | None
    ) -> None:
        # The credential was for us; what stands behind must not be able to use or leak it (DEL-13).
        listing = operation is not None and operation.method == "tools/list"
        left_out = (*_FOR_US, b"accept-encoding") if listing else _FOR_US  # a compressed list could not be filtered
        inner = {**scope, "headers": [pair for pair in scope["headers"] if pair[0].lower() not in left_out]}
        if scope["method"] == "POST":
            receive = _replay(body, receive)
        sender = _Listing(send, self._visible_to(admission)) if listing else send
        token = enter(admission.caller)
        try:
            await self._app(inner, receive, self._remember_session(sender, admission.caller))
        finally:
            leave(token)

    def _visible_to(self, admission: Admission) -> Any:
        return lambda tool: is_visible(admission.caller, resource=self._metadata.resource, tool=tool)

    def _remember_session(self, send: Any, caller: VerifiedCaller) -> Any:
        async def remembering(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                for name, value in message.get("headers", []):
                    if name.lower() == b"mcp-session-id":
                        self._sessions[value.decode("latin-1")] = _owner(caller)
                        while len(self._sessions) > MAX_SESSIONS:
                            self._sessions.popitem(last=False)
            await send(message)

        return remembering


class _Listing:
    """Collects the answer to `tools/list`, filters it, and sends it on."""

    def __init__(self, send: Any, is_visible: Any) -> None:
        self._send, self._is_visible = send, is_visible
        self._start: MutableMapping[str, Any] | None = None
        self._body = bytearray()

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if len(self._body) > MAX_LISTING:
            raise TooLarge("the list of tools is too long to be filtered")
        if message.get("more_body", False) or self._start is None:
            return
        headers = [pair for pair in self._start.get("headers", []) if pair[0].lower() != b"content-length"]
        types = [value for name, value in headers if name.lower() == b"content-type"]
        media_type = types[0].decode("latin-1").split(";")[0].strip() if types else ""
        filtered = filter_listing(bytes(self._body), media_type=media_type, is_visible=self._is_visible)
        headers.append((b"content-length", str(len(filtered)).encode()))
        await self._send({**self._start, "headers": headers})
        await self._send({"type": "http.response.body", "body": filtered})


def _owner(caller: VerifiedCaller) -> _Owner:
    return caller.principal, caller.actors, caller.client_id


def _single_headers(scope: Scope) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name.lower() in _SINGLE:
            if name.decode("latin-1").lower() in found:
                raise TooLarge(f"more than one {name.decode('latin-1')} header")
            found[name.decode("latin-1").lower()] = value.decode("latin-1")
    return found


async def _read(receive: Any) -> bytes:
    received = bytearray()
    while True:
        message = await receive()
        received += message.get("body", b"")
        if len(received) > MAX_BODY:
            raise TooLarge(f"a body of more than {MAX_BODY} bytes")
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return bytes(received)


def _replay(body: bytes, receive: Any) -> Any:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Any:
        return waiting.pop() if waiting else await receive()

    return replayed


async def _answer(send: Any, answer: Answer, request_id: str) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers += [(b"www-authenticate", challenge.encode("latin-1")) for challenge in answer.challenges]
    headers += [(b"content-length", str(len(answer.body)).encode()), (b"x-request-id", request_id.encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
