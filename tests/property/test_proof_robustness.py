"""Laws of bytes, proofs and tokens: what was encoded comes back, what was changed is refused, nothing crashes."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from did_agent.clock import numeric_date
from did_agent.did.key import did_key, parse_did_key, verification_method
from did_agent.did.resolve import method_key, resolve
from did_agent.encoding import base64url, multibase
from did_agent.encoding.jcs import canonicalize, equal
from did_agent.encoding.strict_json import parse_json
from did_agent.errors import BadEncoding, DidAgentError
from did_agent.keys.ed25519 import PublicKey, SigningKey
from did_agent.keys.jwk import parse_private_jwk, parse_public_jwk, private_jwk, public_jwk
from did_agent.proof.data_integrity import add_proof, verify_proof
from did_agent.proof.jwt import JWTProfile, VerifiedJWT, verify_jwt

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = SigningKey.from_seed(b"1" * 32)
DID = did_key(KEY.public)
PROFILE = JWTProfile(name="test", types=frozenset({"at+jwt"}), required=frozenset({"exp", "jti"}), max_lifetime=600)
HEADER = {"alg": "EdDSA", "typ": "at+jwt", "kid": "k"}
CLAIMS = {"iss": "i", "aud": "a", "iat": numeric_date(NOW), "exp": numeric_date(NOW) + 60, "jti": "j"}
DOCUMENT: dict[str, Any] = {"@context": ["https://www.w3.org/ns/credentials/v2"], "a": {"b": [1, "two", None]}}
SECURED = add_proof(
    DOCUMENT,
    KEY,
    purpose="assertionMethod",
    created=NOW,
    verification_method=verification_method(DID),
    domain="d",
    challenge="c",
    expires=datetime(2026, 11, 24, tzinfo=UTC),
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | text
numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars | numbers,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
# What a stranger may put where we expect a string.
odd = values | st.sampled_from(["\ud800", "z" * 300, DID, verification_method(DID), "0000-01-01T00:00:00Z", ["EdDSA"]])


def compact(header: Any, claims: Any) -> str:
    signing_input = ".".join(base64url.encode(json.dumps(part).encode()) for part in (header, claims))
    return f"{signing_input}.{base64url.encode(KEY.sign(signing_input.encode()))}"


def admit(token: str) -> VerifiedJWT:
    return verify_jwt(
        token,
        PROFILE,
        find_key=lambda _header, _claims: KEY.public,
        expected_issuer="i",
        expected_audience=frozenset({"a"}),
        now=NOW,
    )


HONEST = compact(HEADER, CLAIMS)


@given(st.binary(max_size=100))
def test_bytes_come_back_from_their_one_text(raw: bytes) -> None:
    assert base64url.decode(base64url.encode(raw)) == raw
    assert multibase.decode(multibase.encode_base64url(raw)) == raw
    assume(raw)
    assert multibase.decode(multibase.encode_base58btc(raw)) == raw


@given(st.text("AEIMQgw_-+/= \nz", max_size=12))
def test_a_text_that_decodes_is_the_text_of_what_it_decodes_to(shown: str) -> None:
    with contextlib.suppress(BadEncoding):
        assert base64url.encode(base64url.decode(shown)) == shown
    with contextlib.suppress(BadEncoding):
        assert multibase.encode_base58btc(multibase.decode("z" + shown)) == "z" + shown


@given(values)
def test_canonical_json_is_read_back_as_the_same_value(value: Any) -> None:
    # JCS writes a float of 2^53 or more without a point; the strict reader refuses such integers.
    with contextlib.suppress(DidAgentError):
        read = parse_json(canonicalize(value))
        assert equal(read, value)
        assert canonicalize(read) == canonicalize(value)


@given(st.text(max_size=60) | st.text('"\\[]{}:,u0aE-1. \n', max_size=60) | st.binary(max_size=60))
def test_any_text_is_json_or_refused(raw: str | bytes) -> None:
    with contextlib.suppress(DidAgentError):
        assert equal(parse_json(raw), json.loads(raw))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*SECURED["proof"], "id", "nonce", "previousProof", "x"]), odd)
def test_a_changed_proof_is_refused(member: str, value: Any) -> None:
    proof = {**SECURED["proof"], member: value}
    assume(proof != SECURED["proof"])
    try:
        verify_proof({**SECURED, "proof": proof}, expected_purpose="assertionMethod", now=NOW)
    except DidAgentError:
        return
    raise AssertionError(f"{member} was changed and the proof still verified")


@settings(deadline=None)
@given(st.sampled_from(["a", "@context", "proof", "x"]), odd)
def test_a_changed_document_is_refused(member: str, value: Any) -> None:
    changed = {**SECURED, member: value}
    assume(changed != SECURED)
    try:
        verified = verify_proof(changed, expected_purpose="assertionMethod", now=NOW)
    except DidAgentError:
        return
    assert member == "@context"  # contexts may be appended after signing; they are not handed on
    assert verified.document == DOCUMENT


@settings(deadline=None)
@given(values)
def test_whatever_is_signed_verifies_as_the_same_value(value: Any) -> None:
    secured = add_proof(
        {"a": value}, KEY, purpose="assertionMethod", created=NOW, verification_method=verification_method(DID)
    )
    verified = verify_proof(secured, expected_purpose="assertionMethod", now=NOW)
    assert equal(verified.document, {"a": value})


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*HEADER, "cty", "crit", "b64", "jwk"]), odd)
def test_a_strange_header_is_no_crash(member: str, value: Any) -> None:
    with contextlib.suppress(DidAgentError):
        verified = admit(compact({**HEADER, member: value}, CLAIMS))
        assert verified.header["alg"] in ("EdDSA", "Ed25519")
        assert member in ("kid", "cty")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*CLAIMS, "nbf", "cnf"]), odd)
def test_a_strange_claim_is_no_crash(member: str, value: Any) -> None:
    with contextlib.suppress(DidAgentError):
        verified = admit(compact(HEADER, {**CLAIMS, member: value}))
        assert verified.claims["iss"] == "i"
        assert "a" in verified.claims["aud"]
        assert type(verified.claims["exp"]) is int


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(HONEST) - 1), st.sampled_from("AZaz09-_.=+/ \n\x00é"))
def test_any_changed_character_of_a_token_is_refused(position: int, character: str) -> None:
    assume(HONEST[position] != character)
    assert admit(HONEST).claims == CLAIMS
    try:
        admit(HONEST[:position] + character + HONEST[position + 1 :])
    except DidAgentError:
        return
    raise AssertionError(f"character {position} was changed and the token still verified")


@given(st.binary(max_size=40) | st.binary(min_size=32, max_size=32))
def test_any_bytes_are_a_key_or_refused(raw: bytes) -> None:
    with contextlib.suppress(DidAgentError):
        key = PublicKey.from_bytes(raw)
        assert parse_did_key(did_key(key)) == key
        assert parse_public_jwk(public_jwk(key)) == key


@given(odd, st.sampled_from(["kty", "crv", "x", "d", "alg", "use"]))
def test_strange_keys_and_identifiers_are_no_crash(value: Any, member: str) -> None:
    with contextlib.suppress(DidAgentError):
        parse_public_jwk({**public_jwk(KEY.public), member: value})
    with contextlib.suppress(DidAgentError):
        parse_private_jwk({**private_jwk(KEY), member: value})
    with contextlib.suppress(DidAgentError):
        assert resolve(value).id == value
    with contextlib.suppress(DidAgentError):
        assert method_key(value, relationship="authentication") == (DID, KEY.public)
