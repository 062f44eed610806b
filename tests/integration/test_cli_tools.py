"""`did-agent tool …` and `did-agent verify` of tool receipts, as an operator types them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from did_agent.adapters.keystore import load_key
from did_agent.adapters.tool_pins import FILE, Listing, load_pins, save_listing
from did_agent.adapters.trust import load_trust
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.tool_receipt import MEMBER, ToolReceipt, result_digest, sign_tool_receipt
from tests.fakes.machine import Machine, refused

SERVER = "https://mcp.example/mcp"
GREET: dict[str, Any] = {"name": "greet", "description": "Greet.\nKindly.", "inputSchema": {"type": "object"}}
PAY: dict[str, Any] = {"name": "pay", "description": "Pay.", "inputSchema": {}, "annotations": {"readOnlyHint": True}}
POISONED = {**GREET, "description": "Greet.\u200b\nKindly. \u202e"}
WHERE = ("--resource", SERVER)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def listed(machine: Machine, *tools: dict[str, Any], name: str = "tools-list.json") -> tuple[str, ...]:
    return ("--from", machine.file({"tools": list(tools)}, name), *WHERE)


def rows(machine: Machine, *arguments: str) -> dict[str, dict[str, Any]]:
    shown = machine.run("tool", "list", *arguments, "--json")
    assert shown.exit_code == 0, shown.output
    return {row["name"]: row for row in json.loads(shown.stdout)["tools"]}


def test_tools_are_shown_in_full_approved_and_signed(machine: Machine) -> None:
    shown = machine.run("tool", "approve", *listed(machine, GREET, PAY), "--reads", "greet", stdin=b"y\n")
    assert shown.exit_code == 0, shown.output
    for line in ("greet (new)", "    | Greet.", "    | Kindly.", '    |   "type": "object"', "(version 1)"):
        assert line in shown.stdout
    assert "the server says that it only reads" in shown.stdout
    found = rows(machine)
    assert {name: (row["state"], row["reads"]) for name, row in found.items()} == {
        "greet": ("approved", True),
        "pay": ("approved", False),
    }
    operator = did_key(load_key(machine.data / "keys" / "operator.jwk").public)
    assert {row["by"] for row in found.values()} == {operator}
    pins = load_pins(machine.data / FILE, operators=[operator])
    assert pins is not None
    assert (pins.version, pins.by) == (1, operator)
    assert "greet" in machine.run("tool", "list").stdout


def test_without_a_yes_nothing_is_approved(machine: Machine) -> None:
    for answer in (b"n\n", b""):
        assert machine.run("tool", "approve", *listed(machine, GREET), stdin=answer).exit_code == 1
    assert not (machine.data / FILE).exists()
    assert machine.run("tool", "list").stdout == "nothing is approved\n"
    assert machine.run("tool", "approve", *listed(machine, GREET), "--yes").exit_code == 0


@pytest.mark.req("LLM-06")
def test_a_difference_is_shown_to_the_last_character(machine: Machine) -> None:
    machine.run("tool", "approve", *listed(machine, GREET, PAY), "--yes")
    same = machine.run("tool", "diff", *listed(machine, GREET, PAY))
    assert (same.exit_code, same.stdout) == (0, "all tools are as they were approved\n")
    shown = machine.run("tool", "diff", *listed(machine, POISONED, {"name": "new"}))
    assert shown.exit_code == 1
    for line in (
        "greet (changed)",
        "    -Greet.",
        "    +Greet.⟨U+200B⟩",
        "    +Kindly. ⟨U+202E⟩",
        "RIGHT-TO-LEFT OVERRIDE",
        "new (new)",
        "pay (gone)",
        "does not list it any more",
    ):
        assert line in shown.stdout
    assert "\u200b" not in shown.stdout
    assert "\u202e" not in shown.stdout
    told = json.loads(machine.run("tool", "diff", "greet", *listed(machine, POISONED), "--json").stdout)
    assert told["tools"][0]["changed"] == {
        "description": {"approved": GREET["description"], "now": POISONED["description"]}
    }
    assert machine.run("tool", "diff", "pay", *listed(machine, POISONED, PAY)).exit_code == 0


def test_only_what_is_named_is_approved_and_what_was_stays(machine: Machine) -> None:
    machine.run("tool", "approve", *listed(machine, GREET), "--reads", "greet", "--yes")
    shown = machine.run("tool", "approve", "pay", *listed(machine, POISONED, PAY), "--yes", "--json")
    assert json.loads(shown.stdout) == {"resource": SERVER, "version": 2, "approved": ["pay"]}
    found = rows(machine, *listed(machine, POISONED, PAY))
    assert {name: (row["state"], row["reads"]) for name, row in found.items()} == {
        "greet": ("changed", True),
        "pay": ("approved", False),
    }
    machine.run("tool", "approve", "greet", *listed(machine, POISONED, PAY), "--yes")
    assert not rows(machine)["greet"]["reads"]  # it is another tool now: whether that one reads, nobody said
    nothing = machine.run("tool", "approve", *listed(machine, POISONED, PAY), "--yes")
    assert nothing.stdout == "there is nothing to approve\n"
    machine.run("tool", "approve", *listed(machine, POISONED, PAY), "--reads", "pay", "--yes")
    assert rows(machine)["pay"]["reads"]
    refused(machine.run("tool", "approve", "nobody", *listed(machine, PAY), "--yes"), 1, "there is no tool nobody")


def test_an_approval_is_taken_back(machine: Machine) -> None:
    refused(machine.run("tool", "revoke", "greet"), 1, "no tool was ever approved")
    machine.run("tool", "approve", *listed(machine, GREET, PAY), "--yes")
    refused(machine.run("tool", "revoke", "nobody"), 1, "nobody is not approved")
    assert machine.run("tool", "revoke", "greet").exit_code == 0
    assert list(rows(machine)) == ["pay"]


def test_what_guards_saw_is_looked_at_without_asking_anybody(machine: Machine) -> None:
    refused(machine.run("tool", "approve", "--yes"), 1, "say --from")
    seen = machine.data / "seen-tools"
    save_listing(seen / "guard.json", Listing(resource=SERVER, tools=[GREET]))
    assert rows(machine)["greet"]["state"] == "new"
    assert machine.run("tool", "approve", "--yes").exit_code == 0
    assert rows(machine)["greet"]["state"] == "approved"
    save_listing(seen / "other.json", Listing(resource="https://other.example/mcp", tools=[PAY]))
    refused(machine.run("tool", "diff"), 1, "several servers were seen")
    assert machine.run("tool", "diff", *WHERE).exit_code == 0
    assert set(rows(machine)) == {"greet", "pay"}


def test_tools_of_nobody_are_not_approved(machine: Machine) -> None:
    file = machine.file([GREET], "tools.json")
    refused(machine.run("tool", "approve", "--from", file, "--yes"), 1, "say --resource")
    refused(machine.run("tool", "approve", "--from", machine.file("no JSON"), *WHERE, "--yes"), 1)
    refused(machine.run("tool", "approve", "--from", str(machine.folder / "none"), *WHERE, "--yes"), 1)
    refused(machine.run("tool", "approve", "--from", "http://127.0.0.1:1/mcp", "--yes"), 3, "cannot be reached")


@pytest.mark.req("LLM-06")
def test_pins_that_do_not_hold_are_no_ground_to_build_on(machine: Machine) -> None:
    machine.run("tool", "approve", *listed(machine, GREET), "--yes")
    (machine.data / FILE).write_text("{}")
    refused(machine.run("tool", "list"), 1, "there are no pins in the file")
    refused(machine.run("tool", "approve", *listed(machine, PAY), "--yes"), 1)


@pytest.mark.req("LLM-06")
def test_who_is_no_operator_cannot_approve(machine: Machine) -> None:
    trust = json.loads((machine.data / "trust.json").read_text())
    machine.file({**trust, "operators": []}, "data/trust.json")
    refused(machine.run("tool", "approve", *listed(machine, GREET), "--yes"), 1)
    assert not (machine.data / FILE).exists()


# ---- receipts

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
AT = ("--now", "2026-11-23T10:00:00Z")
RESULT: dict[str, Any] = {"content": [{"type": "text", "text": "Hello" * 20_000}]}
STRANGER = SigningKey.from_seed(b"\x07" * 32)
CLIENT = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"


def receipt(machine: Machine, *, key: SigningKey | None = None) -> str:
    own = key or load_key(machine.data / "keys" / "urban-bites.jwk")
    written = ToolReceipt(
        id="urn:uuid:1",
        issuer=did_key(own.public),
        audience=CLIENT,
        issued_at=NOW,
        principal="smith",
        principal_kind="user",
        principal_namespace="https://bridge.example",
        actors=(CLIENT,),
        resource=SERVER,
        tool="greet",
        argument_digest="sha-256:a",
        result_digest=result_digest(RESULT),
        is_error=False,
        decision="allow",
        policy="intersection/1",
        request_id="r-1",
        evidence=None,
    )
    return sign_tool_receipt(written, key=own)


def test_a_receipt_tells_who_called_what_and_is_held_against_the_result(machine: Machine) -> None:
    file = machine.file(receipt(machine), "receipt.jwt")
    shown = machine.run("verify", file, *AT)
    assert shown.exit_code == 0, shown.output
    for told in ("user smith", SERVER, "greet", "intersection/1", "r-1", "not compared: say --result"):
        assert told in shown.stdout
    with_receipt = {**RESULT, "_meta": {MEMBER: receipt(machine)}}
    for result in (RESULT, with_receipt, {"jsonrpc": "2.0", "id": 1, "result": with_receipt}):
        shown = machine.run("verify", file, *AT, "--result", machine.file(result, "r.json"), "--audience", CLIENT)
        assert shown.exit_code == 0, shown.output
        assert "is the one that was signed for" in shown.stdout


@pytest.mark.parametrize(
    ("result", "code"),
    [
        ('{"content": []}', "related_resource_mismatch"),
        ('{"content": 12345678901234567890}', "bad_encoding"),
    ],
)
def test_another_result_is_refused(machine: Machine, result: str, code: str) -> None:
    file = machine.file(receipt(machine), "receipt.jwt")
    shown = machine.run("verify", file, *AT, "--result", machine.file(result, "r.json"), "--json")
    assert shown.exit_code == 1
    found = json.loads(shown.stdout)
    assert found["verified"] is False
    assert code in [step.get("code") for step in found["steps"][0]["steps"]]


@pytest.mark.parametrize("result", ["", "[]", '{"jsonrpc": "2.0", "error": {}}', '{"a": 1, "a": 2}', " " * 1_048_577])
def test_a_file_without_a_result_is_refused(machine: Machine, result: str) -> None:
    file = machine.file(receipt(machine), "receipt.jwt")
    refused(machine.run("verify", file, *AT, "--result", machine.file(result, "r.json")), 1)


def test_a_receipt_of_a_stranger_is_refused_until_he_is_named(machine: Machine) -> None:
    file = machine.file(receipt(machine, key=STRANGER), "receipt.jwt")
    shown = machine.run("verify", file, *AT, "--json")
    assert shown.exit_code == 1
    assert json.loads(shown.stdout)["steps"][0]["code"] == "issuer_not_trusted"
    assert did_key(STRANGER.public) not in load_trust(machine.data / "trust.json").parties
    assert machine.run("verify", file, *AT, "--signer", did_key(STRANGER.public)).exit_code == 0
    wrong = machine.run("verify", file, *AT, "--signer", did_key(STRANGER.public), "--audience", "x")
    assert wrong.exit_code == 1
