"""Organisations: made by the deployment's own admins; each decides for itself what takes two people (WEB-04)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from did_agent.credential.capability import parse_bare_capability
from did_agent.credential.issuance import new_id
from did_agent.errors import InsufficientScope, InvalidParameter, NotFound, StateConflict, UnauthorizedClient
from did_agent.tokens.access_token import ORGANISATION
from did_agent.tokens.trust_list import MAX_ENTRIES
from issuer.access import READERS
from issuer.model import HOME, Operator
from issuer.model.organisations import Control, Organisation, Proposal
from issuer.model.registry import Switch
from issuer.naming import require_text
from issuer.ports import Work
from issuer.service.issuing import IssuingKeys
from issuer.service.office import Office

REMEMBERED: Final = timedelta(seconds=1)  # how long an organisation counts as known without another look (REV-01)
PROPOSAL_LIFE: Final = timedelta(days=7)
MAX_RESOURCES: Final = 64  # of one organisation
MAX_BODY: Final = 65_536  # characters of a request that waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisations:
    """Who shares the deployment."""

    office: Office
    keys: IssuingKeys | None = None  # for new organisations
    _known: dict[str, tuple[datetime, Organisation]] = field(default_factory=dict, repr=False, compare=False)

    async def create(self, name: str, title: str, resources: Sequence[str], *, by: Operator) -> Organisation:
        """Make an organisation, which may grant at `resources` alone; operators of it are let in by the bridge.

        Raises: InsufficientScope for anybody but an admin of the deployment itself, InvalidParameter, StateConflict,
        StoreUnavailable.
        """
        _require_home(by)
        if not ORGANISATION.fullmatch(name) or name == HOME:
            raise InvalidParameter(f"name: 1 to 63 of a-z 0-9 -, and not {HOME}")
        made = Organisation(
            name=name,
            title=require_text("title", title),
            resources=_resources(resources),
            dual_control=frozenset(),
            by=by.principal or "",
            created=self.office.clock(),
        )
        async with self.office.store.work() as work:
            if not await work.add_organisation(made):
                raise StateConflict("there is an organisation of this name")
            if self.keys is not None:
                await self.keys.begin(work, name)
            await _require_room(work)
            await work.raise_trust_version(HOME)
            await work.record(self.office.event(by, "organisation.create", name, made.title or name))
            kept = await work.issuing_keys()
        self.office.ring.adopt(kept)
        self.office.news.wake_audit()
        return made

    async def suspend(self, name: str, *, reason: str, by: Operator) -> tuple[Organisation, bool]:
        """Stop an organisation: its agents are suspended, its operators refused; say whether the bridge has heard.

        Raises: InsufficientScope for anybody but an admin of the deployment itself, NotFound, InvalidParameter,
        StateConflict when it is suspended, StoreUnavailable.
        """
        _require_home(by)
        switch = Switch(
            organisation=name,
            id=new_id(),
            scope="organisation",
            target=HOME,  # another one than what its own admins turn, who could lift theirs
            reason=require_text("reason", reason),
            by=by.principal or "",
            at=self.office.clock(),
            stopped=0,
        )
        async with self.office.store.work() as work:
            found = _required(await work.organisation(name))
            on = await work.turn_on(switch)
            event = self.office.event(by, "organisation.suspend", name, reason)
            await work.record(replace(event, details={**event.details, "stopped": str(on.stopped)}))
        self.office.news.wake_audit()
        return replace(found, suspended=True), await self.office.news.push()

    async def resume(self, name: str, *, reason: str, by: Operator) -> tuple[Organisation, bool]:
        """Let an organisation go on, but for what another switch stops; say whether the bridge has heard.

        Raises: InsufficientScope, NotFound, InvalidParameter, StateConflict when it is not suspended, StoreUnavailable.
        """
        _require_home(by)
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            found = _required(await work.organisation(name))
            on = await work.switch(await work.suspension(name) or "", organisation=name)
            if on is None:
                raise StateConflict("the organisation is not suspended")
            _, resumed = await work.turn_off(on, by=by.principal or "", reason=reason, now=now)
            event = self.office.event(by, "organisation.resume", name, reason)
            await work.record(replace(event, details={**event.details, "resumed": str(resumed)}))
        self.office.news.wake_audit()
        return replace(found, suspended=False), await self.office.news.push()

    async def entrust(self, name: str, resources: Sequence[str], *, by: Operator) -> Organisation:
        """Say at which resources an organisation may grant from now on; guards hear of it with the trust list.

        Raises: InsufficientScope, NotFound, InvalidParameter, StoreUnavailable.
        """
        _require_home(by)
        wanted = _resources(resources)
        async with self.office.store.work() as work:
            found = await work.organisation(name)
            if found is None or name == HOME or not await work.put_resources(name, wanted):
                raise NotFound("there is no such organisation")
            await _require_room(work)
            await work.raise_trust_version(HOME)
            words = f"{name} may grant at {', '.join(wanted) or 'nothing'}"[:500]
            await work.record(self.office.event(by, "organisation.entrust", name, words))
        self.office.news.wake_audit()
        return replace(found, resources=wanted)

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
            resources=(),
            dual_control=wanted,
            by=by.principal or "",
            created=self.office.clock(),
        )
        async with self.office.store.work() as work:
            await work.put_controls(put)
            put = await work.organisation(put.name) or put
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

    async def proposals(
        self, *, after: tuple[datetime, str] | None = None, limit: int, by: Operator
    ) -> Sequence[Proposal]:
        """Return proposals, the newest first.

        Raises: StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return await work.proposals(by.organisation, after=after, limit=limit)

    async def decide(self, identifier: str, verdict: Literal["approved", "rejected"], *, by: Operator) -> Proposal:
        """Decide a proposal, once; whoever made it may reject it, never approve it.

        Raises: NotFound, InsufficientScope, StateConflict when it was decided before or is over, StoreUnavailable.
        """
        now = self.office.clock()
        async with self.office.store.work() as work:
            found = await work.proposal(identifier, organisation=by.organisation)
            if found is None:
                raise NotFound("there is no such proposal")
            if verdict == "approved" and (not by.principal or found.by in {by.principal, *by.actors}):
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
        """Return when agents are of an organisation: a token keeps its person's, whoever's agent acts (WEB-02)."""
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
        if found.suspended:
            raise UnauthorizedClient("the organisation is suspended")
        self._known[name] = (now, found)
        return found


def _required(found: Organisation | None) -> Organisation:
    if found is None:
        raise NotFound("there is no such organisation")
    return found


async def _require_room(work: Work) -> None:
    """Return while all that is trusted here fits into one list; one that is too long would be believed by nobody."""
    named = sum(bool(one.resources) for one in await work.organisations())
    if len(await work.trust_lines(HOME)) + named > MAX_ENTRIES:
        raise StateConflict(f"a trust list has at most {MAX_ENTRIES} lines, organisations included")


def _resources(resources: Sequence[str]) -> tuple[str, ...]:
    if len(resources) > MAX_RESOURCES:
        raise InvalidParameter(f"resources: at most {MAX_RESOURCES}")
    # What a credential could not name, nobody could be trusted for.
    for resource in resources:
        parse_bare_capability({"resource": [resource], "tools": {"any": {}}})
    return tuple(sorted(set(resources)))


def _require_home(by: Operator) -> None:
    if by.organisation != HOME:
        raise InsufficientScope("an admin of the deployment itself is needed")
