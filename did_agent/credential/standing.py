"""Whether a chain still stands: nothing in it is revoked or suspended, by the lists of its root issuer (VCX-10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from did_agent.credential.chain import VerifiedChain
from did_agent.credential.status import StatusEntry, VerifiedStatusList, is_set
from did_agent.errors import Revoked, StatusUnavailable, Suspended


def require_standing(chain: VerifiedChain, statuses: Mapping[str, VerifiedStatusList], *, now: datetime) -> None:
    """Return when every link of a chain stands; without a list nobody can say so, and the answer is no.

    Raises: Revoked, Suspended, StatusUnavailable.
    """
    for entry in chain.status_entries:
        found = statuses.get(entry.list_url)
        if found is None:
            raise StatusUnavailable(f"no status list from {entry.list_url}")
        for check in STATUS_CHECKS:
            check(entry, found, chain, now)


def list_is_the_one_named(entry: StatusEntry, found: VerifiedStatusList, _chain: VerifiedChain, _now: datetime) -> None:
    """Refuse a list from another address or of another purpose (VCX-10)."""
    if found.url != entry.list_url or found.purpose != entry.purpose:
        raise StatusUnavailable(f"the list at {entry.list_url} is not for {entry.purpose}")


def list_is_by_the_root_issuer(
    _entry: StatusEntry, found: VerifiedStatusList, chain: VerifiedChain, _now: datetime
) -> None:
    """Refuse a list by anyone else, trusted or not: a stranger's list could un-revoke the chain."""
    if found.issuer != chain.root_issuer:
        raise StatusUnavailable(f"the list at {found.url} is by {found.issuer}")


def list_is_current(_entry: StatusEntry, found: VerifiedStatusList, _chain: VerifiedChain, now: datetime) -> None:
    """Refuse a list that has ended while it was cached."""
    if now >= found.valid_until:
        raise StatusUnavailable(f"the list at {found.url} ended {found.valid_until:%FT%TZ}")


def status_is_clear(entry: StatusEntry, found: VerifiedStatusList, _chain: VerifiedChain, _now: datetime) -> None:
    """Refuse revoked and suspended credentials, and indexes that no list can answer for."""
    if entry.index >= len(found.bits) * 8:
        raise StatusUnavailable(f"index {entry.index} is outside the list at {found.url}")
    if is_set(found.bits, entry.index):
        error = Revoked if entry.purpose == "revocation" else Suspended
        raise error(f"entry {entry.index} of {found.url} is set")


StatusCheck = Callable[[StatusEntry, VerifiedStatusList, VerifiedChain, datetime], None]

STATUS_CHECKS: Final[Sequence[StatusCheck]] = (
    list_is_the_one_named,
    list_is_by_the_root_issuer,
    list_is_current,
    status_is_clear,
)
