"""`tools/list` shows a caller what it may call, in JSON and in event streams; a convenience, not the enforcement."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from did_agent.encoding.strict_json import parse_json
from did_agent.errors import DidAgentError

MAX_LISTING: Final = 1_048_576  # bytes of one answer

IsVisible = Callable[[Mapping[str, Any]], bool]  # by the whole definition: what it says may have changed


def filter_listing(body: bytes, *, media_type: str, is_visible: IsVisible) -> bytes:
    """Return the answer to `tools/list` without the tools that `is_visible` refuses, and marked private."""
    if media_type == "text/event-stream":
        lines = body.split(b"\n")
        return b"\n".join(_filter_line(line, is_visible) for line in lines)
    return _filter_message(body, is_visible)


def _filter_line(line: bytes, is_visible: IsVisible) -> bytes:
    if not line.startswith(b"data:"):
        return line
    carriage = b"\r" if line.endswith(b"\r") else b""
    return b"data: " + _filter_message(line[5:].strip(), is_visible) + carriage


def _filter_message(raw: bytes, is_visible: IsVisible) -> bytes:
    if not raw:
        return raw
    try:
        message: Any = parse_json(raw, max_bytes=MAX_LISTING)
    except DidAgentError:
        return b'{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"the list of tools could not be read"}}'
    result: Any = message.get("result") if isinstance(message, dict) else None
    tools = result.get("tools") if isinstance(result, dict) else None
    if isinstance(tools, list) and isinstance(result, dict):
        result["tools"] = _visible(tools, is_visible)
        if "cacheScope" in result:
            result["cacheScope"] = "private"  # or a shared cache would show one caller's list to another
    return json.dumps(message, ensure_ascii=False).encode()


def _visible(tools: Sequence[object], is_visible: IsVisible) -> list[object]:
    return [tool for tool in tools if isinstance(tool, dict) and is_visible(tool)]
