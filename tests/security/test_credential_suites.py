"""Capability chains and presentations in every form: whichever suite and curve signed, the same checks decide."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from did_agent.credential.capability import parse_capability
from did_agent.credential.issuance import attenuate, build_capability_credential, issue
from did_agent.credential.known import KnownCredentials
from did_agent.credential.status import StatusEntry
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key, verification_method
from did_agent.errors import (
    BadCredential,
    BadPresentation,
    BadSignature,
    DidAgentError,
    Expired,
    WrongAlgorithm,
    WrongKey,
)
from did_agent.keys import ecdsa, ed25519
from did_agent.keys.public import SigningKey
from did_agent.presentation.model import Expected
from did_agent.presentation.present import present, present_jwt
from did_agent.presentation.verify import ask
from did_agent.proof.data_integrity import add_proof
from did_agent.proof.jose import sign_compact
from did_agent.tokens.client_assertion import make_client_assertion, verify_client_assertion
from tests.fakes.credentials import AUDIENCE, NOW, REVOCATION_URL

ED: SigningKey = ed25519.SigningKey.from_seed(b"5" * 32)
P256: SigningKey = ecdsa.SigningKey("P-256", b"6" * 32)
P384: SigningKey = ecdsa.SigningKey("P-384", b"7" * 48)
FORMS = [
    (ED, "eddsa-jcs-2022"),
    (ED, "eddsa-rdfc-2022"),
    (P256, "ecdsa-jcs-2019"),
    (P256, "ecdsa-rdfc-2019"),
    (P384, "ecdsa-jcs-2019"),
    (P384, "ecdsa-rdfc-2019"),
]
ALICE: SigningKey = ed25519.SigningKey.from_seed(b"8" * 32)
BOB: SigningKey = ecdsa.SigningKey("P-256", b"9" * 32)
CAPABILITY = {"type": "AgentCapability", "resource": [AUDIENCE], "tools": {"read": {}, "write": {}}}


def unsigned(issuer: SigningKey, holder: SigningKey) -> dict[str, Any]:
    return build_capability_credential(
        id="urn:uuid:00000000-0000-4000-8000-00000000000a",
        issuer=did_key(issuer.public),
        subject=did_key(holder.public),
        valid_from=NOW - timedelta(minutes=1),
        valid_until=NOW + timedelta(minutes=30),
        capabilities=[parse_capability(CAPABILITY)],
        max_depth=2,
        statuses=[StatusEntry(list_url=REVOCATION_URL, index=7, purpose="revocation")],
    )


def root(issuer: SigningKey, suite: str, holder: SigningKey = ALICE) -> dict[str, Any]:
    return issue(unsigned(issuer, holder), issuer, now=NOW, cryptosuite=suite)


def expected(issuer: SigningKey) -> Expected:
    return Expected(
        audience=frozenset({AUDIENCE}),
        now=NOW,
        trusted=TrustedIssuers.of(did_key(issuer.public)),
        max_depth=4,
        challenge="jti",
    )


def shown(credentials: list[Any], key: SigningKey) -> str:
    return json.dumps(present(credentials, key=key, audience=AUDIENCE, challenge="c", now=NOW))


@pytest.mark.parametrize(("issuer", "suite"), FORMS, ids=str)
def test_a_chain_may_mix_suites_and_curves(issuer: SigningKey, suite: str) -> None:
    first = root(issuer, suite)
    child = attenuate(
        first,
        key=ALICE,
        subject=did_key(BOB.public),
        capabilities=[parse_capability({**CAPABILITY, "tools": {"read": {}}})],
        valid_until=NOW + timedelta(minutes=10),
        now=NOW,
    )
    for raw in (shown([child, first], BOB), present_jwt([first, child], key=BOB, audience=AUDIENCE, now=NOW)):
        asked = ask(raw, expected(issuer))
        assert asked.chain is not None
        assert asked.chain.delegators == (did_key(ALICE.public),)
        assert set(asked.chain.capabilities[0].tools) == {"read"}


@pytest.mark.req("VCX-04", "VCX-14")
@pytest.mark.parametrize(("issuer", "suite"), FORMS, ids=str)
def test_no_member_can_be_changed_whatever_the_suite(issuer: SigningKey, suite: str) -> None:
    honest = root(issuer, suite)
    assert ask(shown([honest], ALICE), expected(issuer)).holder == did_key(ALICE.public)
    changes: list[Callable[[Any], object]] = [
        lambda d: d["credentialSubject"]["capability"][0]["tools"].update(delete={}),
        lambda d: d["credentialSubject"]["capability"][0]["resource"].append("https://other.example/mcp"),
        lambda d: d["credentialSubject"]["delegation"].update(maxDepth=3),
        lambda d: d["credentialSubject"].update(onBehalfOf="https://users.example/1"),
        lambda d: d.update(validUntil="2026-11-23T11:00:00Z"),
        lambda d: d["credentialStatus"][0].update(statusListIndex="8"),
        lambda d: d.pop("credentialStatus"),
        lambda d: d["proof"].update(created="2026-11-23T09:00:00Z"),
    ]
    for change in changes:
        changed = copy.deepcopy(honest)
        change(changed)
        with pytest.raises(DidAgentError):
            ask(shown([changed], ALICE), expected(issuer))


@pytest.mark.req("VCX-07", "VCX-14")
def test_what_an_rdfc_signature_cannot_see_the_profile_refuses() -> None:
    """RDF does not know these changes; the exact contexts and the closed schema do."""
    honest = root(ED, "eddsa-rdfc-2022")
    subject = honest["credentialSubject"]
    unseen: list[dict[str, Any]] = [
        {**honest, "credentialSubject": [subject]},
        {**honest, "type": honest["type"][::-1]},
        {**honest, "credentialSubject": {**subject, "capability": subject["capability"][0]}},
        {**honest, "credentialSubject": {**subject, "delegation": {**subject["delegation"], "maxDepth": "2"}}},
        {**{name: value for name, value in honest.items() if name != "id"}, "@id": honest["id"]},
        {**honest, "@context": [*honest["@context"], "https://w3id.org/security/data-integrity/v2"]},
    ]
    for changed in unseen:
        with pytest.raises(BadCredential):
            ask(shown([changed], ALICE), expected(ED))


@pytest.mark.req("VCX-06")
@pytest.mark.parametrize(
    ("key", "suite"), [(ED, "ecdsa-jcs-2019"), (P256, "eddsa-jcs-2022"), (P384, "eddsa-rdfc-2022")]
)
def test_a_suite_is_for_its_own_keys(key: SigningKey, suite: str) -> None:
    with pytest.raises(WrongKey):
        root(key, suite)
    forged = root(key, "eddsa-jcs-2022" if key is ED else "ecdsa-jcs-2019")
    forged["proof"]["cryptosuite"] = suite
    with pytest.raises(WrongKey):
        ask(shown([forged], ALICE), expected(key))


@pytest.mark.req("VCX-06", "VCX-15")
def test_a_credential_that_was_shortened_gives_no_rights() -> None:
    from did_agent.proof.selective import derive

    base = root(P256, "ecdsa-sd-2023")
    part = derive(base, ["/credentialSubject/capability", "/credentialSubject/delegation"])
    for secured in (base, part):
        with pytest.raises(DidAgentError):
            ask(shown([secured], ALICE), expected(P256))


def test_a_presentation_may_be_signed_in_rdfc_too() -> None:
    bare = present([root(ED, "eddsa-rdfc-2022")], key=ALICE, audience=AUDIENCE, challenge="c", now=NOW)
    document = {name: value for name, value in bare.items() if name != "proof"}
    options: dict[str, Any] = {
        "purpose": "authentication",
        "created": NOW,
        "verification_method": verification_method(did_key(ALICE.public)),
        "challenge": "c",
        "domain": AUDIENCE,
    }
    signed = add_proof(document, ALICE, cryptosuite="eddsa-rdfc-2022", **options)
    assert ask(signed, expected(ED)).holder == did_key(ALICE.public)
    with pytest.raises(BadPresentation):
        ask({**signed, "verifiableCredential": signed["verifiableCredential"][0]}, expected(ED))


# ---- credentials verified before


@pytest.mark.req("REV-01", "VCX-04")
def test_a_known_credential_is_judged_anew_in_everything_but_its_signature() -> None:
    known = KnownCredentials()
    honest = root(ED, "eddsa-jcs-2022")
    raw = shown([honest], ALICE)
    first = ask(raw, expected(ED), known=known)
    again = ask(raw, expected(ED), known=known)
    assert first.chain is not None
    assert again.chain is not None
    assert again.chain.leaf is first.chain.leaf  # read once
    assert again.chain.digest == first.chain.digest
    # Another trust list, a later time, a changed byte: each is noticed though the credential is known.
    with pytest.raises(DidAgentError):
        ask(raw, expected(P256), known=known)
    late = {"now": NOW + timedelta(minutes=31)}
    later = present([honest], key=ALICE, audience=AUDIENCE, challenge="c", now=late["now"])
    with pytest.raises(Expired):
        ask(later, Expected(**{**_fields(expected(ED)), **late}), known=known)
    changed = copy.deepcopy(honest)
    changed["credentialSubject"]["capability"][0]["tools"]["delete"] = {}
    with pytest.raises(BadSignature):
        ask(shown([changed], ALICE), expected(ED), known=known)
    known.forget(str(honest["id"]))
    fresh = ask(raw, expected(ED), known=known)
    assert fresh.chain is not None
    assert fresh.chain.leaf is not first.chain.leaf


def test_the_memory_is_bounded_and_keeps_no_proof_that_ends() -> None:
    known = KnownCredentials(2)
    for number in range(4):
        document = {**unsigned(ED, ALICE), "id": f"urn:uuid:00000000-0000-4000-8000-00000000000{number}"}
        ask(shown([issue(document, ED, now=NOW)], ALICE), expected(ED), known=known)
    assert len(known._found) == 2
    ending = add_proof(
        unsigned(ED, ALICE),
        ED,
        purpose="assertionMethod",
        created=NOW,
        verification_method=verification_method(did_key(ED.public)),
        expires=NOW + timedelta(seconds=5),
    )
    known = KnownCredentials()
    ask(shown([ending], ALICE), expected(ED), known=known)
    assert len(known._found) == 0


def _fields(value: Expected) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


# ---- keys on other curves prove who a client is, too


@pytest.mark.req("TOK-01", "OAU-07")
@pytest.mark.parametrize("key", [ED, P256], ids=["Ed25519", "P-256"])
def test_a_client_assertion_is_signed_by_the_key_of_its_did(key: SigningKey) -> None:
    assertion = make_client_assertion(key, audience=AUDIENCE, now=NOW)
    verified = verify_client_assertion(assertion, expected_audience=AUDIENCE, now=NOW)
    assert verified.client_id == did_key(key.public)
    claims = {"iss": did_key(key.public), "sub": did_key(key.public), "aud": AUDIENCE, "jti": "a" * 22}
    claims |= {"iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 60}
    other = P256 if key is ED else ED
    forged = sign_compact({"typ": "client-authentication+jwt"}, claims, other)
    with pytest.raises((WrongAlgorithm, BadSignature)):
        verify_client_assertion(forged, expected_audience=AUDIENCE, now=NOW)


@pytest.mark.req("VCX-13", "NET-10")
def test_a_did_web_is_no_holder_and_nobody_is_asked_to_try_again() -> None:
    secured = present([root(ED, "eddsa-jcs-2022")], key=ALICE, audience=AUDIENCE, challenge="c", now=NOW)
    secured["proof"]["verificationMethod"] = "did:web:holder.example#key"  # type: ignore[index]
    with pytest.raises(WrongKey):
        ask(secured, expected(ED))
    assertion = sign_compact(
        {"typ": "client-authentication+jwt", "kid": "did:web:holder.example#key"},
        {
            "iss": did_key(ED.public),
            "sub": did_key(ED.public),
            "aud": AUDIENCE,
            "jti": "a" * 22,
            "iat": int(NOW.timestamp()),
            "exp": int(NOW.timestamp()) + 60,
        },
        ED,
    )
    with pytest.raises(WrongKey):
        verify_client_assertion(assertion, expected_audience=AUDIENCE, now=NOW)
