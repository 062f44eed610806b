"""SD-JWT: what is issued comes back as far as it is shown, and says who showed it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from did_agent.clock import numeric_date
from did_agent.did.key import did_key
from did_agent.encoding import base64url
from did_agent.errors import (
    BadJOSE,
    BadProof,
    DidAgentError,
    HolderMismatch,
    InvalidParameter,
    TooDeep,
    TooLarge,
)
from did_agent.keys import ecdsa, ed25519
from did_agent.keys.public import SigningKey
from did_agent.proof.disclosure import MAX_DEPTH, MAX_DISCLOSURES
from did_agent.proof.jwt import unverified_jws
from did_agent.proof.sd_jwt import (
    KeyBinding,
    VerifiedSDJWT,
    WithoutKeyBinding,
    confirmation,
    disclosable_places,
    issue_sd_jwt,
    parse_sd_jwt,
    present,
    select_disclosures,
    verify_sd_jwt,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ISSUER, HOLDER = ed25519.SigningKey.from_seed(b"1" * 32), ed25519.SigningKey.from_seed(b"2" * 32)
P256, P384 = ecdsa.SigningKey.generate("P-256"), ecdsa.SigningKey.generate("P-384")
DID, AGENT = did_key(ISSUER.public), did_key(HOLDER.public)
AUDIENCE, NONCE = "https://verifier.example", "nonce-of-the-verifier"
BINDING = KeyBinding(audience=AUDIENCE, nonce=NONCE)
UNBOUND: WithoutKeyBinding = "insecure_without_key_binding"

CLAIMS: dict[str, Any] = {
    "iss": DID,
    "cnf": confirmation(HOLDER.public),
    "name": "Buyer",
    "a/b~c": 1,
    "address": {"street": "Main St", "country": {"code": "DE", "name": "Germany"}},
    "tools": ["search", "order", {"name": "pay", "limit": 50}],
    "nothing": None,
}
PLACES = {"/name", "/a~1b~0c", "/address", "/address/country", "/address/country/code", "/tools/1", "/tools/2/limit"}


def issue(claims: dict[str, Any] = CLAIMS, disclosable: set[str] = PLACES, **more: Any) -> str:
    return issue_sd_jwt(claims, disclosable=disclosable, key=more.pop("key", ISSUER), typ="test+sd-jwt", **more)


def verify(text: str, key_binding: KeyBinding | WithoutKeyBinding = UNBOUND, key: SigningKey = ISSUER) -> VerifiedSDJWT:
    return verify_sd_jwt(
        text,
        expected_types=frozenset({"test+sd-jwt"}),
        find_key=lambda _header, _claims: key.public,
        key_binding=key_binding,
        now=NOW,
    )


def show(text: str, *disclose: str, key: SigningKey = HOLDER) -> str:
    return present(text, disclose=disclose, holder_key=key, audience=AUDIENCE, nonce=NONCE, now=NOW)


def test_everything_disclosed_is_everything_that_was_signed() -> None:
    verified = verify(issue())
    assert verified.claims == CLAIMS
    assert verified.disclosed == PLACES
    assert verified.holder is None


def test_the_payload_shows_nothing_of_what_is_hidden() -> None:
    payload = unverified_jws(parse_sd_jwt(issue()).issued)[0].payload.decode()
    for hidden in ("Buyer", "Main St", "Germany", "order", "50", "street", "a/b"):
        assert hidden not in payload
    assert "search" in payload


@pytest.mark.req("VCX-15")
def test_every_salt_is_fresh_and_has_128_bits() -> None:
    texts = [json.loads(base64url.decode(one.text)) for _ in range(8) for one in parse_sd_jwt(issue()).disclosures]
    salts = [parts[0] for parts in texts]
    assert len(set(salts)) == len(salts) == 8 * len(PLACES)
    assert {len(base64url.decode(salt)) for salt in salts} == {16}


def test_digests_are_in_an_order_that_says_nothing() -> None:
    payload = unverified_jws(parse_sd_jwt(issue(decoys=5)).issued)[1]
    assert payload["_sd"] == sorted(payload["_sd"])  # type: ignore[type-var]


def test_decoys_look_like_digests_and_change_nothing() -> None:
    text = issue(decoys=3)
    payload: Any = unverified_jws(parse_sd_jwt(text).issued)[1]
    assert len(payload["_sd"]) == 3 + 3
    assert sum(isinstance(item, dict) and set(item) == {"..."} for item in payload["tools"]) == 1 + 3
    assert {len(base64url.decode(digest)) for digest in payload["_sd"]} == {32}
    assert verify(text).claims == CLAIMS


def test_a_token_without_anything_to_hide_is_an_sd_jwt_too() -> None:
    text = issue(disclosable=set())
    assert text.endswith("~")
    assert text.count("~") == 1
    assert "_sd" not in unverified_jws(parse_sd_jwt(text).issued)[1]
    assert verify(text).claims == CLAIMS


def test_a_place_is_shown_with_what_it_is_in_and_nothing_below() -> None:
    shown = verify(show(issue(), "/address"), BINDING).claims
    assert shown["address"] == {"street": "Main St"}
    shown = verify(show(issue(), "/address/country/code"), BINDING).claims
    assert shown["address"] == CLAIMS["address"]
    shown = verify(show(issue(), "/address/country"), BINDING).claims
    assert shown["address"] == {"street": "Main St", "country": {"name": "Germany"}}


def test_a_withheld_element_leaves_no_gap() -> None:
    verified = verify(show(issue(), "/tools/2/limit"), BINDING)
    assert verified.claims["tools"] == ["search", {"name": "pay", "limit": 50}]
    assert verified.disclosed == {"/tools/1/limit"}


def test_claims_in_sight_may_be_asked_for_by_the_way() -> None:
    assert verify(show(issue(), "/iss", "/tools/0", "/name"), BINDING).disclosed == {"/name"}


@pytest.mark.parametrize("place", ["/nowhere", "/tools/9", "/tools/x", "/address/street/0", "/name/x"])
def test_a_place_that_is_not_there_cannot_be_shown_or_hidden(place: str) -> None:
    with pytest.raises(InvalidParameter):
        show(issue(), place)
    with pytest.raises(InvalidParameter):
        issue(disclosable={place})


@pytest.mark.parametrize("place", ["name", "/~2"])
def test_what_is_no_pointer_cannot_be_shown(place: str) -> None:
    with pytest.raises(BadProof):
        show(issue(), place)


def test_the_holder_knows_what_there_is_to_show() -> None:
    assert disclosable_places(issue(decoys=2)) == PLACES


def test_a_selection_can_be_narrowed_again() -> None:
    once = select_disclosures(issue(), disclose=["/name", "/address/country"])
    assert disclosable_places(once) == {"/name", "/address", "/address/country"}
    assert verify(select_disclosures(once, disclose=["/name"])).disclosed == {"/name"}


@pytest.mark.parametrize("key", [ISSUER, P256, P384], ids=["EdDSA", "ES256", "ES384"])
@pytest.mark.parametrize("holder", [HOLDER, P256, P384], ids=["EdDSA", "ES256", "ES384"])
def test_issuer_and_holder_may_have_any_kind_of_key(key: SigningKey, holder: SigningKey) -> None:
    text = issue({**CLAIMS, "cnf": confirmation(holder.public)}, key=key)
    verified = verify(show(text, "/name", key=holder), BINDING, key)
    assert verified.claims["name"] == "Buyer"
    assert verified.holder == holder.public


def test_a_holder_cannot_present_with_a_key_that_is_not_named() -> None:
    with pytest.raises(HolderMismatch):
        show(issue(), "/name", key=P256)


@pytest.mark.parametrize("text", ["a.b~", f"a.{base64url.encode(b'[]')}.c~", "a.!.c~", "a.b.c.d~"])
def test_what_is_no_token_cannot_be_presented(text: str) -> None:
    with pytest.raises(BadJOSE):
        show(text)


def test_a_kid_may_be_any_name() -> None:
    assert verify(show(issue(kid="key-1"), "/name"), BINDING).header["kid"] == "key-1"


def test_a_presentation_is_not_presented_again() -> None:
    with pytest.raises(BadJOSE):
        show(show(issue(), "/name"), "/name")


@pytest.mark.parametrize("member", ["_sd", "_sd_alg", "..."])
@pytest.mark.parametrize("inside", [False, True])
def test_claims_cannot_use_the_names_of_disclosures(member: str, inside: bool) -> None:
    claims = {**CLAIMS, "x": {member: ["y"]}} if inside else {**CLAIMS, member: ["y"]}
    with pytest.raises(DidAgentError) as refused:
        issue(claims)
    assert refused.value.code in ("bad_jose", "invalid_parameter")


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "nbf", "cnf", "vct", "vct#integrity", "status", "act"])
@pytest.mark.req("VCX-15")
def test_nothing_is_issued_that_hides_a_reserved_claim(name: str) -> None:
    claims = {**CLAIMS, "exp": numeric_date(NOW) + 60, "nbf": 0, name: CLAIMS.get(name, {"part": 1})}
    with pytest.raises(BadJOSE):
        issue(claims, {f"/{name}"})
    if isinstance(claims[name], dict):
        with pytest.raises(BadJOSE):
            issue(claims, {f"/{name}/{next(iter(claims[name]))}"})


@pytest.mark.req("LIM-01")
def test_nothing_is_issued_that_is_too_large_or_too_deep() -> None:
    many = {f"c{number}": number for number in range(MAX_DISCLOSURES)}
    assert len(parse_sd_jwt(issue({**many}, {f"/{name}" for name in many})).disclosures) == MAX_DISCLOSURES
    with pytest.raises(TooLarge):
        issue({"more": {**many, "one": 1}}, {f"/more/{name}" for name in [*many, "one"]})
    with pytest.raises(TooLarge):
        issue({"long": "x" * 65_000}, set())
    nested: Any = "leaf"
    for _ in range(MAX_DEPTH - 1):
        nested = {"in": nested}
    assert verify(issue({"a": nested}, {"/a"})).claims == {"a": nested}
    with pytest.raises(TooDeep):
        issue({"a": [nested]}, {"/a"})


def test_an_empty_expectation_is_none() -> None:
    for audience, nonce in (("", NONCE), (AUDIENCE, "")):
        with pytest.raises(InvalidParameter):
            KeyBinding(audience=audience, nonce=nonce)
