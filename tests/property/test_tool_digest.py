"""Laws of a tool's digest: how it is written does not count, what it says does."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from did_agent.cli.visible import is_unseen, visible
from did_agent.did.key import did_key
from did_agent.encoding.strict_json import parse_json
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.tool_pins import PINNED, Pin, ToolPins, digest_of, sign_pins, verify_pins
from tests.fakes.guard_world import NOW

KEY = SigningKey.from_seed(b"p" * 32)
OPERATOR = did_key(KEY.public)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
schemas = st.dictionaries(text, values, max_size=4)
tools = st.fixed_dictionaries(
    {"name": text},
    optional={
        "title": text,
        "description": text,
        "inputSchema": schemas,
        "outputSchema": schemas,
        "annotations": schemas,
    },
)


def shuffled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shuffled(one) for name, one in reversed(value.items())}
    return [shuffled(one) for one in value] if isinstance(value, list) else value


@given(tools, st.dictionaries(st.sampled_from(["icons", "_meta", "execution"]), values))
def test_order_spelling_and_what_nobody_reads_do_not_count(tool: dict[str, Any], others: dict[str, Any]) -> None:
    again = json.loads(json.dumps(shuffled(tool) | others, ensure_ascii=True, indent=3))
    nothing = dict.fromkeys(set(PINNED) - tool.keys())
    assert digest_of(again) == digest_of(tool) == digest_of({**tool, **nothing})


@given(tools, tools)
def test_two_tools_have_one_digest_only_if_they_say_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (digest_of(one) == digest_of(other)) == (shuffled(one) == shuffled(other) and typed(one) == typed(other))


def typed(value: Any) -> Any:
    """Return the value so that true is not 1; numbers are the same however they are written."""
    if isinstance(value, dict):
        return {name: typed(one) for name, one in value.items()}
    return [typed(one) for one in value] if isinstance(value, list) else (isinstance(value, bool), value)


@given(tools, st.sampled_from(["title", "description"]), st.integers(0, 20), st.characters(exclude_categories=["Cs"]))
def test_one_character_more_is_another_tool(tool: dict[str, Any], member: str, at: int, char: str) -> None:
    before = tool.get(member, "")
    assert digest_of({**tool, member: before[:at] + char + before[at:]}) != digest_of(tool)


@given(st.lists(tools, max_size=4, unique_by=lambda tool: tool["name"]), st.booleans())
def test_pins_read_as_they_were_signed(found: list[dict[str, Any]], reads: bool) -> None:
    pins = [Pin(definition=tool, reads=reads, by=OPERATOR, at=NOW) for tool in found]
    signed = ToolPins(version=1, by=OPERATOR, at=NOW, servers={"https://x": {pin.name: pin for pin in pins}})
    again = verify_pins(sign_pins(signed, key=KEY), operators=frozenset({OPERATOR}))
    digests = [pin.digest for pin in again.servers["https://x"].values()]
    assert digests == [pin.digest for pin in pins]
    listed: Any = parse_json(json.dumps(found))
    assert digests == [digest_of(tool) for tool in listed]


@given(st.text(max_size=40))
def test_nothing_invisible_is_printed(line: str) -> None:
    assert not any(is_unseen(char) for char in visible(line))
