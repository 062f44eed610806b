"""Intake: which events of a delivery are believed to be what a party of this deployment recorded."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Sequence
from datetime import datetime

from did_agent.audit.delivery import MAX_BATCH, MAX_DELIVERY, verify_batch
from did_agent.audit.event import MAX_EVENT_BYTES, AuditEvent, is_as_written, parse_event, require_event
from did_agent.did.key import did_key
from did_agent.encoding import base64url
from did_agent.encoding.jcs import canonicalize_strings
from did_agent.encoding.strict_json import parse_object, unverified_json
from did_agent.errors import BadEncoding, BadEvent, NotJSON, UntrustedIssuer
from did_agent.keys.ed25519 import SigningKey
from ledger.model import Entry, entry_from, entry_of


def read_batch(token: str, body: bytes, *, ledger_url: str, sources: frozenset[str], now: datetime) -> Sequence[Entry]:
    """Return the events of a delivery whose sender signed for it and speaks for itself alone.

    Raises: VerificationError, Malformed.
    """
    batch = verify_batch(token, body, ledger_url=ledger_url, sources=sources, now=now)
    entries = _read(body, batch.source)
    if len({entry.id for entry in entries}) != len(entries):
        raise BadEvent("an event stands twice in the delivery")
    return entries


def conflict(entry: Entry, *, key: SigningKey, url: str, now: datetime) -> AuditEvent:
    """Return the record of an event that was refused, because the log has its id with other content.

    Its own id follows from both, so that it is recorded once however often that event comes.  What it says of that
    content is under the ledger's key: a plain hash would let anybody try names (AUD-05).
    """
    digest = hmac.digest(key.seed(), b"did-agent ledger conflict" + entry.text.encode(), "sha256")
    return AuditEvent(
        id=uuid.UUID(bytes=digest[:16], version=5).urn,
        time=now,
        source=did_key(key.public),
        party="ledger",
        principal=None,
        principal_kind=None,
        actors=(),
        client_id=None,
        action="audit.deliver",
        target=entry.id,
        resource=url,
        argument_digest=None,
        decision="deny",
        reason="state_conflict",
        explanation="the log has an event of this id with other content",
        policy=None,
        credential_ids=(),
        token_id=None,
        evidence=None,
        request_id=None,
        details={"content": base64url.encode(digest)},
    )


def _read(body: bytes, source: str) -> Sequence[Entry]:
    """Return the events; where the body is canonical, as our own senders write it, it is read at once (RFC 8785)."""
    try:
        sent = [require_event(item) for item in _events(unverified_json(body, max_bytes=MAX_DELIVERY))]
        texts = [canonicalize_strings(item) for item in sent]
    except (NotJSON, BadEncoding, BadEvent):
        sent, texts = [], []
    if texts and b'{"events":[%b]}' % b",".join(texts) == body:
        return [_entry(members, text, source) for members, text in zip(sent, texts, strict=True)]
    found = _events(parse_object(body, max_bytes=MAX_DELIVERY))
    return [_entry(require_event(item), None, source) for item in found]


def _events(members: object) -> list[object]:
    found = members.get("events") if isinstance(members, dict) and members.keys() == {"events"} else None
    if not isinstance(found, list) or not 0 < len(found) <= MAX_BATCH:
        raise BadEvent(f"a delivery holds 1 to {MAX_BATCH} events")
    return found


def _entry(members: dict[str, object], text: bytes | None, source: str) -> Entry:
    if members["source"] != source:
        raise UntrustedIssuer("an event of another party")
    if text is None or not is_as_written(str(members["time"])):  # a time has one spelling in the log
        return entry_of(parse_event(members))
    if len(text) > MAX_EVENT_BYTES:
        raise BadEvent(f"event has {len(text)} bytes, limit {MAX_EVENT_BYTES}")
    return entry_from(members, text)
