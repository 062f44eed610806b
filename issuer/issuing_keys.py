"""States of the keys organisations sign with: pending, active, retiring, then retired or revoked (KEY-02, KEY-03).

A key's successor is believed before it signs, for twice as long as readers of the trust list may be behind; the key
before it is believed until somebody retires it, which takes that nothing it signed is in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from did_agent.errors import NotFound, StateConflict
from did_agent.tokens.key_handover import MAX_HANDOVERS
from issuer.model.keys import IssuingKey, IssuingKeyState

PUBLISH_BEFORE: Final = timedelta(seconds=120)  # readers ask every ten seconds and may be a minute behind
BELIEVED: Final[tuple[IssuingKeyState, ...]] = ("active", "pending", "retiring")  # who signs first


def state_at(key: IssuingKey, now: datetime) -> IssuingKeyState:
    """Return the state of a key; time alone never leads back."""
    if key.why is not None:
        return key.why
    if now < key.activates:
        return "pending"
    return "active" if key.replaced is None or now < key.replaced else "retiring"


def signing_at(keys: Iterable[IssuingKey], now: datetime) -> IssuingKey:
    """Return the key that signs.

    Raises: NotFound.
    """
    for key in keys:
        if state_at(key, now) == "active":
            return key
    raise NotFound("no key signs for this organisation")


def believed_at(keys: Iterable[IssuingKey], now: datetime) -> Sequence[IssuingKey]:
    """Return the keys whose word counts, first the one that signs."""
    found = [(BELIEVED.index(state), key) for key in keys if (state := state_at(key, now)) in BELIEVED]
    return [key for _, key in sorted(found, key=lambda one: (one[0], -one[1].generation))]


def require_room(keys: Sequence[IssuingKey], now: datetime) -> None:
    """Return when an organisation may have another key.

    Raises: StateConflict while a successor waits, or when nobody could follow the way to it any more.
    """
    if any(state_at(key, now) == "pending" for key in keys):
        raise StateConflict("a rotation is under way: its key is published and does not sign yet")
    if len(keys) >= MAX_HANDOVERS:
        raise StateConflict(f"an organisation has at most {MAX_HANDOVERS} keys")


def plan_rotation(keys: Sequence[IssuingKey], successor: IssuingKey, now: datetime) -> tuple[IssuingKey, IssuingKey]:
    """Return the key that signs as it will be replaced, and its successor, which is only published for now.

    Raises: NotFound, StateConflict.
    """
    require_room(keys, now)
    active, begins = signing_at(keys, now), now + PUBLISH_BEFORE
    return replace(active, replaced=begins), replace(successor, activates=begins)


def plan_retirement(keys: Sequence[IssuingKey], did: str, now: datetime) -> IssuingKey:
    """Return a key as it is when it has done its part.

    Raises: NotFound, StateConflict unless another one signs in its place.
    """
    key = named(keys, did)
    state = state_at(key, now)
    if state != "retiring":
        raise StateConflict(f"the key is {state}; retired is what another one signs in place of")
    return replace(key, ended=now, why="retired")


def plan_revocation(
    keys: Sequence[IssuingKey], did: str, successor: IssuingKey, now: datetime
) -> tuple[list[IssuingKey], bool]:
    """Return every key that changes when one ends at once, and whether `successor` is among them: somebody signs.

    Raises: NotFound, StateConflict for a key that is over.
    """
    key = named(keys, did)
    state = state_at(key, now)
    if state in ("retired", "revoked"):
        raise StateConflict(f"the key is {state}: nothing of it is believed")
    changed = [replace(key, ended=now, why="revoked")]
    others = [one for one in keys if one.did != did]
    if state == "pending":  # then nobody replaces the one that signs
        return [*changed, *(replace(one, replaced=None) for one in others if state_at(one, now) == "active")], False
    if state == "retiring":
        return changed, False
    waiting = [replace(one, activates=now) for one in others if state_at(one, now) == "pending"]
    return ([*changed, *waiting], False) if waiting else ([*changed, replace(successor, activates=now)], True)


def named(keys: Iterable[IssuingKey], did: str) -> IssuingKey:
    """Return the key of a DID.

    Raises: NotFound.
    """
    for key in keys:
        if key.did == did:
            return key
    raise NotFound("there is no such key")
