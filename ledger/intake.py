"""Intake: which events of a delivery are believed to be what a party of this deployment recorded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from did_agent.audit.delivery import MAX_BATCH, verify_batch
from did_agent.audit.event import AuditEvent, parse_event
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import BadEvent, UntrustedIssuer


def read_batch(
    token: str, body: bytes, *, ledger_url: str, sources: frozenset[str], now: datetime
) -> Sequence[AuditEvent]:
    """Return the events of a delivery whose sender signed for it and speaks for itself alone.

    Raises: VerificationError, Malformed.
    """
    batch = verify_batch(token, body, ledger_url=ledger_url, sources=sources, now=now)
    members = parse_object(body)
    found = members.get("events")
    if members.keys() != {"events"} or not isinstance(found, list) or not 0 < len(found) <= MAX_BATCH:
        raise BadEvent(f"a delivery holds 1 to {MAX_BATCH} events")
    events = [parse_event(item) for item in found]
    if any(event.source != batch.source for event in events):
        raise UntrustedIssuer("an event of another party")
    if len({event.id for event in events}) != len(events):
        raise BadEvent("an event stands twice in the delivery")
    return events
