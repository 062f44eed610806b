"""SD-JWT VC: a credential says who, what and until when, and who showed it; strange ones are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from did_agent.clock import numeric_date
from did_agent.credential.sd_jwt_vc import VerifiedSDJWTVC, issue_sd_jwt_vc, unverified_method, verify_sd_jwt_vc
from did_agent.credential.token_status import TokenStatusReference
from did_agent.did.document import parse_did_document
from did_agent.did.jwk import did_jwk
from did_agent.did.key import did_key, verification_method
from did_agent.did.resolve import needs_fetching
from did_agent.errors import (
    BadCredential,
    BadJOSE,
    DidAgentError,
    Expired,
    InvalidParameter,
    KeysUnavailable,
    NotYetValid,
    WrongIssuer,
    WrongKey,
    WrongType,
)
from did_agent.keys import ecdsa, ed25519
from did_agent.keys.multikey import encode_multikey
from did_agent.keys.public import SigningKey
from did_agent.proof.jwt import SKEW, sign_jwt
from did_agent.proof.sd_jwt import (
    KeyBinding,
    confirmation,
    present,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ISSUER, HOLDER = ed25519.SigningKey.from_seed(b"1" * 32), ed25519.SigningKey.from_seed(b"2" * 32)
P256, P384 = ecdsa.SigningKey.generate("P-256"), ecdsa.SigningKey.generate("P-384")
DID, AGENT = did_key(ISSUER.public), did_key(HOLDER.public)
VCT = "https://issuer.example/types/agent"
AUDIENCE, NONCE = "https://verifier.example", "nonce-of-the-verifier"
BINDING = KeyBinding(audience=AUDIENCE, nonce=NONCE)


def show(text: str, *disclose: str) -> str:
    return present(text, disclose=disclose, holder_key=HOLDER, audience=AUDIENCE, nonce=NONCE, now=NOW)


def issue_vc(claims: dict[str, Any] | None = None, **more: Any) -> str:
    return issue_sd_jwt_vc(
        {"name": "Buyer", "tools": ["search", "order"]} if claims is None else claims,
        **{
            "vct": VCT,
            "key": ISSUER,
            "verification_method": verification_method(DID),
            "holder": HOLDER.public,
            "issued_at": NOW,
            "expires": NOW + timedelta(hours=1),
            "disclosable": {"/name", "/tools/0", "/tools/1", "/sub"} if claims is None else set(),
            "subject": AGENT,
            **more,
        },
    )


def verify_vc(text: str, now: datetime = NOW, **more: Any) -> VerifiedSDJWTVC:
    expected: dict[str, Any] = {"expected_vct": frozenset({VCT}), "key_binding": BINDING, **more}
    return verify_sd_jwt_vc(text, now=now, **expected)


def test_a_credential_says_who_what_and_until_when() -> None:
    status = TokenStatusReference(index=7, uri="https://issuer.example/statuses/1")
    verified = verify_vc(show(issue_vc(status=status), "/sub", "/tools/1"))
    assert (verified.issuer, verified.vct, verified.subject) == (DID, VCT, AGENT)
    assert verified.expires == NOW + timedelta(hours=1)
    assert verified.status == status
    assert verified.holder == HOLDER.public
    assert verified.claims["tools"] == ["order"]
    assert "name" not in verified.claims


def test_a_subject_may_be_kept_back_unless_it_is_required() -> None:
    shown = show(issue_vc(), "/name")
    assert verify_vc(shown).subject is None
    with pytest.raises(BadCredential):
        verify_vc(shown, required_claims=frozenset({"sub"}))
    assert verify_vc(show(issue_vc(), "/sub"), required_claims=frozenset({"sub"})).subject == AGENT


def test_a_status_that_is_required_must_be_there() -> None:
    with pytest.raises(BadCredential):
        verify_vc(show(issue_vc()), required_claims=frozenset({"status"}))


@pytest.mark.parametrize("key", [P256, P384], ids=["P-256", "P-384"])
def test_an_issuer_may_have_another_kind_of_key_under_did_key_or_did_jwk(key: SigningKey) -> None:
    did = did_key(key.public)
    assert verify_vc(show(issue_vc(key=key, verification_method=verification_method(did)))).issuer == did
    did = did_jwk(key.public)
    assert (
        verify_vc(show(issue_vc(key=key, verification_method=f"{did}#0", subject=None, disclosable=()))).issuer == did
    )


@pytest.mark.parametrize(("seconds", "error"), [(-SKEW - 1, NotYetValid), (-SKEW, None), (3_600 + SKEW, Expired)])
def test_a_credential_has_its_time(seconds: int, error: type[DidAgentError] | None) -> None:
    text, now = issue_vc(), NOW + timedelta(seconds=seconds)
    shown = present(text, disclose=(), holder_key=HOLDER, audience=AUDIENCE, nonce=NONCE, now=now)
    if error is None:
        assert verify_vc(shown, now).vct == VCT
    else:
        with pytest.raises(error):
            verify_vc(shown, now)
    last = NOW + timedelta(seconds=3_600 + SKEW - 1)
    shown = present(text, disclose=(), holder_key=HOLDER, audience=AUDIENCE, nonce=NONCE, now=last)
    assert verify_vc(shown, last).vct == VCT


def signed(payload: dict[str, Any], typ: str = "dc+sd-jwt", kid: str | None = verification_method(DID)) -> str:
    return sign_jwt(payload, typ=typ, key=ISSUER, kid=kid) + "~"


PAYLOAD: dict[str, Any] = {
    "iss": DID,
    "vct": VCT,
    "exp": numeric_date(NOW) + 60,
    "cnf": confirmation(HOLDER.public),
}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"iss": AGENT}, WrongIssuer),
        ({"iss": None}, WrongIssuer),
        ({"vct": "https://issuer.example/types/other"}, WrongType),
        ({"vct": [VCT]}, BadCredential),
        ({"vct": ""}, BadCredential),
        ({"exp": None}, BadJOSE),
        ({"exp": str(PAYLOAD["exp"])}, BadJOSE),
        ({"exp": True}, BadJOSE),
        ({"exp": 2**53 - 1}, DidAgentError),
        ({"nbf": numeric_date(NOW) + SKEW + 1}, NotYetValid),
        ({"sub": 7}, BadCredential),
        ({"status": {"other": {}}}, BadJOSE),
        ({"status": None}, BadJOSE),
    ],
)
@pytest.mark.req("VCX-15", "VCX-04")
def test_a_strange_credential_is_refused(change: dict[str, Any], error: type[DidAgentError]) -> None:
    assert verify_vc(show(signed(PAYLOAD))).issuer == DID
    with pytest.raises(error):
        verify_vc(show(signed({**PAYLOAD, **change})))


@pytest.mark.parametrize("name", ["iss", "vct", "exp"])
def test_a_credential_names_issuer_type_and_end(name: str) -> None:
    with pytest.raises((BadCredential, WrongIssuer)):
        verify_vc(show(signed({key: value for key, value in PAYLOAD.items() if key != name})))


@pytest.mark.parametrize("kid", [None, "key-1", f"{DID}#other", f"{AGENT}#{AGENT.removeprefix('did:key:')}"])
@pytest.mark.req("VCX-04")
def test_the_key_is_an_assertion_method_of_the_issuer(kid: str | None) -> None:
    with pytest.raises(DidAgentError) as refused:
        verify_vc(show(signed(PAYLOAD, kid=kid)))
    assert refused.value.code in {WrongKey.code, WrongIssuer.code, "invalid_did", "bad_jose"}


@pytest.mark.req("VCX-04")
def test_a_did_web_issuer_signs_with_an_assertion_method_alone() -> None:
    did = "did:web:issuer.example"
    methods = [
        {
            "id": f"{did}#{name}",
            "type": "Multikey",
            "controller": did,
            "publicKeyMultibase": encode_multikey(key.public),
        }
        for name, key in (("issue", ISSUER), ("login", P256))
    ]
    source = {
        "@context": ["https://www.w3.org/ns/did/v1"],
        "id": did,
        "verificationMethod": methods,
        "assertionMethod": [f"{did}#issue"],
        "authentication": [f"{did}#login"],
    }
    documents = {did: parse_did_document(source, expected_id=did)}
    text = issue_vc(verification_method=f"{did}#issue")
    assert needs_fetching(unverified_method(text)) == did
    assert verify_vc(show(text), documents=documents).issuer == did
    with pytest.raises(WrongKey):
        verify_vc(show(issue_vc(key=P256, verification_method=f"{did}#login")), documents=documents)
    with pytest.raises(KeysUnavailable):
        verify_vc(show(text))


def test_a_credential_that_names_no_method_is_nobodys() -> None:
    assert unverified_method(signed(PAYLOAD)) == verification_method(DID)
    with pytest.raises(BadJOSE):
        unverified_method(signed(PAYLOAD, kid=None))


@pytest.mark.req("TOK-08")
def test_the_type_of_old_drafts_is_accepted_on_demand_alone() -> None:
    shown = show(signed(PAYLOAD, typ="vc+sd-jwt"))
    with pytest.raises(WrongType):
        verify_vc(shown)
    assert verify_vc(shown, accept_old_type=True).vct == VCT
    with pytest.raises(WrongType):
        verify_vc(show(signed(PAYLOAD, typ="jwt")), accept_old_type=True)


@pytest.mark.parametrize("name", ["iss", "sub", "vct", "iat", "nbf", "exp", "cnf", "status"])
def test_what_has_a_parameter_is_not_a_claim(name: str) -> None:
    with pytest.raises(InvalidParameter):
        issue_vc({name: 1})


def test_a_credential_ends_after_it_begins() -> None:
    with pytest.raises(InvalidParameter):
        issue_vc(expires=NOW)
