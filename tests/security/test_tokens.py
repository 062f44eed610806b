"""Every signed token: only the diagonal passes; each forged twin of an honest token is refused for its own reason."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jwcrypto import jwk, jwt

from did_agent.clock import numeric_date
from did_agent.credential.capability import parse_bare_capability
from did_agent.did.key import did_key, verification_method
from did_agent.encoding import base64url
from did_agent.errors import (
    BadDID,
    BadJOSE,
    BadKey,
    BadSignature,
    DepthExceeded,
    DidAgentError,
    Expired,
    NotBound,
    NotYetValid,
    TooLarge,
    WrongAlgorithm,
    WrongAudience,
    WrongIssuer,
    WrongKey,
    WrongType,
)
from did_agent.keys.ed25519 import PublicKey, SigningKey
from did_agent.keys.jwk import parse_public_jwk, private_jwk, public_jwk, thumbprint
from did_agent.proof.jose import parse_compact
from did_agent.proof.jwt import SKEW, sign_jwt, verify_jwt
from did_agent.tokens.access_token import AccessToken, encode_access_token, verify_access_token
from did_agent.tokens.actor import act_claim, parse_act
from did_agent.tokens.client_assertion import make_client_assertion, verify_client_assertion
from did_agent.tokens.profiles import ACCESS_TOKEN, AUDIT_BATCH, CLIENT_ASSERTION, SECURITY_EVENT
from did_agent.tokens.security_event import SecurityEvent, sign_event, verify_event

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BRIDGE, RESOURCE = "https://bridge.example", "https://mcp.example/mcp"
KEY, OTHER = SigningKey.from_seed(b"1" * 32), SigningKey.from_seed(b"2" * 32)
KID = thumbprint(KEY.public)
AGENT, SECOND = did_key(KEY.public), did_key(OTHER.public)

TOKEN = AccessToken(
    issuer=BRIDGE,
    subject="smith",
    subject_profile="user",
    audience=RESOURCE,
    client_id=AGENT,
    issued_at=NOW,
    expires=NOW + timedelta(seconds=300),
    id="token-1",
    scopes=frozenset({"tool:a", "tool:b"}),
    actors=(AGENT, SECOND),
    capabilities=(parse_bare_capability({"resource": [RESOURCE], "tools": {"a": {}, "b": {}}}),),
    entitlements=frozenset({"tool:a"}),
    evidence="sha-256:abc",
    evidence_uri=f"{BRIDGE}/evidence/sha-256:abc",
    credential_ids=("urn:uuid:1", "urn:uuid:2"),
)
HONEST: dict[str, Any] = {
    "iss": BRIDGE,
    "sub": AGENT,
    "sub_profile": "ai_agent",
    "aud": RESOURCE,
    "client_id": AGENT,
    "iat": numeric_date(NOW),
    "exp": numeric_date(NOW) + 300,
    "jti": "token-2",
    "scope": "tool:a",
}


def find(_header: Mapping[str, object], _claims: Mapping[str, object]) -> PublicKey:
    return KEY.public


def admit(text: str, *, now: datetime = NOW, audience: str = RESOURCE, issuer: str = BRIDGE) -> AccessToken:
    return verify_access_token(
        text, find_key=find, expected_issuer=issuer, expected_audience=audience, proven=frozenset(), now=now
    )


def forged(changes: Mapping[str, Any], *, typ: str = "at+jwt", key: SigningKey = KEY, **header: Any) -> str:
    claims = {name: value for name, value in {**HONEST, **changes}.items() if value is not ...}
    text = sign_jwt(claims, typ=typ, key=key, kid=KID)
    if not header:
        return text
    head = {"alg": "EdDSA", "typ": typ, "kid": KID, **header}
    head = {name: value for name, value in head.items() if value is not ...}
    signing_input = base64url.encode(json.dumps(head).encode()) + "." + text.split(".")[1]
    return signing_input + "." + base64url.encode(key.sign(signing_input.encode()))


def test_a_token_says_after_verification_what_it_said_before() -> None:
    assert admit(encode_access_token(TOKEN, key=KEY, kid=KID)) == TOKEN


def test_an_independent_library_reads_our_tokens() -> None:
    text = encode_access_token(TOKEN, key=KEY, kid=KID)
    key = jwk.JWK(**public_jwk(KEY.public))
    token = jwt.JWT(algs=["EdDSA"])
    token.leeway = 10**9
    token.deserialize(text, key)
    claims = json.loads(token.claims)
    assert claims["act"] == {
        "sub": AGENT,
        "iss": BRIDGE,
        "sub_profile": "ai_agent",
        "act": {"sub": SECOND, "iss": BRIDGE, "sub_profile": "ai_agent"},
    }
    assert key.thumbprint() == KID


@pytest.mark.req("TOK-01")
def test_only_our_algorithms_and_our_key_sign() -> None:
    admit(forged({}))
    admit(forged({}, alg="Ed25519"))
    for algorithm in ("none", "None", "NONE", "HS256", "RS256", "ES256", "", None, 1):
        with pytest.raises((WrongAlgorithm, BadJOSE)):
            admit(forged({}, alg=algorithm))
    head = base64url.encode(b'{"alg":"HS256","typ":"at+jwt"}')
    body = forged({}).split(".")[1]
    mac = hmac.digest(KEY.public.raw, f"{head}.{body}".encode(), hashlib.sha256)
    with pytest.raises(WrongAlgorithm):
        admit(f"{head}.{body}.{base64url.encode(mac)}")
    with pytest.raises(BadSignature):
        admit(forged({}, key=OTHER))


@pytest.mark.req("TOK-02", "TOK-04")
@pytest.mark.parametrize("member", ["jwk", "jku", "x5c", "x5u", "crit", "b64", "zip", "enc"])
def test_a_header_brings_neither_key_nor_link_nor_extension(member: str) -> None:
    values = {"jwk": public_jwk(OTHER.public), "crit": [], "b64": False}
    with pytest.raises(BadJOSE):
        admit(forged({}, **{member: values.get(member, "https://evil.example/")}))


@pytest.mark.req("TOK-03")
@pytest.mark.parametrize("kid", ["", "../../etc/passwd' --", "k" * 129, 7, None, ["a"], "a\nb", "a b"])
def test_a_strange_kid_is_refused_before_any_look_up(kid: object) -> None:
    with pytest.raises(BadJOSE):
        admit(forged({}, kid=kid))


@pytest.mark.req("TOK-05")
def test_two_ways_to_read_a_token_are_none() -> None:
    honest = forged({})
    head, body, tail = honest.split(".")
    padded = base64.urlsafe_b64encode(base64url.decode(body)).decode()
    spoiled = [
        f"{head}.{body}={chr(61)}.{tail}" if padded == body else f"{head}.{padded}.{tail}",
        honest + ".extra",
        honest + "\n",
        " " + honest,
        f"{head}.{body}",
        json.dumps({"payload": body, "signatures": [{"protected": head, "signature": tail}]}),
        honest.replace(".", "..", 1),
    ]
    for text in spoiled:
        if text != honest:
            with pytest.raises(BadJOSE):
                admit(text)
    for payload in (
        b'{"iss":"a","iss":"b"}',
        b'{"iat":NaN}',
        b'{"iat":1e999}',
        b'{"iat":9007199254740993}',
        b'{"iss":"\\ud800"}',
        b"[]",
        b"\xef\xbb\xbf{}",
    ):
        signing_input = f"{head}.{base64url.encode(payload)}"
        with pytest.raises(BadJOSE):
            admit(f"{signing_input}.{base64url.encode(KEY.sign(signing_input.encode()))}")


@pytest.mark.req("TOK-06")
def test_time_is_whole_seconds_and_has_edges() -> None:
    start, end = HONEST["iat"], HONEST["exp"]
    admit(forged({"iat": start + SKEW}))
    with pytest.raises(NotYetValid):
        admit(forged({"iat": start + SKEW + 1, "exp": end}))
    admit(forged({}), now=NOW + timedelta(seconds=300 + SKEW - 1))
    with pytest.raises(Expired):
        admit(forged({}), now=NOW + timedelta(seconds=300 + SKEW))
    with pytest.raises(NotYetValid):
        admit(forged({"nbf": start + SKEW + 1}))
    with pytest.raises(Expired):
        admit(forged({"exp": start + 601}))
    for name in ("exp", "iat", "nbf"):
        for value in (True, str(end), end + 0.5, -1, None, [end]):
            with pytest.raises((BadJOSE, Expired)):
                admit(forged({name: value}))
    for name in ("exp", "iat"):
        with pytest.raises(BadJOSE):
            admit(forged({name: ...}))


@pytest.mark.req("TOK-07")
def test_a_token_for_another_resource_or_of_another_issuer_is_refused() -> None:
    admit(forged({}))
    for audience in (
        RESOURCE + "/",
        "https://mcp.example",
        "https://MCP.example/mcp",
        [RESOURCE, "https://other.example"],
        [],
        None,
        {"a": 1},
    ):
        with pytest.raises(WrongAudience):
            admit(forged({"aud": audience}))
    admit(forged({"aud": [RESOURCE]}))
    for issuer in (BRIDGE + "/", "https://evil.example", None, [BRIDGE]):
        with pytest.raises(WrongIssuer):
            admit(forged({"iss": issuer}))
    with pytest.raises(WrongAudience):
        admit(forged({}), audience="https://second.example/mcp")


@pytest.mark.req("TOK-08")
def test_each_kind_of_token_passes_its_own_door_only() -> None:
    everything = {
        **HONEST,
        "iss": AGENT,
        "aud": RESOURCE,
        "digest": "d",
        "sub_id": {"format": "uri", "uri": "x"},
        "events": {"https://w3id.org/did-agent/event/token-revoked": {}},
        "exp": HONEST["iat"] + 30,
    }
    kinds = {
        "at+jwt": ACCESS_TOKEN,
        "client-authentication+jwt": CLIENT_ASSERTION,
        "secevent+jwt": SECURITY_EVENT,
        "audit-batch+jwt": AUDIT_BATCH,
        "vp+jwt": None,
        "kb+jwt": None,
        "dpop+jwt": None,
        "statuslist+jwt": None,
    }
    passed = set()
    for typ in kinds:
        text = sign_jwt(everything, typ=typ, key=KEY, kid=KID)
        for door, profile in kinds.items():
            if profile is None:
                continue
            try:
                verify_jwt(
                    text,
                    profile,
                    find_key=find,
                    expected_issuer=None,
                    expected_audience=frozenset({RESOURCE}),
                    now=NOW,
                )
                passed.add((typ, door))
            except WrongType:
                pass
    assert passed == {(typ, typ) for typ, profile in kinds.items() if profile is not None}


@pytest.mark.req("TOK-09")
def test_a_bound_token_is_no_bearer_token() -> None:
    with pytest.raises(NotBound):
        admit(forged({"cnf": {"jkt": KID}}))
    with pytest.raises(BadJOSE):  # an unknown demand is never taken for none
        admit(forged({"cnf": {"kid": KID}}))


@pytest.mark.req("TOK-13")
@pytest.mark.parametrize(
    "raw",
    [b"", b"\x00" * 32, b"\x01" + b"\x00" * 31, b"\xff" * 32, b"\xec" + b"\xff" * 30 + b"\x7f", KEY.public.raw[:31]],
)
def test_a_weak_public_key_enters_nowhere(raw: bytes) -> None:
    with pytest.raises(BadKey):
        PublicKey.from_bytes(raw)
    with pytest.raises(BadKey):
        parse_public_jwk({"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(raw)})
    assert parse_public_jwk(public_jwk(KEY.public)) == KEY.public
    with pytest.raises(BadKey):
        parse_public_jwk(private_jwk(KEY))


@pytest.mark.req("LIM-01")
def test_an_oversized_token_is_refused_unread() -> None:
    with pytest.raises(TooLarge):
        parse_compact("a" * 16_385)
    with pytest.raises(BadJOSE):
        parse_compact(base64url.encode(b'{"alg":"EdDSA","typ":"' + b"x" * 2_048 + b'"}') + ".e30.AA")


@pytest.mark.req("OAU-07", "DEL-01")
def test_a_client_assertion_is_by_the_client_for_us_alone() -> None:
    honest = make_client_assertion(KEY, audience=BRIDGE, now=NOW)
    assert verify_client_assertion(honest, expected_audience=BRIDGE, now=NOW).client_id == AGENT
    base = {"iss": AGENT, "sub": AGENT, "aud": BRIDGE, "iat": HONEST["iat"], "exp": HONEST["exp"], "jti": "j"}

    def check(changes: dict[str, Any], key: SigningKey = KEY, kid: str | None = None, typ: str = "JWT") -> str:
        claims = {name: value for name, value in {**base, **changes}.items() if value is not ...}
        text = sign_jwt(claims, typ=typ, key=key, kid=kid)
        return verify_client_assertion(text, expected_audience=BRIDGE, now=NOW).client_id

    assert check({}) == AGENT
    for changes, error in (
        ({"aud": BRIDGE + "/token"}, WrongAudience),
        ({"aud": [BRIDGE, BRIDGE + "/token"]}, WrongAudience),
        ({"iss": SECOND}, WrongIssuer),
        ({"sub": SECOND}, BadSignature),
        ({"sub": "smith"}, BadDID),
        ({"exp": HONEST["iat"] + 301}, Expired),
        ({"jti": ...}, BadJOSE),
        ({"jti": "x" * 257}, BadJOSE),
    ):
        with pytest.raises(error):
            check(changes)
    with pytest.raises(WrongKey):
        check({}, kid=verification_method(SECOND))
    with pytest.raises(BadSignature):
        check({}, key=OTHER)
    for typ in ("at+jwt", "vp+jwt", "dpop+jwt", "oauth-id-jag+jwt"):
        with pytest.raises(WrongType):
            check({}, typ=typ)


@pytest.mark.req("DEL-08")
def test_a_chain_of_actors_is_bounded_and_names_nobody_twice() -> None:
    names = tuple(f"did:key:z{number}" for number in range(9))
    assert parse_act(act_claim(names[:8], issuer=BRIDGE)) == names[:8]
    with pytest.raises(DepthExceeded):
        parse_act(act_claim(names, issuer=BRIDGE))
    with pytest.raises(BadJOSE):
        parse_act(act_claim((AGENT, SECOND, AGENT), issuer=BRIDGE))
    assert parse_act(None) == ()
    for claim in ({}, {"sub": AGENT}, {"sub": AGENT, "iss": BRIDGE, "exp": 1}, {"sub": 1, "iss": BRIDGE}, "a", [], 0):
        with pytest.raises(BadJOSE):
            parse_act(claim)


@pytest.mark.req("DEL-07", "DEL-08")
def test_a_token_whose_subject_acts_for_itself_is_refused() -> None:
    with pytest.raises(BadJOSE):
        admit(encode_access_token(replace(TOKEN, subject=AGENT, subject_profile="ai_agent"), key=KEY, kid=KID))


@pytest.mark.req("TOK-07")
def test_authorization_details_speak_of_this_resource_alone() -> None:
    elsewhere = parse_bare_capability({"resource": ["https://other.example"], "tools": {"a": {}}})
    with pytest.raises(DidAgentError):
        admit(
            forged(
                {
                    "authorization_details": [
                        {
                            "type": "attenuating_agent_token",
                            "locations": ["https://other.example"],
                            "tools": {name: {} for name in elsewhere.tools},
                        }
                    ]
                }
            )
        )


def test_a_security_event_survives_its_journey() -> None:
    event = SecurityEvent(
        id="e1",
        kind="credential-revoked",
        subject="urn:uuid:1",
        issued_at=NOW,
        reason="over",
        issuer=AGENT,
        audience=BRIDGE,
    )
    text = sign_event(event, key=KEY, kid=KID)
    read = verify_event(text, find_key=find, expected_issuer=AGENT, expected_audience=BRIDGE, now=NOW)
    assert read == event
    with pytest.raises(WrongIssuer):
        verify_event(text, find_key=find, expected_issuer=SECOND, expected_audience=BRIDGE, now=NOW)
