"""Delegations: whether an agent may keep the status of a credential it makes for another one in our lists."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from did_agent.credential.model import parse_capability_credential
from did_agent.did.resolve import resolve
from did_agent.errors import InvalidParameter, KeysUnavailable, NotFound, QuotaExceeded, StateConflict
from issuer.model import Grant
from issuer.model.status import Delegation, NewDelegation

MAX_REGISTERED: Final = 1_000  # of one agent within QUOTA_SPAN: a place in a list is never given back
QUOTA_SPAN: Final = timedelta(days=1)
MAX_DID: Final = 256  # characters
_ID: Final = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """What is handed on."""

    id: str
    holder: str  # DID
    depth: int  # 0 for a credential of ours
    max_depth: int  # how deep the root allows
    valid_until: datetime
    in_force: bool


def parent_of_grant(grant: Grant, now: datetime) -> Parent:
    """Return a credential of ours as what is handed on."""
    return Parent(
        id=grant.id,
        holder=grant.did,
        depth=0,
        max_depth=parse_capability_credential(grant.document).max_depth,
        valid_until=grant.valid_until,
        in_force=grant.state_at(now) == "active",
    )


def parent_of_delegation(delegation: Delegation, now: datetime) -> Parent:
    """Return a registered delegation as what is handed on."""
    return Parent(
        id=delegation.id,
        holder=delegation.subject,
        depth=delegation.depth,
        max_depth=delegation.max_depth,
        valid_until=delegation.valid_until,
        in_force=delegation.revoked is None and now < delegation.valid_until,
    )


def require_registrable(
    new: NewDelegation, parent: Parent | None, *, delegator: str, registered: int, now: datetime
) -> Parent:
    """Return what is handed on, when its holder may hand it on as it says.

    What belongs to somebody else is answered like what does not exist.
    Raises: InvalidParameter, NotFound, StateConflict, QuotaExceeded.
    """
    if not _ID.fullmatch(new.id):
        raise InvalidParameter("id: a urn:uuid in lower case")
    if parent is None or parent.holder != delegator:
        raise NotFound("you hold no such credential")
    if not parent.in_force:
        raise StateConflict("the credential is not in force")
    if parent.depth >= parent.max_depth:
        raise StateConflict("the credential may not be delegated any further")
    if not now < new.valid_until <= parent.valid_until:
        raise InvalidParameter("valid_until: after now, and not after the end of the parent")
    if _require_did(new.subject) == delegator:
        raise InvalidParameter("subject: an agent cannot delegate to itself")
    if registered >= MAX_REGISTERED:
        raise QuotaExceeded(f"at most {MAX_REGISTERED} delegations a day have their status here")
    return parent


def _require_did(value: str) -> str:
    if len(value) > MAX_DID:
        raise InvalidParameter(f"subject: at most {MAX_DID} characters")
    with suppress(KeysUnavailable):  # a did:web: whoever verifies its presentation has the document
        resolve(value)
    return value
