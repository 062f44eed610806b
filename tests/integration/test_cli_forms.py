"""`did-agent verify` on every form there is, `did-agent key` and `did-agent did resolve`: what is told, what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from did_agent.credential.bitstring import encode
from did_agent.credential.sd_jwt_vc import issue_sd_jwt_vc
from did_agent.credential.token_status import issue_status_list_token
from did_agent.did.key import did_key, verification_method
from did_agent.keys.jwk import parse_private_jwk
from did_agent.keys.multikey import generate_key
from did_agent.proof.data_integrity import add_proof
from did_agent.proof.sd_jwt import present
from did_agent.proof.vc_jose import enveloped, secure
from tests.fakes.machine import Machine, refused

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
AT = ("--now", "2026-11-23T10:00:00Z")
KEY = generate_key("P-256")
DID = did_key(KEY.public)
METHOD = verification_method(DID)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def credential(**members: Any) -> dict[str, Any]:
    return {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": "urn:uuid:00000000-0000-4000-8000-000000000001",
        "type": ["VerifiableCredential"],
        "issuer": DID,
        "validFrom": "2026-11-23T09:00:00Z",
        "validUntil": "2026-11-23T11:00:00Z",
        "credentialSubject": {"id": "did:example:1"},
    } | members


def secured(suite: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
    return add_proof(
        document or credential(),
        KEY,
        purpose="assertionMethod",
        created=NOW,
        verification_method=METHOD,
        cryptosuite=suite,
    )


def token(**members: Any) -> str:
    return secure(credential(**members), KEY, envelope="vc+jwt", verification_method=METHOD)


def status_list() -> dict[str, Any]:
    subject = {
        "type": "BitstringStatusList",
        "statusPurpose": "revocation",
        "encodedList": encode(b"\x81" + bytes(16_383)),
    }
    kinds = ["VerifiableCredential", "BitstringStatusListCredential"]
    return secured("ecdsa-jcs-2019", credential(type=kinds, credentialSubject=subject))


def sd_jwt(**binding: Any) -> str:
    made = issue_sd_jwt_vc(
        {"given_name": "Ada"},
        vct="https://types.example/person",
        key=KEY,
        verification_method=METHOD,
        holder=KEY.public,
        issued_at=NOW,
        expires=NOW + timedelta(hours=1),
        disclosable=["/given_name"],
    )
    if not binding:
        return made
    return present(made, disclose=["/given_name"], holder_key=KEY, audience="https://v.example", nonce="n", now=NOW)


def test_every_form_is_verified_and_told_as_a_tree(machine: Machine) -> None:
    for content in (
        secured("ecdsa-jcs-2019"),
        secured("ecdsa-rdfc-2019"),
        enveloped(token(), "vc+jwt"),
        token(),
        status_list(),
        sd_jwt(),
    ):
        shown = machine.run("verify", machine.file(content), *AT)
        assert shown.exit_code == 0, shown.output
        assert shown.stdout.startswith("verified (revocation was not looked up)\nok     ")
        assert "FAILED" not in shown.stdout
        told = json.loads(machine.run("verify", machine.file(content), *AT, "--json").stdout)
        assert told["verified"] is True
        assert told["steps"][0]["holds"] is True


def test_a_status_list_says_how_many_are_set(machine: Machine) -> None:
    assert "131072 entries for revocation, 2 set" in machine.run("verify", machine.file(status_list()), *AT).stdout
    listed = issue_status_list_token(
        statuses=bytes(1_000),
        bits=1,
        uri="https://s.example/1",
        key=KEY,
        kid=METHOD,
        issued_at=NOW,
        expires=NOW + timedelta(hours=1),
        ttl=300,
    )
    shown = machine.run("verify", machine.file(listed), *AT)
    assert shown.exit_code == 0, shown.output
    assert "8000 entries of 1 bits" in shown.stdout


@pytest.mark.req("VCX-15")
def test_key_binding_is_judged_where_it_is_asked_for(machine: Machine) -> None:
    shown = machine.run("verify", machine.file(sd_jwt()), *AT)
    assert "key binding: not judged" in shown.stdout
    bound = machine.file(sd_jwt(bound=True))
    asked = ("--audience", "https://v.example", "--challenge", "n")
    assert "ok     key binding: https://v.example" in machine.run("verify", bound, *AT, *asked).stdout
    for wrong in (("--audience", "https://w.example", "--challenge", "n"), (*asked[:3], "m")):
        assert machine.run("verify", bound, *AT, *wrong).exit_code == 1
    assert machine.run("verify", machine.file(sd_jwt()), *AT, *asked).exit_code == 1


@pytest.mark.req("VCX-04", "VCX-08", "VCX-11")
@pytest.mark.parametrize(
    ("content", "step"),
    [
        ({**secured("ecdsa-jcs-2019"), "validFrom": "2026-11-23T08:00:00Z"}, "proof and data model"),
        ({**secured("ecdsa-rdfc-2019"), "unknown": 1}, "proof and data model"),
        (secured("ecdsa-jcs-2019", credential(issuer="did:example:other")), "proof and data model"),
        (secured("ecdsa-jcs-2019", credential(validUntil="2026-11-23T09:30:00Z")), "validUntil"),
        (secured("ecdsa-jcs-2019", credential(validFrom="2026-11-23T10:30:00Z")), "validFrom"),
        (token()[:-4] + "AAAA", "proof and data model"),
    ],
)
def test_what_does_not_hold_is_named(machine: Machine, content: Any, step: str) -> None:
    shown = machine.run("verify", machine.file(content), *AT)
    assert shown.exit_code == 1
    assert shown.stdout.startswith("not verified\nFAILED credential")
    assert f"  FAILED {step}" in shown.stdout
    told = json.loads(machine.run("verify", machine.file(content), *AT, "--json").stdout)
    assert told["verified"] is False
    assert any(found["holds"] is False and found["code"] for found in told["steps"][0]["steps"])


def test_a_presentation_shows_what_held_of_each_credential(machine: Machine) -> None:
    document = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiablePresentation"],
        "holder": DID,
        "verifiableCredential": [
            secured("ecdsa-rdfc-2019"),
            secured("ecdsa-jcs-2019", credential(validUntil="2026-11-23T09:30:00Z")),
        ],
    }
    presented = add_proof(
        document,
        KEY,
        purpose="authentication",
        created=NOW,
        verification_method=METHOD,
        cryptosuite="ecdsa-jcs-2019",
        challenge="c",
        domain="https://v.example",
    )
    shown = machine.run("verify", machine.file(presented), *AT, "--audience", "https://v.example", "--challenge", "c")
    assert shown.exit_code == 1
    assert "  ok     credential 1" in shown.stdout
    assert "  FAILED credential 2" in shown.stdout
    assert "    FAILED validUntil" in shown.stdout


# ---- keys and DIDs


@pytest.mark.parametrize("kind", ["Ed25519", "P-256", "P-384"])
def test_a_key_is_made_once_and_shown(machine: Machine, kind: str) -> None:
    file = machine.folder / "key.jwk"
    made = json.loads(machine.run("key", "create", str(file), "--kind", kind, "--json").stdout)
    assert file.stat().st_mode & 0o077 == 0
    assert did_key(parse_private_jwk(json.loads(file.read_text())).public) == made["did"]
    assert made["kind"] == kind
    assert "d" not in made["publicKeyJwk"]
    assert json.loads(machine.run("key", "show", str(file), "--json").stdout) == made
    refused(machine.run("key", "create", str(file)), 1, "never overwritten")
    resolved = json.loads(machine.run("did", "resolve", made["did"]).stdout)
    assert resolved["verificationMethod"][0]["id"] == made["verificationMethod"]
    named = json.loads(machine.run("did", "resolve", made["verificationMethod"], "--json").stdout)
    assert named["publicKeyMultibase"] == made["publicKeyMultibase"]
    assert json.loads(machine.run("did", "resolve", made["did_jwk"]).stdout)["id"] == made["did_jwk"]


@pytest.mark.req("VCX-12", "VCX-13")
@pytest.mark.parametrize(
    "did",
    ["did:key:@", "did:example:1", "not a did", "did:web:localhost", "did:web:127.0.0.1", "did:web:a.example%2Fx"],
)
def test_what_is_no_did_or_nowhere_is_refused(machine: Machine, did: str) -> None:
    refused(machine.run("did", "resolve", did), 1)
