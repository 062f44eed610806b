"""Commands that need no server, as transcripts: what is printed where, and the exit code."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import Result

from did_agent.agent import Agent
from did_agent.audit.checkpoint import Checkpoint, sign_checkpoint
from did_agent.audit.event import AuditEvent
from did_agent.audit.export import export_checkpoint, export_row
from did_agent.audit.merkle import Frontier, leaf_hash
from did_agent.cli import main as entry
from did_agent.cli.deployment import Deployment
from did_agent.client.issuer import IssuerClient
from did_agent.client.ledger import LedgerClient
from did_agent.clock import system_clock
from did_agent.did.key import did_key
from did_agent.errors import PeerUnavailable
from did_agent.keys.ed25519 import SigningKey
from tests.fakes.machine import SERVER, Machine, granted, identified

DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
STRANGER = SigningKey.from_seed(b"\x09" * 32)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def refused(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr
    if code != 2:
        assert result.stderr.startswith("did-agent: ")


# ---- init and options


def test_init_says_who_the_operator_is_and_changes_nothing_the_second_time(machine: Machine) -> None:
    first, second = machine.run("init"), machine.run("init", "--json")
    did = json.loads(second.stdout)["operator"]
    assert first.stdout == f"{machine.data} is ready; operator {did}\n"
    assert (first.stderr, first.exit_code, second.exit_code) == ("", 0, 0)


@pytest.mark.req("KEY-01")
def test_a_new_data_folder_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o000)
    try:
        made = Machine(tmp_path / "a" / "b").data
    finally:
        os.umask(before)
    assert oct(made.stat().st_mode & 0o777) == "0o700"
    assert {oct(path.stat().st_mode & 0o777) for path in made.glob("keys/*")} == {"0o600"}


def test_a_data_folder_that_cannot_be_made_is_one_error(machine: Machine) -> None:
    below = Path(machine.file("x", "plain")) / "data"
    refused(machine.run("--data", str(below), "init"), 1, "cannot make", "Not a directory")


@pytest.mark.parametrize(
    "arguments",
    [
        ("surprise",),
        ("agent", "create", "x"),
        ("agent", "list", "--state", "dead"),
        ("cred", "revoke", "--reason", "x"),
        ("cred", "revoke", "urn:uuid:1", "--agent", "x", "--reason", "x"),
        ("resource", "add", SERVER, "--name", "x", "--tool", "no-words"),
        ("resource", "add", SERVER, "--name", "x", "--tool", "=words"),
        ("user", "add", "jo", "--name", "Jo", "--password", "x", "--allow", "nothing"),
        ("up", "--port", "0"),
        ("up", "--port", "65531"),
        ("audit", "verify", "/nowhere/audit.jsonl"),
        ("verify", "/nowhere/credential.json"),
    ],
)
def test_wrong_usage_ends_with_2_and_prints_no_data(machine: Machine, arguments: tuple[str, ...]) -> None:
    refused(machine.run(*arguments), 2, "Usage: ", "Error: ")


def test_every_command_explains_itself(machine: Machine) -> None:
    def walk(command: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        below = getattr(command, "commands", {})
        return [path, *(leaf for name, child in below.items() for leaf in walk(child, (*path, name)))]

    every = walk(entry.cli, ())
    assert len(every) > 30
    for path in every:
        shown = machine.run(*path, "--help")
        assert shown.exit_code == 0
        assert shown.stdout.startswith("Usage: ")


def test_every_command_that_prints_data_has_json() -> None:
    servers = {"bridge", "issuer", "ledger", "urban-bites"}
    lacking = [
        name
        for group in (entry.cli, *(one for one in entry.cli.commands.values() if hasattr(one, "commands")))
        for name, command in group.commands.items()
        if not hasattr(command, "commands")
        and name not in servers
        and "--json" not in [flag for option in command.params for flag in option.opts]
    ]
    assert lacking == []


# ---- verify


@pytest.mark.parametrize("command", [("verify",), ("cred", "verify")])
def test_a_trusted_credential_is_verified(machine: Machine, command: tuple[str, ...]) -> None:
    held = granted(machine.issuer, DID)
    shown = machine.run(*command, machine.file(held))
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[0] == "verified (revocation was not looked up)"
    assert f"credential:  {held['id']}" in shown.stdout
    assert json.loads(machine.run(*command, machine.file(held), "--json").stdout) == {
        "credential": held["id"],
        "issuer": held["issuer"],
        "subject": DID,
        "until": held["validUntil"],
    }


@pytest.mark.req("VCX-05")
def test_credentials_of_a_stranger_are_refused(machine: Machine) -> None:
    refused(machine.run("verify", machine.file(granted(STRANGER, DID))), 1, "trust list", "hint: trust.json")
    refused(machine.run("verify", machine.file(identified(STRANGER, DID))), 1, "trust list")


@pytest.mark.req("VCX-11")
def test_credentials_past_their_end_are_refused(machine: Machine) -> None:
    begun = system_clock() - timedelta(hours=1)
    refused(machine.run("verify", machine.file(granted(machine.issuer, DID, start=begun))), 1, "ended")
    refused(machine.run("verify", machine.file(identified(machine.issuer, DID, start=begun))), 1, "ended")


@pytest.mark.req("VCX-04")
def test_an_identity_credential_is_verified_and_a_spoiled_one_refused(machine: Machine) -> None:
    held = identified(machine.issuer, DID)
    shown = machine.run("verify", machine.file(held), "--json")
    assert json.loads(shown.stdout)["name"] == "stock-agent"
    held["credentialSubject"]["sponsor"] = "Somebody else"
    refused(machine.run("verify", machine.file(held)), 1, "signature")


def delegated(machine: Machine, issuer: SigningKey) -> tuple[Agent, Agent, list[Any]]:
    giver = Agent.create("giver", path=machine.folder / "wallet")
    taker = Agent.create("taker", path=machine.folder / "wallet")
    giver.add_credential(granted(issuer, giver.did))
    return giver, taker, giver.delegate(taker.did, resource=SERVER, tools={"list_menu": {}})


@pytest.mark.req("VCX-05", "DEL-04")
def test_a_delegated_credential_is_verified_with_its_chain_and_refused_without(machine: Machine) -> None:
    giver, taker, chain = delegated(machine, machine.issuer)
    shown = json.loads(machine.run("verify", machine.file(chain), "--json").stdout)
    assert (shown["subject"], shown["principal"]) == (taker.did, giver.did)
    assert shown["chain"] == [document["id"] for document in chain]
    refused(machine.run("verify", machine.file(chain[0])), 1, "was not shown", "hint: a delegated credential")
    refused(machine.run("verify", machine.file([chain[1], chain[0]])), 1)


@pytest.mark.req("VCX-05")
def test_a_chain_that_starts_at_a_stranger_is_refused(machine: Machine) -> None:
    _, _, chain = delegated(machine, STRANGER)
    refused(machine.run("verify", machine.file(chain)), 1, "trust list")


@pytest.mark.parametrize("form", ["json", "jwt"])
def test_a_presentation_is_verified_for_its_audience_alone(machine: Machine, form: str) -> None:
    agent = Agent.create("shower", path=machine.folder / "wallet")
    agent.add_credential(granted(machine.issuer, agent.did))
    shown: Any = agent.present_jwt(SERVER) if form == "jwt" else agent.present(SERVER, challenge="c", resource=SERVER)
    file = machine.file(shown)
    answer = machine.run("verify", file, "--audience", SERVER, "--json")
    assert json.loads(answer.stdout)["holder"] == agent.did
    refused(machine.run("verify", file, "--audience", SERVER + "/"), 1, "hint: --audience")
    refused(machine.run("verify", file), 2, "--audience")


@pytest.mark.req("TOK-05")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"hello",
        b"a.b.c",
        b"a.b",
        b"{",
        b"{}",
        b"[]",
        b"[1]",
        b"[{}]",
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b"[" * 100 + b"]" * 100,
        b'"text"',
        b"x" * 300_000,
        b'{"a":"' + b"x" * 300_000 + b'"}',
        b'{"type":["VerifiablePresentation"]}',
        b'{"type":["VerifiableCredential","AgentIdentityCredential"]}',
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(machine: Machine, content: bytes) -> None:
    file = machine.file(content)
    verified = machine.run("verify", file, "--audience", SERVER)
    refused(verified, 1)
    assert len([line for line in verified.stderr.splitlines() if not line.startswith("hint: ")]) == 1
    refused(machine.run("token", "inspect", file), 1)
    refused(machine.run("audit", "verify", file), 1)


# ---- tokens


def test_a_token_is_shown_and_said_to_be_unverified(machine: Machine) -> None:
    agent = Agent.create("shower", path=machine.folder / "wallet")
    agent.add_credential(granted(machine.issuer, agent.did))
    token = agent.present_jwt(SERVER)
    shown = machine.run("token", "inspect", "-", stdin=token.encode() + b"\n")
    assert shown.stdout.startswith("not verified:\n")
    assert json.loads(machine.run("token", "inspect", machine.file(token), "--json").stdout)["claims"]["aud"] == SERVER


def test_an_agent_without_a_key_here_gets_no_token(machine: Machine) -> None:
    refused(machine.run("token", "get", "nobody", "--resource", SERVER), 1, "no key for nobody", "hint: ")


def test_the_wallet_of_the_environment_is_the_one_commands_use(machine: Machine) -> None:
    own = machine.folder / "own"
    Agent.create("mine", path=own)
    asked = ("token", "get", "mine", "--resource", SERVER)
    refused(machine.run(*asked), 1, "no key for mine")
    refused(machine.run(*asked, env={"DID_AGENT_WALLET": str(own)}), 1, "no credential in force")


# ---- the log


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
    from did_agent.adapters.keystore import load_key

    good = log(machine, load_key(machine.data / "keys" / "ledger.jwk"))
    shown = machine.run("audit", "verify", machine.file(good))
    assert shown.stdout == "ok: 3 rows, 3 signed checkpoints, nothing changed, missing or out of order\n"
    assert json.loads(machine.run("audit", "verify", machine.file(good), "--json").stdout)["rows"] == 3
    lines = good.splitlines(keepends=True)
    for spoiled, row in (
        (good.replace(b'"seq":2,', b'"seq":2,', 1).replace(b"list_menu", b"list_menv", 1), "row 1 "),
        (b"".join(lines[:2] + lines[4:]), "row 2 "),
        (b"".join(lines[2:4] + lines[:2] + lines[4:]), "row 1 "),
        (b"".join(lines[:-1]), "row 3"),
        (b"", "row 1"),
    ):
        refused(machine.run("audit", "verify", machine.file(spoiled)), 1, f"did-agent: {row}", "hint: ")


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
    refused(machine.run("audit", "export", machine.file("x", "plain") + "/audit.jsonl"), 1, "Not a directory")
    written = machine.folder / "audit.jsonl"
    assert machine.run("audit", "export", str(written)).stdout == f"wrote {written} (5 bytes)\n"


# ---- failures nobody planned


def test_a_defect_ends_in_one_line_and_shows_itself_when_asked(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_self: IssuerClient, **_filters: str) -> list[dict[str, Any]]:
        raise KeyError("next")

    monkeypatch.setattr(IssuerClient, "agents", broken)
    monkeypatch.setattr(Deployment, "operator_auth", lambda _self, _resource: httpx2.Auth())
    refused(machine.run("agent", "list"), 1, "unexpected KeyError", "DID_AGENT_DEBUG=1")
    shown = machine.run("agent", "list", env={"DID_AGENT_DEBUG": "1"})
    assert isinstance(shown.exception, KeyError)


# ---- doctor


def findings(machine: Machine) -> dict[str, dict[str, Any]]:
    shown = machine.run("doctor", "--json")
    assert shown.exit_code == 1  # no servers run in these tests
    return {one["what"]: one for one in json.loads(shown.stdout)["findings"]}


@pytest.fixture
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BRIDGE", "ISSUER", "LEDGER", "DEMO"):
        monkeypatch.setenv(f"DID_AGENT_{name}_URL", "http://127.0.0.1:1")


@pytest.mark.usefixtures("nobody_listens")
@pytest.mark.req("KEY-01")
def test_doctor_finds_an_open_folder_an_open_key_and_broken_trust(machine: Machine) -> None:
    before = findings(machine)
    local = ("Python", "data folder", "trust.json", "key operator", "key issuer")
    assert all(before[what]["ok"] for what in local)
    machine.data.chmod(0o755)
    (machine.data / "keys" / "issuer.jwk").chmod(0o644)
    (machine.data / "trust.json").write_text("{")
    after = findings(machine)
    assert "chmod 700" in after["data folder"]["says"]
    assert "chmod 600" in after["key issuer"]["says"]
    assert [after[what]["ok"] for what in local] == [True, False, False, True, False]


@pytest.mark.usefixtures("nobody_listens")
def test_doctor_looks_at_every_key_there_is_and_misses_those_that_are_not(machine: Machine) -> None:
    from did_agent.adapters.keystore import load_or_create_key

    load_or_create_key(machine.data / "keys" / "bridge-token.jwk")
    (machine.data / "keys" / "ledger.jwk").unlink()
    found = findings(machine)
    assert found["key bridge-token"]["ok"]
    assert not found["key ledger"]["ok"]


@pytest.mark.usefixtures("nobody_listens")
def test_doctor_says_what_to_do_where_nothing_is(machine: Machine) -> None:
    shown = machine.run("--data", str(machine.folder / "nothing"), "doctor")
    assert shown.exit_code == 1
    assert "run `did-agent init`" in shown.stdout
    assert "cannot be reached" in shown.stdout
    assert "run `did-agent up`" in shown.stdout
