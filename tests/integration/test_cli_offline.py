"""Commands that need no server, as transcripts: what is printed where, and the exit code."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.agent import Agent
from did_agent.cli import main as entry
from did_agent.cli.deployment import Deployment
from did_agent.client.issuer import IssuerClient
from did_agent.clock import system_clock
from did_agent.keys.ed25519 import SigningKey
from tests.fakes.machine import SERVER, Machine, granted, identified, refused

DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
STRANGER = SigningKey.from_seed(b"\x09" * 32)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


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


@pytest.mark.req("KEY-01")
@pytest.mark.parametrize("secret", [{"kty": "OKP", "crv": "Ed25519", "d": "AAAA"}, {"kty": "oct", "k": "AAAA"}])
@pytest.mark.parametrize("as_set", [True, False])
def test_a_private_key_never_leaves_for_the_bridge(machine: Machine, secret: dict[str, str], as_set: bool) -> None:
    file = machine.file({"keys": [secret]} if as_set else secret, "jwks.json")
    adding = ("client", "add", "x", "--name", "X", "--auth", "private_key_jwt", "--jwks", file)
    # Nothing listens there: whatever is sent ends with 3.
    nowhere = {"DID_AGENT_BRIDGE_URL": "http://127.0.0.1:1"}
    shown = machine.run(*adding, env=nowhere)
    assert shown.exit_code == 2
    assert "stays with the client" in shown.stderr
    public = machine.file({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}]}, "jwks.json")
    assert machine.run(*adding[:-1], public, env=nowhere).exit_code == 3


@pytest.mark.parametrize("content", ["hello", "[]", '{"keys":"x"}', '{"keys":[1]}'])
def test_a_file_of_keys_that_holds_none_is_named(machine: Machine, content: str) -> None:
    file = machine.file(content, "jwks.json")
    adding = ("client", "add", "x", "--name", "X", "--auth", "private_key_jwt", "--jwks", file)
    refused(machine.run(*adding), 2, "jwks.json holds")


def test_a_party_that_is_named_with_a_slash_at_the_end_is_said_so(machine: Machine) -> None:
    env = {"DID_AGENT_BRIDGE_URL": "http://127.0.0.1:1/"}
    refused(machine.run("client", "list", env=env), 3, "without the slash at the end")


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
    servers = {
        "bridge",
        "issuer",
        "ledger",
        "console",
        "urban-bites",
        "vc-api",
        "sql",
    }  # serve, or print a script for a database
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
    assert "  ok     proof: by " in shown.stdout
    told = json.loads(machine.run(*command, machine.file(held), "--json").stdout)
    (chain,) = told.pop("steps")
    assert (chain["step"], chain["holds"]) == ("chain", True)
    assert told == {
        "verified": True,
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
    # The key is found, so the bridge is asked next; nothing listens there.
    found = {"DID_AGENT_WALLET": str(own), "DID_AGENT_BRIDGE_URL": "http://127.0.0.1:1"}
    refused(machine.run(*asked, env=found), 3, "hint: are the parties running?")


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
