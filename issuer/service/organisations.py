"""Organisations: made by the deployment's own admins; each decides for itself what takes two people (WEB-04)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from did_agent.credential.issuance import new_id
from did_agent.errors import InsufficientScope, InvalidParameter, NotFound, StateConflict, UnauthorizedClient
from did_agent.tokens.access_token import ORGANISATION
from issuer.access import READERS
from issuer.model import HOME, Operator
from issuer.model.organisations import Control, Organisation, Proposal
from issuer.naming import require_text
from issuer.service.office import Office

REMEMBERED: Final = timedelta(seconds=5)  # how long an organisation counts as known without another look
PROPOSAL_LIFE: Final = timedelta(days=7)
MAX_BODY: Final = 65_536  # characters of a request that waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisations:
    """Who shares the deployment."""

    office: Office
    _known: dict[str, tuple[datetime, Organisation]] = field(default_factory=dict, repr=False, compare=False)

    async def create(self, name: str, title: str, *, by: Operator) -> Organisation:
        """Make an organisation; operators of it are let in by the bridge.

        Raises: InsufficientScope for anybody but an admin of the deployment itself, InvalidParameter, StateConflict,
        StoreUnavailable.
        """
        _require_home(by)
        if not ORGANISATION.fullmatch(name) or name == HOME:
            raise InvalidParameter(f"name: 1 to 63 of a-z 0-9 -, and not {HOME}")
        made = Organisation(
            name=name,
            title=require_text("title", title),
            dual_control=frozenset(),
            by=by.principal or "",
            created=self.office.clock(),
        )
        async with self.office.store.work() as work:
            if not await work.add_organisation(made):
                raise StateConflict("there is an organisation of this name")
            await work.record(self.office.event(by, "organisation.create", name, made.title or name))
        self.office.news.wake_audit()
        return made

    async def list(self, *, by: Operator) -> Sequence[Organisation]:
        """Return the organisations somebody may know of: all for the deployment's own admins, else the one alone.

        Raises: StoreUnavailable.
        """
        async with self.office.store.work() as work:
            found = await work.organisations()
        return [one for one in found if by.organisation in (HOME, one.name)]

    async def require_known(self, by: Operator) -> Operator:
        """Return somebody whose organisation is one of ours, and all agents they act through are of the same.

        Raises: UnauthorizedClient, StoreUnavailable.
        """
        if by.organisation != HOME:
            await self._find(by.organisation)
        through = [*by.actors, *([by.principal] if by.kind == "agent" and by.principal else [])]
        if through and by.roles & READERS:
            await self._require_same(through, by.organisation)
        return by

    async def controlled(self, control: Control | None, by: Operator) -> bool:
        """Tell whether what somebody wants takes a second admin.

        Raises: StoreUnavailable.
        """
        if control is None or "admin" not in by.roles:
            return False
        async with self.office.store.work() as work:  # never remembered: a control that was set counts at once
            found = await work.organisation(by.organisation)
        return found is not None and control in found.dual_control

    async def control(self, controls: frozenset[Control], *, by: Operator) -> Organisation:
        """Say what takes two people; `control` itself is part of it whenever anything is.

        Raises: StoreUnavailable.
        """
        itself: frozenset[Control] = frozenset({"control"})
        wanted = controls | itself if controls else controls
        put = Organisation(
            name=by.organisation,
            title=by.organisation,
            dual_control=wanted,
            by=by.principal or "",
            created=self.office.clock(),
        )
        async with self.office.store.work() as work:
            await work.put_controls(put)
            words = f"two people for: {', '.join(sorted(wanted)) or 'nothing'}"
            await work.record(self.office.event(by, "organisation.control", by.organisation, words))
        self.office.news.wake_audit()
        return put

    async def propose(
        self, control: Control, action: str, method: str, path: str, body: str, *, by: Operator
    ) -> Proposal:
        """Keep a request until a second admin has decided.

        Raises: InvalidParameter when it is too large, StoreUnavailable.
        """
        now = self.office.clock()
        if len(body) > MAX_BODY:
            raise InvalidParameter(f"what takes two people has at most {MAX_BODY} characters")
        made = Proposal(
            organisation=by.organisation,
            id=new_id(),
            control=control,
            action=action,
            method=method,
            path=path,
            body=body,
            by=by.principal or "",
            proposed=now,
            expires=now + PROPOSAL_LIFE,
        )
        async with self.office.store.work() as work:
            await work.add_proposal(made)
            event = self.office.event(by, "proposal.make", made.id, f"{action} waits for a second admin")
            await work.record(replace(event, details={**event.details, "action": action}))
        self.office.news.wake_audit()
        return made

    async def proposals(self, *, limit: int, by: Operator) -> Sequence[Proposal]:
        """Return proposals, the newest first.

        Raises: StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return await work.proposals(by.organisation, limit=limit)

    async def decide(self, identifier: str, verdict: Literal["approved", "rejected"], *, by: Operator) -> Proposal:
        """Decide a proposal, once; whoever made it may reject it, never approve it.

        Raises: NotFound, InsufficientScope, StateConflict when it was decided before or is over, StoreUnavailable.
        """
        now = self.office.clock()
        async with self.office.store.work() as work:
            found = await work.proposal(identifier, organisation=by.organisation)
            if found is None:
                raise NotFound("there is no such proposal")
            if verdict == "approved" and (not by.principal or found.by == by.principal):
                raise InsufficientScope("another admin than the one who proposed it is needed")
            if not await work.decide_proposal(found, verdict, by=by.principal or "", now=now):
                raise StateConflict("it was decided before, or is over")
            event = self.office.event(
                by, f"proposal.{verdict}", found.id, f"{found.action}, proposed by {found.by}"[:500]
            )
            await work.record(replace(event, details={**event.details, "action": found.action}))
        self.office.news.wake_audit()
        return replace(found, verdict=verdict, decided_by=by.principal, decided=now)

    async def _require_same(self, dids: Sequence[str], organisation: str) -> None:
        """Return when agents are of an organisation: a token keeps the person's, whoever's agent carries it (WEB-02)."""
        async with self.office.store.work() as work:
            for did in dids:
                agent = await work.agent(did, organisation=organisation, hold=False)
                if agent is None or agent.state != "active":
                    raise UnauthorizedClient("an agent acts here that is not of the organisation")

    async def _find(self, name: str) -> Organisation:
        now, known = self.office.clock(), self._known.get(name)
        if known is not None and timedelta(0) <= now - known[0] < REMEMBERED:
            return known[1]
        async with self.office.store.work() as work:
            found = await work.organisation(name)
        if found is None:
            raise UnauthorizedClient("the organisation is not one of this deployment")
        self._known[name] = (now, found)
        return found


def _require_home(by: Operator) -> None:
    if by.organisation != HOME:
        raise InsufficientScope("an admin of the deployment itself is needed")
