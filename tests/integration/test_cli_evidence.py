"""`did-agent audit verify-bundle` without a deployment, and how a bundle is gathered from what parties answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest

from did_agent.audit.bundle import write_bundle
from did_agent.audit.cosignature import Witness, cosign, verifier_key
from did_agent.audit.stranger import Pins, check_bundle
from did_agent.client import bundle as gathering
from did_agent.client.bundle import EvidenceClient
from did_agent.client.errors import ServerRefused
from did_agent.errors import NotFound, PeerUnavailable
from did_agent.keys.ed25519 import SigningKey
from tests.fakes.bundles import (
    BRIDGE_DID,
    DIGEST,
    DOCUMENTS,
    GUARD_DID,
    LOG_DID,
    ORIGIN,
    bundle,
    event,
    issued,
    resealed,
)
from tests.fakes.credentials import BOB_DID, ISSUER_DID, NOW, RESOURCE
from tests.fakes.machine import Machine, refused

WITNESS = SigningKey.from_seed(b"w" * 32)
KNOWN = verifier_key(Witness(name="witness.example", key=WITNESS.public))
PINS = ("--issuer", ISSUER_DID, "--log-key", LOG_DID, "--party", GUARD_DID, "--party", BRIDGE_DID)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.req("AUD-03")
def test_a_bundle_tells_what_is_proven_and_by_whom(machine: Machine) -> None:
    file = machine.file(write_bundle(bundle()), "call.json")
    shown = machine.run("audit", "verify-bundle", file)
    assert shown.exit_code == 0, shown.output
    assert f"{LOG_DID} ({ORIGIN})" in shown.stdout
    assert "read_file at https://files.example/mcp is within what was signed for the agent" in shown.stdout
    assert "ask whether they are whose they are said to be" in shown.stdout
    pinned = machine.run("audit", "verify-bundle", file, *PINS, "--origin", ORIGIN)
    assert "ask whether" not in pinned.stdout
    told = json.loads(machine.run("audit", "verify-bundle", file, "--json").stdout)
    assert (told["verified"], told["issuers"], told["parties"]) == (True, [ISSUER_DID], [BRIDGE_DID, GUARD_DID])


@pytest.mark.req("AUD-03", "DEL-07")
def test_who_is_named_must_be_who_signed(machine: Machine) -> None:
    file = machine.file(write_bundle(bundle()), "call.json")
    for option, value, words in (
        ("--issuer", GUARD_DID, "issuer_not_trusted"),
        ("--log-key", GUARD_DID, "not the one that was named"),
        ("--origin", "else.example", "not the one that was named"),
        ("--party", GUARD_DID, "not a party that was named"),
        ("--witness", KNOWN, "0 witnesses co-signed the checkpoint, 1 are needed"),
    ):
        refused(machine.run("audit", "verify-bundle", file, option, value), 1, words)
    refused(machine.run("audit", "verify-bundle", file, "--witness", "nonsense"), 1, "name+id+key")


@pytest.mark.req("AUD-03")
def test_witnesses_that_are_named_must_have_signed(machine: Machine) -> None:
    plain = bundle()
    line = cosign(plain.checkpoint, name="witness.example", key=WITNESS, now=NOW)
    file = machine.file(write_bundle(bundle(cosignatures=(line,))), "call.json")
    shown = machine.run("audit", "verify-bundle", file, "--witness", KNOWN)
    assert "witness witness.example saw the log in this state" in shown.stdout
    assert "whose the other 1 co-signatures are" in machine.run("audit", "verify-bundle", file).stdout
    assert machine.run("audit", "verify-bundle", file, "--witness", KNOWN, "--quorum", "1").exit_code == 0


@pytest.mark.req("AUD-03", "DEL-07")
@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"actors": (BOB_DID, GUARD_DID)}, "the agents in the record are not those of the signed chain"),
        ({"principal": "https://users.example/1"}, "the person in the record is not the one"),
        ({"target": "delete_file"}, "which no signed chain names"),
        ({"resource": "https://else.example"}, "which no signed chain names"),
        ({"principal": None, "principal_kind": None, "actors": ()}, "names credentials and no agent"),
        ({"time": NOW.replace(year=2031)}, "the credentials do not hold: expired"),
    ],
)
def test_a_record_that_says_more_than_was_signed_is_found(machine: Machine, said: dict[str, Any], words: str) -> None:
    """Such a log could only be made by somebody with the ledger's key: the credentials contradict it all the same."""
    file = machine.file(write_bundle(bundle(event(**said))), "call.json")
    refused(machine.run("audit", "verify-bundle", file), 1, words)


