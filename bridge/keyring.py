"""States of signing keys: pending, active, retiring, retired; revoked from any of them (KEY-02, KEY-03).

A key's successor is published before it signs, for twice as long as verifiers may keep a key set; the key before it
stays published until the last token it signed has ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from bridge.model import TOKEN_SECONDS
from bridge.model.keys import KeyState, SigningAlgorithm, SigningKeyRecord
from did_agent.errors import NotFound, StateConflict

JWKS_MAX_AGE: Final = 60  # s that verifiers may keep our key set
PUBLISH_BEFORE: Final = timedelta(seconds=2 * JWKS_MAX_AGE)
LINGER: Final = timedelta(seconds=TOKEN_SECONDS + 60)  # life of the last token, and what clocks may differ
PUBLISHED: Final = ("pending", "active", "retiring")
BELIEVED: Final = ("active", "retiring")


def state_at(record: SigningKeyRecord, now: datetime) -> KeyState:
    """Return the state of a key; time alone never leads back."""
    if record.revoked is not None:
        return "revoked"
    if now < record.activates:
        return "pending"
    if record.replaced is None or now < record.replaced:
        return "active"
    return "retiring" if now < record.replaced + LINGER else "retired"


def signing_at(records: Iterable[SigningKeyRecord], algorithm: SigningAlgorithm, now: datetime) -> SigningKeyRecord:
    """Return the key that signs with an algorithm.

    Raises: NotFound.
    """
    for record in records:
        if record.algorithm == algorithm and state_at(record, now) == "active":
            return record
    raise NotFound(f"no key signs with {algorithm}")


def plan_rotation(
    records: Iterable[SigningKeyRecord], successor: SigningKeyRecord, now: datetime
) -> tuple[SigningKeyRecord, SigningKeyRecord]:
    """Return the active key as it will be replaced, and its successor, which is only published for now.

    Raises: NotFound, StateConflict while another successor waits.
    """
    known = [record for record in records if record.algorithm == successor.algorithm]
    if any(state_at(record, now) == "pending" for record in known):
        raise StateConflict("a rotation is under way: its key is published and not active yet")
    active, begins = signing_at(known, successor.algorithm, now), now + PUBLISH_BEFORE
    planned = replace(successor, activates=begins, generation=_next_generation(known))
    return replace(active, replaced=begins), planned


def plan_revocation(
    records: Iterable[SigningKeyRecord], kid: str, successor: SigningKeyRecord | None, now: datetime
) -> list[SigningKeyRecord]:
    """Return every record that changes when a key is revoked at once; somebody always signs (KEY-03).

    Whoever waits to follow an active key follows now; else `successor` does, if one is given.
    Raises: NotFound, StateConflict for a key that is over, or when nobody would sign.
    """
    known = list(records)
    ended = next((record for record in known if record.kid == kid), None)
    if ended is None:
        raise NotFound("there is no such key")
    state = state_at(ended, now)
    if state in ("retired", "revoked"):
        raise StateConflict(f"the key is {state}")
    changed = [replace(ended, revoked=now)]
    same = [record for record in known if record.algorithm == ended.algorithm and record.kid != kid]
    if state == "pending":  # then nobody replaces the active key any more
        return [*changed, *(replace(one, replaced=None) for one in same if state_at(one, now) == "active")]
    if state == "retiring":
        return changed
    waiting = next((record for record in same if state_at(record, now) == "pending"), None)
    if waiting is not None:
        return [*changed, replace(waiting, activates=now)]
    if successor is None:
        raise StateConflict("without this key nobody would sign")
    return [*changed, replace(successor, activates=now, generation=_next_generation([ended, *same]))]


def _next_generation(records: Iterable[SigningKeyRecord]) -> int:
    return 1 + max((record.generation for record in records), default=0)
