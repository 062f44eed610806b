"""The files of tool pinning: `tools.json`, what operators approved, and the lists of tools that guards saw."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from did_agent.adapters.keystore import write_private
from did_agent.encoding.strict_json import MAX_DEPTH, parse_json
from did_agent.errors import BadJOSE, InvalidParameter, Misconfigured, TooLarge
from did_agent.keys.public import SigningKey
from did_agent.tokens.profiles import TOOL_PINS
from did_agent.tokens.tool_pins import ToolPins, sign_pins, verify_pins

FILE: Final = "tools.json"
SEEN: Final = "seen-tools"  # folder of the lists that guards saw
MAX_LISTING: Final = 1_048_576  # bytes of a list of tools
_ENVELOPE: Final = 1_024  # bytes around the signed text


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The tools of one server as somebody saw them; nothing of it is approved by that."""

    resource: str | None  # whose they are, where the list says it
    tools: Sequence[Mapping[str, object]]


def load_pins(path: Path, *, operators: Iterable[str]) -> ToolPins | None:
    """Return what operators approved; None without the file.

    Raises: Misconfigured when it cannot be read; what `verify_pins` raises.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror}") from error
    return verify_pins(_signed(raw), operators=frozenset(operators))


def save_pins(path: Path, pins: ToolPins, *, key: SigningKey) -> None:
    """Write pins that `key` signs, at once and durably, and only if they can be read again.

    Raises: Malformed leaves when a definition is beyond what can be read, Misconfigured.
    """
    text = sign_pins(pins, key=key)
    again = verify_pins(text, operators=frozenset({pins.by}))
    if again.servers.keys() != pins.servers.keys():
        raise BadJOSE("the pins do not read as they were written")
    try:
        write_private(path, json.dumps({"pins": text}).encode() + b"\n")
    except OSError as error:
        raise Misconfigured(f"cannot write {path}: {error.strerror}") from error


def load_listing(raw: bytes) -> Listing:
    """Return a saved list of tools: the result of `tools/list`, its whole answer, or an array of tools.

    Raises: Malformed leaves.
    """
    content: Any = parse_json(raw, max_bytes=MAX_LISTING, max_depth=MAX_DEPTH)
    if isinstance(content, dict) and isinstance(content.get("result"), dict):
        content = content["result"]
    members: Mapping[str, Any] = content if isinstance(content, dict) else {"tools": content}
    if members.get("nextCursor") is not None:
        raise InvalidParameter("the list goes on: save all of its pages as one")
    resource = members.get("resource")
    return Listing(resource=resource if isinstance(resource, str) else None, tools=tools_of(members.get("tools")))


def tools_of(value: object) -> Sequence[Mapping[str, object]]:
    """Return the tools of a list.

    Raises: InvalidParameter.
    """
    tools: list[Any] = value if isinstance(value, list) else [None]
    if not all(isinstance(tool, dict) and isinstance(tool.get("name"), str) for tool in tools):
        raise InvalidParameter("this is no list of tools, each with its name")
    names = [tool["name"] for tool in tools]
    if len(set(names)) != len(names):
        raise InvalidParameter("two tools have the same name")
    return cast("Sequence[Mapping[str, object]]", tools)


def save_listing(path: Path, listing: Listing) -> None:
    """Write down the tools of a server as they were seen.

    Raises: OSError.
    """
    members = {"resource": listing.resource, "tools": list(listing.tools)}
    write_private(path, json.dumps(members, ensure_ascii=False, indent=1).encode())


def _signed(raw: bytes) -> str:
    if len(raw) > TOOL_PINS.max_bytes + _ENVELOPE:
        raise TooLarge(f"pins of more than {TOOL_PINS.max_bytes} bytes")
    try:
        # The envelope alone: one string, longer than any string inside a document may be.
        content: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadJOSE("the pins are not JSON") from error
    text = content.get("pins") if isinstance(content, dict) else None
    if not isinstance(text, str):
        raise BadJOSE("there are no pins in the file")
    return text