def test_what_is_no_bundle_is_refused_in_one_line(machine: Machine) -> None:
    members = json.loads(write_bundle(bundle()))
    for content, words in (
        (b"", "cannot be read"),
        (b"[]", "cannot be read"),
        (b"{}", "members are missing"),
        (json.dumps(members).encode(), "not spelled as it was written"),
        (resealed({**members, "form": "did-agent-evidence-bundle/2"}), "is no did-agent-evidence-bundle/1"),
        (resealed({**members, "about": "urn:uuid:else"}), "is not in it"),
        (resealed({**members, "rows": []}), "is not in it"),
        (resealed({**members, "rows": members["rows"] * 40}), "no list of at most"),
    ):
        refused(machine.run("audit", "verify-bundle", machine.file(content)), 1, "did-agent: ", words)


class Answers:
    """What parties answer, by method and path."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, at_bridge: bool = True) -> None:
        self.bundle, self.at_bridge = bundle(issued(), event()), at_bridge
        monkeypatch.setattr(gathering, "send", self.send)
        monkeypatch.setattr(gathering, "BETWEEN", 0.0)
        monkeypatch.setattr(gathering.GuardedFetcher, "get_json", self.fetch)

    async def fetch(self, url: str) -> Mapping[str, Any]:
        raise PeerUnavailable(f"{url}: there is no network here")

    async def send(self, _party: str, _base: str, _method: str, path: str, **content: Any) -> Mapping[str, Any]:
        asked = content.get("params") or {}
        size = int(self.bundle.checkpoint.split("\n")[1])
        if path == "/events":
            rows = [{"seq": row.seq, "event": row.event} for row in self.bundle.rows]
            return {"events": rows, "size": size}  # this ledger knows none of the newer filters
        if path == "/checkpoints":
            return {"checkpoints": [{"size": size, "note": self.bundle.checkpoint, "made": 1}]}
        if path == "/proofs/inclusion":
            row = next(row for row in self.bundle.rows if str(row.seq) == asked["seq"])
            return {"proof": [base64.b64encode(node).decode() for node in row.proof]}
        if path == "/key":
            return {"origin": ORIGIN, "did": LOG_DID}
        if unquote(path) == f"/evidence/{DIGEST}" and self.at_bridge:
            return {"credentials": DOCUMENTS}
        if path == "/.well-known/oauth-authorization-server":
            return {"jwks_uri": "https://bridge.example/.well-known/jwks.json"}
        if not path:
            return {"keys": []}
        raise ServerRefused(404, "not_found", "none", None)


LEDGER = gathering.reading("ledger", "https://ledger.example", auth=httpx2.Auth())
CLIENT = EvidenceClient(LEDGER, "https://bridge.example", lambda: NOW)


@pytest.mark.parametrize("name", ["request-1", event().id, "last"])
async def test_a_bundle_is_gathered_by_event_or_request(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    Answers(monkeypatch)
    found = await CLIENT.gather(name)
    assert found.about == event().id
    assert [row.event["action"] for row in found.rows] == ["token.issue", "tool.call"]
    verdict = check_bundle(found, Pins(issuers=frozenset({ISSUER_DID})))
    assert [one.what for one in verdict.findings if one.weight == "unknown"] == [
        f"whether {DOCUMENTS[0]['id']} was revoked: not every list is in the bundle"
    ]


async def test_credentials_that_the_bridge_never_saw_are_brought(monkeypatch: pytest.MonkeyPatch) -> None:
    Answers(monkeypatch, at_bridge=False)
    assert not (await CLIENT.gather("request-1")).evidence
    brought = await CLIENT.gather("request-1", held=[DOCUMENTS, [{"id": "of another call"}]])
    assert brought.evidence == {DIGEST: DOCUMENTS}
    assert check_bundle(brought, Pins()).chains[DIGEST][0].covers(RESOURCE, "read_file", {"path": "/a"})


async def test_what_was_never_recorded_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    Answers(monkeypatch)
    for name in ("request-7", "urn:uuid:00000000-0000-4000-8000-00000000000f"):
        with pytest.raises(NotFound):
            await CLIENT.gather(name)
