"""Security events: only a known kind, exactly one, of the expected issuer, for us."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from did_agent.clock import numeric_date
from did_agent.did.key import did_key
from did_agent.errors import BadJOSE, BadSignature, NotYetValid, UnknownEvent, WrongAudience, WrongIssuer, WrongType
from did_agent.keys.ed25519 import PublicKey, SigningKey
from did_agent.proof.jwt import SKEW, sign_jwt
from did_agent.tokens.security_event import (
    EVENT_PREFIX,
    MAX_REASON,
    EventKind,
    Risk,
    SecurityEvent,
    sign_event,
    verify_event,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY, OTHER = SigningKey.from_seed(b"1" * 32), SigningKey.from_seed(b"2" * 32)
ISSUER, BRIDGE = did_key(KEY.public), "https://bridge.example"
HONEST: dict[str, Any] = {
    "iss": ISSUER,
    "aud": BRIDGE,
    "iat": numeric_date(NOW),
    "jti": "e1",
    "sub_id": {"format": "uri", "uri": "urn:uuid:1"},
    "events": {EVENT_PREFIX + "credential-revoked": {"reason": "over"}},
}


def find(_header: Mapping[str, object], _claims: Mapping[str, object]) -> PublicKey:
    return KEY.public


def hear(changes: Mapping[str, Any], *, typ: str = "secevent+jwt", key: SigningKey = KEY) -> SecurityEvent:
    claims = {name: value for name, value in {**HONEST, **changes}.items() if value is not ...}
    text = sign_jwt(claims, typ=typ, key=key)
    return verify_event(text, find_key=find, expected_issuer=ISSUER, expected_audience=BRIDGE, now=NOW)


@pytest.mark.req("TOK-08")
@pytest.mark.parametrize("kind", get_args(EventKind))
def test_every_kind_of_event_is_heard_as_it_was_said(kind: EventKind) -> None:
    said = SecurityEvent(
        id="e",
        kind=kind,
        subject="did:key:zA",
        issued_at=NOW,
        reason="why",
        issuer=ISSUER,
        audience=BRIDGE,
        risk=Risk(source="scanner", level=70, until=NOW) if kind == "risk-signal" else None,
    )
    text = sign_event(said, key=KEY, kid="k")
    # Years later as well: an event does not stop having happened.
    later = NOW + timedelta(days=1_000)
    assert verify_event(text, find_key=find, expected_issuer=ISSUER, expected_audience=BRIDGE, now=later) == said


@pytest.mark.parametrize(
    "changes",
    [
        {"events": {}},
        {"events": {EVENT_PREFIX + "credential-revoked": {}, EVENT_PREFIX + "token-revoked": {}}},
        {"events": {EVENT_PREFIX + "credential-revoked": None}},
        {"events": [EVENT_PREFIX + "credential-revoked"]},
        {"events": ...},
        {"sub_id": {"format": "email", "email": "a@b.example"}},
        {"sub_id": {"format": "uri"}},
        {"sub_id": {"format": "uri", "uri": 5}},
        {"sub_id": "urn:uuid:1"},
        {"sub_id": ...},
        {"jti": ...},
        {"jti": ""},
        {"iat": ...},
        {"iat": "1"},
    ],
)
def test_an_event_that_says_too_much_too_little_or_something_else_is_not_read(changes: dict[str, Any]) -> None:
    assert hear({}).kind == "credential-revoked"
    with pytest.raises(BadJOSE):
        hear(changes)


@pytest.mark.parametrize(
    "uri", [EVENT_PREFIX + "everything-revoked", "https://evil.example/event/credential-revoked", "credential-revoked"]
)
def test_an_event_of_a_kind_we_do_not_know_is_told_apart(uri: str) -> None:
    with pytest.raises(UnknownEvent):
        hear({"events": {uri: {}}})


@pytest.mark.req("TOK-06", "TOK-07", "TOK-08")
def test_an_event_by_another_for_another_or_of_another_type_is_not_believed() -> None:
    with pytest.raises(WrongIssuer):
        hear({"iss": did_key(OTHER.public)})
    for audience in (BRIDGE + "/", [BRIDGE, "https://other.example"], None):
        with pytest.raises(WrongAudience):
            hear({"aud": audience})
    with pytest.raises(BadSignature):
        hear({}, key=OTHER)
    for typ in ("at+jwt", "JWT", "audit-batch+jwt", "vp+jwt"):
        with pytest.raises(WrongType):
            hear({}, typ=typ)
    assert hear({"iat": HONEST["iat"] + SKEW})
    with pytest.raises(NotYetValid):
        hear({"iat": HONEST["iat"] + SKEW + 1})


@pytest.mark.req("LIM-01")
def test_a_reason_is_short() -> None:
    long = {"events": {EVENT_PREFIX + "token-revoked": {"reason": "x" * (MAX_REASON + 1)}}}
    assert len(hear(long).reason) == MAX_REASON
