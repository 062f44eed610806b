"""Tool pins as signed text and as files: who may approve, what is refused, and what a guard goes by meanwhile."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from did_agent.adapters.tool_pins import FILE, Listing, load_listing, load_pins, save_listing, save_pins
from did_agent.cli.visible import oddities, visible
from did_agent.did.key import did_key, verification_method
from did_agent.errors import BadJOSE, DidAgentError, InvalidParameter, Misconfigured, NotFound
from did_agent.keys.ed25519 import SigningKey
from did_agent.policy.tool_review import approve, chosen, review, revoke
from did_agent.proof.jwt import sign_jwt, unverified_jws
from did_agent.tokens.tool_pins import Pin, ToolPins, definition_of, digest_of, sign_pins, verify_pins
from tests.fakes.guard_world import NOW
from verifier.adapters.pins_file import PinsFile, SeenTools

KEY, OTHER = SigningKey.from_seed(b"p" * 32), SigningKey.from_seed(b"q" * 32)
OPERATOR = did_key(KEY.public)
SERVER = "https://mcp.example/mcp"
GREET: dict[str, Any] = {"name": "greet", "description": "Greet.", "inputSchema": {"type": "object"}, "icons": []}
PAY: dict[str, Any] = {"name": "pay", "inputSchema": {}, "annotations": {"readOnlyHint": True}}


def pinned(*tools: dict[str, Any], version: int = 1, resource: str = SERVER) -> ToolPins:
    found = [Pin(definition=definition_of(tool), reads=False, by=OPERATOR, at=NOW) for tool in tools]
    return ToolPins(version=version, by=OPERATOR, at=NOW, servers={resource: {pin.name: pin for pin in found}})


def test_what_is_pinned_is_what_a_model_reads() -> None:
    assert definition_of(GREET) == {name: GREET[name] for name in ("name", "description", "inputSchema")}
    assert digest_of(GREET) == digest_of({**GREET, "icons": [1], "title": None, "_meta": {}})
    with pytest.raises(InvalidParameter):
        definition_of({"description": "nameless"})


def test_pins_are_believed_from_operators_alone() -> None:
    text = sign_pins(pinned(GREET, PAY), key=KEY)
    assert verify_pins(text, operators=frozenset({OPERATOR})) == pinned(GREET, PAY)
    with pytest.raises(DidAgentError) as refused:
        verify_pins(text, operators=frozenset({did_key(OTHER.public)}))
    assert refused.value.code == "issuer_not_trusted"


def spoiled(*, key: SigningKey = KEY, typ: str = "tool-pins+jwt", **changes: Any) -> str:
    _, claims = unverified_jws(sign_pins(pinned(GREET), key=KEY), max_bytes=1_000_000)
    changed = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return sign_jwt(changed, typ=typ, key=key, kid=verification_method(OPERATOR))


PIN: dict[str, Any] = {"definition": '{"name": "greet"}', "reads": True, "by": OPERATOR, "at": 1}


def servers(*pins: Any) -> list[Any]:
    return [{"resource": SERVER, "tools": list(pins)}]


@pytest.mark.req("LLM-06")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"key": OTHER}, "bad_signature"),
        ({"typ": "at+jwt"}, "wrong_type"),
        ({"iss": "did:key:other"}, "wrong_issuer"),
        ({"version": None}, "bad_jose"),
        ({"version": 0}, "bad_jose"),
        ({"version": True}, "bad_jose"),
        ({"iat": -1}, "bad_jose"),
        ({"servers": {}}, "bad_jose"),
        ({"servers": [1]}, "bad_jose"),
        ({"servers": [{"resource": SERVER}]}, "bad_jose"),
        ({"servers": [{"resource": "", "tools": []}]}, "bad_jose"),
        ({"servers": servers(1)}, "bad_jose"),
        ({"servers": servers(PIN, PIN)}, "bad_jose"),
        ({"servers": servers({**PIN, "reads": 1})}, "bad_jose"),
        ({"servers": servers({**PIN, "definition": {}})}, "bad_jose"),
        ({"servers": servers({**PIN, "definition": "{}"})}, "bad_jose"),
        ({"servers": servers({**PIN, "definition": '{"name": "a", "name": "b"}'})}, "bad_jose"),
        ({"servers": servers({**PIN, "definition": '["name"]'})}, "bad_jose"),
        ({"servers": servers({**PIN, "by": ""})}, "bad_jose"),
        ({"servers": servers({**PIN, "at": "now"})}, "bad_jose"),
    ],
)
def test_pins_that_are_not_as_they_must_be_are_refused(changes: dict[str, Any], code: str) -> None:
    assert verify_pins(spoiled(servers=servers(PIN)), operators=frozenset({OPERATOR})).version == 1
    with pytest.raises(DidAgentError) as refused:
        verify_pins(spoiled(**changes), operators=frozenset({OPERATOR}))
    assert refused.value.code == code


def test_the_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / FILE
    assert load_pins(path, operators=[OPERATOR]) is None
    save_pins(path, pinned(GREET), key=KEY)
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"items": deep}
    with pytest.raises(BadJOSE):
        save_pins(path, pinned({"name": "deep", "inputSchema": deep}), key=KEY)
    assert load_pins(path, operators=[OPERATOR]) == pinned(GREET)
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(Misconfigured):
        save_pins(tmp_path / FILE / "below", pinned(GREET), key=KEY)
    with pytest.raises(Misconfigured):
        load_pins(tmp_path, operators=[OPERATOR])


@pytest.mark.parametrize("raw", ["", "[]", "{}", '{"pins": 1}', "[" * 100_000, " " * 3_000_000])
def test_a_file_without_pins_is_no_file_of_pins(tmp_path: Path, raw: str) -> None:
    (tmp_path / FILE).write_text(raw)
    with pytest.raises(DidAgentError) as refused:
        load_pins(tmp_path / FILE, operators=[OPERATOR])
    assert refused.value.code in ("bad_jose", "limit_exceeded")


def of_guard(folder: Path, *, is_required: bool = False, resource: str = SERVER) -> PinsFile:
    return PinsFile(folder / FILE, operators=[OPERATOR], resource=resource, is_required=is_required, look_every=0)


def names(file: PinsFile) -> list[str] | None:
    approved = file.approved()
    return None if approved is None else sorted(approved)


@pytest.mark.req("LLM-06")
def test_a_guard_goes_by_the_last_approvals_that_held(tmp_path: Path) -> None:
    path, file, required = tmp_path / FILE, of_guard(tmp_path), of_guard(tmp_path, is_required=True)
    assert (names(file), names(required)) == (None, [])
    save_pins(path, pinned(GREET), key=KEY)
    assert names(file) == names(required) == ["greet"]
    save_pins(path, pinned(GREET, PAY, version=2), key=KEY)
    assert names(file) == ["greet", "pay"]
    good = path.read_bytes()
    for bad in (b"", good[:-10], json.dumps({"pins": sign_pins(pinned(version=3), key=OTHER)}).encode()):
        path.write_bytes(bad)
        assert names(file) == ["greet", "pay"]
        assert names(of_guard(tmp_path)) == []
    save_pins(path, pinned(GREET, version=1), key=KEY)
    assert names(file) == ["greet", "pay"]
    path.unlink()
    assert names(file) == ["greet", "pay"]
    save_pins(path, pinned(version=3), key=KEY)
    assert names(file) == []


def test_a_file_is_not_looked_at_many_times_for_one_call(tmp_path: Path) -> None:
    file = PinsFile(tmp_path / FILE, operators=[OPERATOR], resource=SERVER, is_required=False, look_every=60)
    assert names(file) is None
    save_pins(tmp_path / FILE, pinned(GREET), key=KEY)
    assert names(file) is None
    assert names(of_guard(tmp_path)) == ["greet"]


def test_approvals_of_another_server_are_none_here(tmp_path: Path) -> None:
    save_pins(tmp_path / FILE, pinned(GREET, resource="https://other.example/mcp"), key=KEY)
    assert names(of_guard(tmp_path)) is None
    assert names(of_guard(tmp_path, is_required=True)) == []


@pytest.mark.req("LLM-06")
def test_a_server_does_not_stop_being_pinned_because_it_is_left_out(tmp_path: Path) -> None:
    file = of_guard(tmp_path)
    save_pins(tmp_path / FILE, pinned(GREET), key=KEY)
    assert names(file) == ["greet"]
    save_pins(tmp_path / FILE, pinned(GREET, version=2, resource="https://other.example/mcp"), key=KEY)
    assert names(file) == []


def test_a_list_is_read_in_every_form_it_is_saved_in(tmp_path: Path) -> None:
    result = {"tools": [GREET, PAY]}
    for saved in (result, {"jsonrpc": "2.0", "id": 1, "result": result}, [GREET, PAY], {**result, "resource": SERVER}):
        assert load_listing(json.dumps(saved).encode()).tools == [GREET, PAY]
    SeenTools(tmp_path / "seen" / "guard.json", resource=SERVER).keep([GREET])
    seen = load_listing((tmp_path / "seen" / "guard.json").read_bytes())
    assert seen == Listing(resource=SERVER, tools=[GREET])
    SeenTools(tmp_path / "seen" / "guard.json" / "no folder", resource=SERVER).keep([GREET])
    with pytest.raises(OSError, match="guard"):
        save_listing(tmp_path / "seen" / "guard.json" / "no folder", seen)


@pytest.mark.parametrize(
    "saved", [{}, 1, [1], [{"description": "x"}], {"tools": {}}, [GREET, GREET], {"tools": [], "nextCursor": "more"}]
)
def test_what_is_no_whole_list_of_tools_is_refused(saved: object) -> None:
    with pytest.raises(DidAgentError):
        load_listing(json.dumps(saved).encode())


def test_a_review_tells_what_is_new_changed_gone_and_as_approved() -> None:
    before = pinned(GREET, PAY, {"name": "old"})
    now = [GREET, {**PAY, "title": "Pay"}, {"name": "new"}]
    found = review(now, before.servers[SERVER])
    states = {one.name: one.state for one in found}
    assert states == {"greet": "approved", "pay": "changed", "new": "new", "old": "gone"}
    assert [one.name for one in found if one.says_it_reads] == ["pay"]
    assert [one.name for one in chosen(found, ["pay"])] == ["pay"]
    with pytest.raises(NotFound):
        chosen(found, ["nobody"])
    after = approve(before, SERVER, found, reads=["new"], by=OPERATOR, at=NOW)
    assert (after.version, sorted(after.servers[SERVER])) == (2, ["greet", "new", "old", "pay"])
    assert [pin.name for pin in after.servers[SERVER].values() if pin.reads] == ["new"]
    assert {one.state for one in review(now, after.servers[SERVER])} == {"approved", "gone"}
    gone = revoke(after, SERVER, ["old", "greet", "new", "pay"], by=OPERATOR, at=NOW)
    assert gone == replace(after, version=3, servers={SERVER: {}})
    with pytest.raises(NotFound):
        revoke(gone, SERVER, ["old"], by=OPERATOR, at=NOW)


@pytest.mark.req("LLM-06")
@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Greet somebody, please.", "Greet somebody, please."),
        ("ignore\u200bthis", "ignore⟨U+200B⟩this"),
        ("\u202eevil\u202c", "⟨U+202E⟩evil⟨U+202C⟩"),
        ("\x1b[2Jgone\r", "⟨U+001B⟩[2Jgone⟨U+000D⟩"),
        ("p\u0430y", "p⟨U+0430⟩y"),
        ("\u043f\u043b\u0430\u0442\u0438\u0442\u044c", "\u043f\u043b\u0430\u0442\u0438\u0442\u044c"),
        ("two  ", "two⟨U+0020⟩⟨U+0020⟩"),
        ("no\u00a0break", "no⟨U+00A0⟩break"),
        ("tag\U000e0041", "tag⟨U+E0041⟩"),
        ("\u3164hidden\ufe0f", "⟨U+3164⟩hidden⟨U+FE0F⟩"),
        ("caf\u00e9", "caf\u00e9"),
    ],
)
def test_nothing_hides_from_who_approves(line: str, shown: str) -> None:
    assert visible(line) == shown


def test_what_the_look_does_not_tell_is_told() -> None:
    assert oddities("Greet\nsomebody, caf\u00e9.") == []
    assert oddities("a\u200b") == ["invisible or control characters: U+200B ZERO WIDTH SPACE"]
    assert "CYRILLIC, LATIN" in oddities("pay \u0440\u0430\u0443")[0]
    assert "put together" in oddities("cafe\u0301")[0]
