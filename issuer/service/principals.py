"""Principals: noted when they come, named by admins, forgotten when they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from did_agent.errors import NotFound
from issuer.access import READERS
from issuer.model import Operator
from issuer.model.principals import Principal
from issuer.ports import Work
from issuer.principals import require_may_say, require_names, require_principal
from issuer.service.office import Office

NOTED_AGAIN: Final = timedelta(hours=1)  # a principal that goes on coming is written down this often
_MOST: Final = 10_000  # principals that a process remembers to have noted

_Noted = tuple[datetime, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principals:
    """Who operates agents of an organisation."""

    office: Office
    _noted: dict[tuple[str, str], _Noted] = field(default_factory=dict, repr=False, compare=False)

    async def note(self, by: Operator) -> Operator:
        """Return who asks, written down as a principal of its organisation unless that was done a short while ago.

        Raises: StoreUnavailable.
        """
        roles = frozenset(role for role in by.roles if role in READERS)
        if not roles or by.principal is None or by.kind == "agent" or by.actors:
            return by
        now, key = self.office.clock(), (by.organisation, by.principal)
        known = self._noted.get(key)
        if known is not None and known[1] == roles and timedelta(0) <= now - known[0] < NOTED_AGAIN:
            return by
        noted = Principal(organisation=by.organisation, id=by.principal, roles=roles, seen=now)
        async with self.office.store.work() as work:
            await work.note_principal(noted)
        if len(self._noted) >= _MOST:
            self._noted.clear()
        self._noted[key] = (now, roles)
        return by

    async def list(self, *, after: str, limit: int, by: Operator) -> Sequence[Principal]:
        """Return principals of the organisation.

        Raises: StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return await work.principals(by.organisation, after=after, limit=limit)

    async def name(self, identifier: str, sponsors: Sequence[str], *, by: Operator) -> Principal:
        """Say that there is such a principal, and whom it may name as sponsor of agents beside itself.

        Raises: InvalidParameter, StoreUnavailable.
        """
        named = Principal(
            organisation=by.organisation,
            id=require_principal(identifier),
            sponsors=require_names(sponsors),
            named_by=by.principal or "",
        )
        async with self.office.store.work() as work:
            await work.name_principal(named)
            words = f"{named.id} may name as sponsor: {', '.join(named.sponsors) or 'itself alone'}"[:500]
            await work.record(self.office.event(by, "principal.name", named.id, words))
            found = await work.principal(named.id, organisation=by.organisation)
        self.office.news.wake_audit()
        return found or named

    async def forget(self, identifier: str, *, by: Operator) -> None:
        """Forget a principal: nothing goes into its hands any more; what it owns stays, for managers to hand over.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            if not await work.forget_principal(identifier, organisation=by.organisation):
                raise NotFound("there is no such principal")
            await work.record(self.office.event(by, "principal.forget", identifier, "it owns nothing new any more"))
        self._noted.pop((by.organisation, identifier), None)
        self.office.news.wake_audit()


async def require_sponsors(work: Work, names: Sequence[str], *, by: Operator) -> None:
    """Return when somebody may put these sponsors under agents.

    Raises: InsufficientScope, StoreUnavailable.
    """
    if by.roles <= {"sponsor"}:
        given = await work.principal(by.principal or "", organisation=by.organisation)
        require_may_say(names, given, by=by)
