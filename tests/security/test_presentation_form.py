"""Presentations that are not quite presentations: members, types and texts outside the profile."""

from __future__ import annotations

import json
from typing import Any

import pytest

from did_agent.errors import (
    BadJOSE,
    BadPresentation,
    BadProof,
    DidAgentError,
    DuplicateMember,
    Malformed,
    NotJSON,
    TooDeep,
    TooLarge,
    WrongType,
)
from did_agent.presentation.verify import ask
from tests.fakes.credentials import (
    BOB_DID,
    MALLORY_DID,
    expected,
)
from tests.fakes.presentations import JTI, nothing, resigned, shown, signed_jwt


@pytest.mark.req("VCX-06")
@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.update(proof=[d["proof"]]),
        lambda d: d.update(proof=[d["proof"], d["proof"]]),
        lambda d: d["proof"].update(previousProof="urn:uuid:1"),
        lambda d: d["proof"].update(cryptosuite="eddsa-jcs-2099"),
        lambda d: d["proof"].update(type="Ed25519Signature2020"),
        lambda d: d["proof"].update(unknown="x"),
    ],
)
def test_exactly_one_proof_of_our_kind(edit: Any) -> None:
    document = shown()
    ask(document, expected())
    edit(document)
    with pytest.raises(BadProof):
        ask(document, expected())


@pytest.mark.req("VCX-07", "VCX-08")
@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.update({"@context": ["https://www.w3.org/ns/credentials/v2", {"holder": "urn:x"}]}),
        lambda d: d.update({"@context": "https://www.w3.org/ns/credentials/v2"}),
        lambda d: d.update(type="VerifiablePresentation"),
        lambda d: d.update(type=["VerifiablePresentation", "Other"]),
        lambda d: d.update(extra=1),
        lambda d: d.update(id=["urn:x"]),
        lambda d: d.update(holder={"id": BOB_DID}),
        lambda d: d.update(verifiableCredential=d["verifiableCredential"][0]),
        lambda d: d.update(verifiableCredential=[]),
        lambda d: d.update(verifiableCredential=["eyJhbGciOiJFZERTQSJ9.e30.AA"]),
        lambda d: d.update(verifiableCredential=d["verifiableCredential"] * 5),
        lambda d: d.pop("holder"),
    ],
    ids=range(12),
)
def test_a_signed_presentation_outside_its_schema_is_refused(edit: Any) -> None:
    ask(resigned(nothing), expected())
    with pytest.raises(BadPresentation):
        ask(resigned(edit), expected())


@pytest.mark.req("VCX-07")
@pytest.mark.parametrize("more", ["https://evil.example/context", {"holder": "urn:x"}])
def test_a_context_appended_after_signing_is_refused(more: object) -> None:
    document = shown()
    ask(document, expected())
    with pytest.raises(BadPresentation):
        ask({**document, "@context": [*document["@context"], more]}, expected())
    with pytest.raises(BadProof):
        ask({**document, "@context": [more, *document["@context"]]}, expected())


@pytest.mark.req("VCX-08", "DEL-07")
@pytest.mark.parametrize("name", ["vp", "vc", "act", "sub", "cnf", "scope", "proof", "client_id"])
def test_a_vp_jwt_carries_no_other_claims(name: str) -> None:
    ask(signed_jwt(), JTI)
    with pytest.raises(BadPresentation):
        ask(signed_jwt(**{name: "x"}), JTI)


@pytest.mark.req("TOK-08")
@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "vc+jwt", "client-authentication+jwt", "secevent+jwt", ""])
def test_another_kind_of_token_is_not_a_presentation(typ: str) -> None:
    ask(signed_jwt(typ="application/VP+JWT"), JTI)
    with pytest.raises(WrongType):
        ask(signed_jwt(typ=typ), JTI)


@pytest.mark.req("TOK-06")
@pytest.mark.parametrize("name", ["iss", "aud", "iat", "exp", "jti", "holder"])
def test_a_vp_jwt_lacking_a_claim_is_refused(name: str) -> None:
    with pytest.raises(DidAgentError) as refusal:
        ask(signed_jwt(**{name: None}), JTI)
    assert isinstance(refusal.value, (BadJOSE, BadPresentation))


@pytest.mark.req("VCX-12")
@pytest.mark.parametrize("kid", [None, BOB_DID, BOB_DID + "#keys-1", BOB_DID + "#" + MALLORY_DID[8:], "1"])
def test_the_kid_is_the_absolute_method_of_the_did(kid: str | None) -> None:
    ask(signed_jwt(), JTI)
    with pytest.raises(DidAgentError):
        ask(signed_jwt(kid=kid), JTI)


@pytest.mark.req("TOK-05", "LIM-01")
@pytest.mark.parametrize(
    ("raw", "error"),
    [
        ("", Malformed),
        ("null", Malformed),
        ("[]", Malformed),
        ("{", NotJSON),
        (b"\xff\xfe{}", Malformed),
        ("e30.e30", BadJOSE),
        ("a.b.c\n", BadJOSE),
        ('{"a":' * 40 + "1" + "}" * 40, TooDeep),
        ("{" + " " * 262_144 + "}", TooLarge),
        ("e" * 20_000, TooLarge),
        ({"a": float("nan")}, NotJSON),
        ({"a": {1, 2}}, BadPresentation),
        (json.dumps(shown()).replace('"holder"', '"holder":"did:key:zX","holder"', 1), DuplicateMember),
        (json.dumps(shown()).replace('"issuer"', '"issuer":"did:key:zX","issuer"', 1), DuplicateMember),
    ],
    ids=range(14),
)
def test_what_cannot_be_read_strictly_is_refused(raw: Any, error: type[DidAgentError]) -> None:
    with pytest.raises(error):
        ask(raw, expected())
