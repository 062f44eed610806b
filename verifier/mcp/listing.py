"""`tools/list` shows a caller what it may call, in JSON and in event streams; a convenience, not the enforcement."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from did_agent.encoding.strict_json import parse_json
from did_agent.errors import DidAgentError
from verifier.mcp.events import lines_of

MAX_LISTING: Final = 1_048_576  # bytes of one answer

IsVisible = Callable[[Mapping[str, Any]], bool]  # by the whole definition: what it says may have changed


def filter_listing(body: bytes, *, media_type: str, is_visible: IsVisible) -> bytes:
    """Return the answer to `tools/list` without the tools that `is_visible` refuses, and marked private."""
    if media_type == "text/event-stream":
        # By every end of line that a client knows, and without the mark that it drops: nothing may slip by.
        lines = lines_of(body.removeprefix(codecs.BOM_UTF8))
        return b"".join(_filter_line(line, is_visible) for line in lines)
    return _filter_message(body, is_visible)


def is_listing(message: object) -> bool:
    """Tell whether a JSON-RPC message, or a batch with one in it, lists tools."""
    if isinstance(message, list):
        return any(is_listing(one) for one in message)
    result = message.get("result") if isinstance(message, dict) else None
    return isinstance(result, dict) and "tools" in result


def _filter_line(line: bytes, is_visible: IsVisible) -> bytes:
    if not line.startswith(b"data:"):
        return line
    end = line[len(line.rstrip(b"\r\n")) :]
    return b"data: " + _filter_message(line[5:].strip(), is_visible) + end


def _filter_message(raw: bytes, is_visible: IsVisible) -> bytes:
    if not raw:
        return raw
    try:
        message: Any = parse_json(raw, max_bytes=MAX_LISTING, wide_integers=True)
    except DidAgentError:
        return b'{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"the list of tools could not be read"}}'
    for one in message if isinstance(message, list) else [message]:
        _filter_result(one.get("result") if isinstance(one, dict) else None, is_visible)
    return json.dumps(message, ensure_ascii=False).encode()


def _filter_result(result: Any, is_visible: IsVisible) -> None:
    tools = result.get("tools") if isinstance(result, dict) else None
    if isinstance(tools, list):
        result["tools"] = _visible(tools, is_visible)
        if "cacheScope" in result:
            result["cacheScope"] = "private"  # or a shared cache would show one caller's list to another


def _visible(tools: Sequence[object], is_visible: IsVisible) -> list[object]:
    return [tool for tool in tools if isinstance(tool, dict) and is_visible(tool)]
