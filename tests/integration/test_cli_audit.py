"""`did-agent audit` without a ledger: the table, the export, and the check of an export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from did_agent.adapters.keystore import load_key
from did_agent.audit.checkpoint import Checkpoint, sign_checkpoint
from did_agent.audit.event import AuditEvent
from did_agent.audit.export import export_checkpoint, export_row
from did_agent.audit.merkle import Frontier, leaf_hash
from did_agent.client.issuer import IssuerClient
from did_agent.client.ledger import LedgerClient
from did_agent.clock import system_clock
from did_agent.did.key import did_key
from did_agent.errors import PeerUnavailable
from did_agent.keys.ed25519 import SigningKey
from tests.fakes.machine import SERVER, Machine, refused

DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
STRANGER = SigningKey.from_seed(b"\x09" * 32)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def log(machine: Machine, key: SigningKey, rows: int = 3) -> bytes:
    frontier, lines = Frontier(), []
    for number in range(1, rows + 1):
        event = AuditEvent(
            id=f"urn:uuid:00000000-0000-4000-8000-{number:012}",
            time=system_clock().replace(microsecond=0),
            source=DID,
            party="verifier",
            principal="smith",
            principal_kind="user",
            actors=(DID,),
            client_id=DID,
            action="tool.call",
            target="list_menu",
            resource=SERVER,
            argument_digest=None,
            decision="allow",
            reason="allowed",
            explanation="allowed",
            policy=None,
            credential_ids=(),
            token_id=None,
            evidence=None,
            request_id=None,
            details={},
        )
        frontier.append(leaf_hash(event.canonical()))
        lines.append(export_row(number, event))
        note = sign_checkpoint(Checkpoint(origin="127.0.0.1:8402", size=number, root=frontier.root()), key)
        lines.append(export_checkpoint(note))
    return b"".join(lines)


@pytest.mark.req("AUD-03")
def test_a_log_is_checked_offline_and_every_change_is_named(machine: Machine) -> None:
    good = log(machine, load_key(machine.data / "keys" / "ledger.jwk"))
    shown = machine.run("audit", "verify", machine.file(good))
    assert shown.stdout == "ok: 3 rows, 3 signed checkpoints, nothing changed or out of order up to the last\n"
    assert json.loads(machine.run("audit", "verify", machine.file(good), "--json").stdout)["rows"] == 3
    lines = good.splitlines(keepends=True)
    for spoiled, row in (
        (good.replace(b"list_menu", b"list_menv", 1), "row 1 "),
        (b"".join(lines[:2] + lines[4:]), "row 2 "),
        (b"".join(lines[2:4] + lines[:2] + lines[4:]), "row 1 "),
        (b"".join(lines[:-1]), "row 3"),
        (b"", "row 1"),
    ):
        refused(machine.run("audit", "verify", machine.file(spoiled)), 1, f"did-agent: {row}", "hint: ")


@pytest.mark.req("AUD-03", "WEB-02")
def test_the_view_of_one_organisation_is_checked_when_it_is_said_to_be_one(machine: Machine) -> None:
    lines = log(machine, load_key(machine.data / "keys" / "ledger.jwk")).splitlines(keepends=True)
    row = json.loads(lines[0])
    view = machine.file(b"".join([json.dumps({"seq": 1, "leaf": row["leaf"]}).encode() + b"\n", *lines[1:]]))
    refused(machine.run("audit", "verify", view), 1, "did-agent: row 1 ")
    shown = machine.run("audit", "verify", view, "--partial")
    assert shown.stdout.startswith("ok: 3 rows (1 of others by their hash alone), 3 signed checkpoints")
    assert json.loads(machine.run("audit", "verify", view, "--partial", "--json").stdout)["withheld"] == 1


@pytest.mark.req("AUD-03")
def test_the_ledgers_key_comes_from_trust_or_from_the_option(machine: Machine) -> None:
    foreign = machine.file(log(machine, STRANGER))
    refused(machine.run("audit", "verify", foreign), 1)
    assert machine.run("audit", "verify", foreign, "--key", did_key(STRANGER.public)).exit_code == 0
    refused(machine.run("audit", "verify", foreign, "--key", "did:key:nonsense"), 1)
    (machine.data / "trust.json").unlink()
    refused(machine.run("audit", "verify", foreign), 1, "say --key")
    other_log = ("--key", did_key(STRANGER.public), "--origin", "another.example")
    refused(machine.run("audit", "verify", foreign, *other_log), 1)


def with_rows(monkeypatch: pytest.MonkeyPatch, agents: list[dict[str, Any]] | None) -> None:
    event = {
        "time": "2026-11-23T10:00:01.250Z",
        "principal": "smith",
        "actors": [DID],
        "action": "tool.call",
        "target": "list_menu",
        "resource": SERVER,
        "decision": "allow",
        "reason": "allowed",
        "explanation": "allowed",
    }

    async def events(_self: LedgerClient, **question: str) -> list[dict[str, Any]]:
        assert question == {"limit": "20", "newest": "true", "decision": "allow"}
        return [{"seq": 1, "leaf": "x", "event": event}]

    async def names(_self: IssuerClient, **_filters: str) -> list[dict[str, Any]]:
        if agents is None:
            raise PeerUnavailable("the issuer is away")
        return agents

    monkeypatch.setattr(LedgerClient, "events", events)
    monkeypatch.setattr(IssuerClient, "agents", names)


def test_the_log_names_agents_while_the_issuer_is_there(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    with_rows(monkeypatch, [{"did": DID, "name": "stock-agent"}, {"did": None, "name": "pending-agent"}])
    shown = machine.run("audit", "tail", "--decision", "allow")
    assert shown.stdout.splitlines()[1].split("  ")[2] == "stock-agent"


def test_the_log_is_shown_without_names_when_the_issuer_is_away(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_rows(monkeypatch, None)
    shown = machine.run("audit", "tail", "--decision", "allow")
    assert shown.exit_code == 0
    assert "stock-agent" not in shown.stdout
    assert "did:key:z6Mk" in shown.stdout
    assert json.loads(machine.run("audit", "tail", "--decision", "allow", "--json").stdout)["events"][0]["seq"] == 1


def test_an_export_that_cannot_be_written_is_one_error(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    async def export(_self: LedgerClient) -> Any:
        yield b"line\n"

    monkeypatch.setattr(LedgerClient, "export", export)
    refused(machine.run("audit", "export", machine.file("x", "plain") + "/audit.jsonl"), 1, "plain: File exists")
    written = machine.folder / "audit.jsonl"
    assert machine.run("audit", "export", str(written)).stdout == f"wrote {written} (5 bytes)\n"
