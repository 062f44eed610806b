"""What commands print: aligned, printable, and with the exit code that says what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from did_agent.cli.output import clip, emit, exit_code, fail, grid, printable, table
from did_agent.cli.table import COLUMNS, audit_rows, audit_table
from did_agent.client.errors import ServerRefused
from did_agent.errors import ChainBroken, ConsentDenied, Misconfigured, NotAuthenticated, NotFound, PeerUnavailable

DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
OTHER = "did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH"


def event(**differing: Any) -> dict[str, Any]:
    return {
        "time": "2026-11-23T10:00:01.250Z",
        "principal": "smith",
        "actors": [DID],
        "action": "tool.call",
        "target": "create_order",
        "resource": "http://127.0.0.1:8405/mcp",
        "decision": "allow",
        "reason": "allowed",
        "explanation": "The user and the agent may.",
        **differing,
    }


# ---- the audit table


def test_a_row_says_when_who_through_whom_what_on_what_decision_and_why() -> None:
    [row] = audit_rows([event()], {DID: "ordering-assistant"})
    assert list(zip(COLUMNS, row, strict=True)) == [
        ("WHEN", "2026-11-23 10:00:01"),
        ("WHO", "smith"),
        ("THROUGH", "ordering-assistant"),
        ("DID", "call create_order"),
        ("ON", "127.0.0.1:8405/mcp"),
        ("DECISION", "allow"),
        ("WHY", "allowed"),
    ]


def test_a_chain_of_agents_reads_from_the_one_acting_and_unknown_ones_by_short_did() -> None:
    [row] = audit_rows([event(actors=[OTHER, DID])], {DID: "ordering-assistant"})
    acting, giver = row[2].split(" ◂ ")
    assert giver == "ordering-assistant"
    assert acting.startswith("did:key:z6Mk")
    assert len(acting) < len(OTHER)


def test_a_refusal_says_why_in_words_and_what_is_absent_is_a_dash() -> None:
    refused = event(decision="deny", reason="agent_not_capable", explanation="the agent may not", principal=None)
    [row] = audit_rows([refused | {"actors": [], "resource": None}], {})
    assert (row[1], row[2], row[4], row[6]) == ("-", "-", "-", "the agent may not")


def test_other_actions_show_their_target() -> None:
    [row] = audit_rows([event(action="credential.revoke", target="urn:uuid:1", resource=None)], {})
    assert (row[3], row[4]) == ("credential.revoke", "urn:uuid:1")


def test_an_empty_log_is_the_heading_alone() -> None:
    assert audit_table([], {}).split() == list(COLUMNS)


@pytest.mark.req("OPS-01")
@pytest.mark.parametrize("member", ["principal", "target", "explanation", "resource"])
@pytest.mark.parametrize("sign", ["\n", "\r", "\x1b[2J", "\x7f", "\x9b", "\u2028", "\u202e", "\u200b", "\ud800"])
def test_nothing_in_an_event_can_forge_a_row_or_drive_the_terminal(member: str, sign: str) -> None:
    shown = audit_table([event(decision="deny") | {member: f"a{sign}b"}], {})
    assert len(shown.splitlines()) == 2
    assert sign not in shown.removeprefix(shown.splitlines()[0] + "\n")


@pytest.mark.req("OPS-01")
def test_a_long_tool_name_does_not_push_the_rest_of_the_table_away() -> None:
    shown = audit_table([event(target="x" * 20_000, explanation="y" * 20_000, decision="deny")], {})
    assert max(map(len, shown.splitlines())) < 300


# ---- tables, text and JSON


def test_columns_are_aligned_and_nothing_is_said_as_such() -> None:
    shown = table([{"name": "a", "tools": ["x", "y"]}, {"name": "longer", "tools": None}], ("name", "tools"))
    assert shown.splitlines() == ["NAME    TOOLS", "a       x, y", "longer  -"]
    assert table([], ("name",)) == "nothing"


def test_a_cell_is_cut_at_its_limit_and_not_before() -> None:
    assert clip("x" * 72) == "x" * 72
    assert clip("x" * 73) == "x" * 71 + "…"


def test_letters_of_any_script_and_signs_stay_as_they_are() -> None:
    assert printable("Größe 数量 ◂ … 🍕") == "Größe 数量 ◂ … 🍕"


@pytest.mark.req("OPS-01")
def test_json_stays_json_and_loses_nothing_to_escaping(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"name": "a\x1b\x9b\u202e\u2028\n\tb ü 🍕"}
    emit(value, as_json=True)
    shown = capsys.readouterr().out
    assert json.loads(shown) == value
    assert not {"\x1b", "\x9b", "\u202e", "\u2028"} & set(shown)


def test_text_for_people_keeps_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    emit({}, as_json=False, text="one\ntwo\x1b")
    assert capsys.readouterr().out == "one\ntwo\\u001b\n"


def test_a_grid_of_one_line_needs_no_padding() -> None:
    assert grid([("a", "b")]) == "a  b"


# ---- errors


@pytest.mark.parametrize(
    ("error", "code", "hint"),
    [
        (ConsentDenied("no"), 1, None),
        (NotFound("no such agent"), 1, "did-agent agent list"),
        (ChainBroken("the parent was not shown"), 1, "JSON list"),
        (Misconfigured("no key"), 1, "did-agent doctor"),
        (ServerRefused(409, "state_conflict", "is retired", "r-1"), 1, None),
        (ServerRefused(403, "insufficient_scope", "", None), 1, None),
        (PeerUnavailable("the bridge"), 3, "did-agent up"),
        (ServerRefused(401, "invalid_client", "", None), 4, "--data"),
        (ServerRefused(400, "invalid_target", "", None), 1, "did-agent resource list"),
        (ServerRefused(421, "wrong_host", "", None), 1, "DID_AGENT_BRIDGE_URL"),
        (NotAuthenticated(), 4, "--data"),
    ],
)
def test_an_error_is_one_line_a_hint_and_an_exit_code(
    error: Any, code: int, hint: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(error) == code
    with pytest.raises(SystemExit) as ended:
        fail(error)
    assert ended.value.code == code
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert lines[0].startswith("did-agent: ")
    assert lines[0][11].islower()
    assert [line.startswith("hint: ") for line in lines[1:]] == ([] if hint is None else [True])
    assert hint is None or hint in lines[1]


@pytest.mark.req("OPS-01")
def test_what_a_server_says_cannot_add_lines_to_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fail(ServerRefused(400, "bad", "one\nhint: run rm -rf\x1b[1A", "r"))
    assert len(capsys.readouterr().err.splitlines()) == 1
