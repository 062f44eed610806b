"""Security Event Tokens (RFC 8417) that end what a credential, agent or token could do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, cast, get_args

from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadJOSE, UnknownEvent
from did_agent.keys.public import SigningKey
from did_agent.proof.jwt import FindKey, sign_jwt, verify_jwt
from did_agent.tokens.profiles import SECURITY_EVENT

EventKind = Literal[
    "credential-revoked",
    "credential-suspended",
    "credential-resumed",
    "agent-suspended",
    "agent-resumed",
    "agent-retired",
    "token-revoked",
    "task-completed",
    "risk-signal",
]

EVENT_PREFIX: Final = "https://w3id.org/did-agent/event/"
SUSPENSIONS: Final[tuple[EventKind, ...]] = ("agent-suspended", "credential-suspended")
RESUMPTIONS: Final[tuple[EventKind, ...]] = ("agent-resumed", "credential-resumed")
MAX_REASON: Final = 256  # characters
MAX_RISK: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """How much a source distrusts a subject, and until when; 0 takes back what it said."""

    source: str
    level: int  # 0 to MAX_RISK
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityEvent:
    """Something ended, or came back: `subject` is a credential id, an agent's DID, a token's jti or a task's id.

    A risk signal ends nothing: it says how risky its subject is, an agent's DID or a person's name.
    """

    id: str
    kind: EventKind
    subject: str
    issued_at: datetime
    reason: str
    issuer: str
    audience: str
    risk: Risk | None = None  # of a risk signal


def sign_event(event: SecurityEvent, *, key: SigningKey, kid: str) -> str:
    """Return the signed SET."""
    facts: dict[str, object] = {"reason": event.reason[:MAX_REASON]}
    if event.risk is not None:
        until = numeric_date(event.risk.until)
        facts |= {"source": event.risk.source, "level": event.risk.level, "until": until}
    claims = {
        "iss": event.issuer,
        "aud": event.audience,
        "iat": numeric_date(event.issued_at),
        "jti": event.id,
        "sub_id": {"format": "uri", "uri": event.subject},
        "events": {EVENT_PREFIX + event.kind: facts},
    }
    return sign_jwt(claims, typ="secevent+jwt", key=key, kid=kid)


def verify_event(
    text: str, *, find_key: FindKey, expected_issuer: str | None, expected_audience: str, now: datetime
) -> SecurityEvent:
    """Return the event a SET reports; exactly one event of a kind we know.

    Raises: what `verify_jwt` raises, UnknownEvent for one that is signed and of a kind this version does not know.
    """
    verified = verify_jwt(
        text,
        SECURITY_EVENT,
        find_key=find_key,
        expected_issuer=expected_issuer,
        expected_audience=frozenset({expected_audience}),
        now=now,
    )
    subject, events = verified.claims["sub_id"], verified.claims["events"]
    if not isinstance(subject, dict) or subject.get("format") != "uri" or not isinstance(subject.get("uri"), str):
        raise BadJOSE("sub_id is not a URI subject")
    if not isinstance(events, dict) or len(events) != 1:
        raise BadJOSE("exactly one event is expected")
    ((uri, facts),) = events.items()
    kind = str(uri).removeprefix(EVENT_PREFIX)
    if not str(uri).startswith(EVENT_PREFIX) or kind not in get_args(EventKind):
        raise UnknownEvent(f"an event of the kind {kind[:80]}")
    if not isinstance(facts, dict):
        raise BadJOSE("an event that says nothing")
    return SecurityEvent(
        id=verified.text("jti"),
        kind=cast("EventKind", kind),
        subject=str(subject["uri"]),
        issued_at=from_numeric_date(cast("int", verified.claims["iat"])),
        reason=str(facts.get("reason", ""))[:MAX_REASON],
        issuer=verified.text("iss"),
        audience=expected_audience,
        risk=_risk(facts) if kind == "risk-signal" else None,
    )


def _risk(facts: dict[str, object]) -> Risk:
    source, level, until = (facts.get(name) for name in ("source", "level", "until"))
    if not isinstance(source, str) or type(level) is not int or type(until) is not int:
        raise BadJOSE("a risk signal lacks source, level or until")
    if not 0 <= level <= MAX_RISK:
        raise BadJOSE(f"a risk is 0 to {MAX_RISK}")
    return Risk(source=source, level=level, until=from_numeric_date(until))
