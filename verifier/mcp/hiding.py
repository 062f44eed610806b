"""A hidden tool answers as one that does not exist, in the server's own bytes: it is asked for a name nobody has."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from did_agent.encoding.strict_json import MAX_BODY, parse_object
from verifier.mcp.operation import PARAMETER

_NOBODY = "~"  # no tool's name is made of it alone
_PARAMETER = PARAMETER.encode()  # begins the headers that repeat an argument

_Headers = Sequence[tuple[bytes, bytes]]
_Reveal = Callable[[bytes, str], bytes]


def disguised(body: bytes, headers: _Headers) -> tuple[bytes, list[tuple[bytes, bytes]], _Reveal]:
    """Return a `tools/call` of a tool that does not exist, its headers, and what gives the answer the asked name back.

    The arguments stay behind: nothing of a refused call reaches the server.
    """
    message: dict[str, Any] = dict(parse_object(body, max_bytes=MAX_BODY))
    parameters = dict(message["params"])
    name = str(parameters["name"])
    alias = _NOBODY * max(8, len(name))
    message["params"] = {**parameters, "name": alias, "arguments": {}}
    changed = json.dumps(message, ensure_ascii=False).encode()
    said, asked = json.dumps(alias)[1:-1].encode(), json.dumps(name, ensure_ascii=False)[1:-1].encode()

    def reveal(answer: bytes, _media_type: str) -> bytes:
        return answer.replace(said, asked)

    kept = [pair for pair in headers if not pair[0].lower().startswith(_PARAMETER)]
    return changed, [_renamed(pair, alias, len(changed)) for pair in kept], reveal


def _renamed(pair: tuple[bytes, bytes], alias: str, length: int) -> tuple[bytes, bytes]:
    name = pair[0].lower()
    if name == b"mcp-name":
        return pair[0], alias.encode()
    if name == b"content-length":
        return pair[0], str(length).encode()
    return pair
