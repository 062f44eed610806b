"""Enrolling agents by invitation: the first time, and again after their key was lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from did_agent.errors import BadGrant, NotFound
from issuer.enrolment import prove_possession
from issuer.model import Operator
from issuer.model.enrolment import Enrolled
from issuer.service.admission import Admission, Admitted
from issuer.service.binding import bind_first, identity_of, places_for
from issuer.service.office import Office
from issuer.service.reissuing import live_grants, reissue


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolments:
    """Binds keys to agents that were registered."""

    office: Office

    async def enrol(self, agent_id: str, presentation: Mapping[str, object], *, request_id: str) -> Enrolled:
        """Bind the key that answers the invitation to the agent; it is active from now on, unless its owner is asked.

        What it held under a key that was lost goes over to this one.
        Raises: VerificationError, BadGrant when the invitation is spent or over, StateConflict, StoreUnavailable.
        """
        now = self.office.clock()
        did, digest = prove_possession(presentation, issuer_url=self.office.url, now=now)
        async with self.office.store.work() as work:
            known = await work.agent(agent_id, organisation=None, hold=False)
        places = await places_for(self.office, known, now)
        async with self.office.store.work() as work:
            if not await work.spend_enrolment(agent_id, digest, now):
                raise BadGrant("the invitation is unknown, spent or over")
            agent = await work.agent(agent_id, organisation=None)
            if agent is None:
                raise NotFound("there is no such agent")
            before = await work.keys(agent.organisation, agent.agent_id, limit=1)
            entry = Admission(office=self.office, work=work, now=now, request_id=request_id)
            if not before and await entry.asks_owner(agent):
                admitted = Admitted(source="invitation", source_id=agent_id, by="", needs_approval=True)
                enrolled, made = await entry.wait(agent, did, admitted, asking="enrol"), []
            else:
                active = await bind_first(work, agent, did, by=did, reason="answered its invitation", now=now)
                made = await reissue(work, self.office, active, await live_grants(work, agent, now), places, now=now)
                by = Operator(
                    organisation=agent.organisation, principal=did, kind="agent", client_id=did, request_id=request_id
                )
                event = self.office.event(by, "agent.enrol", agent_id, f"{agent.name} proved its key")
                await work.record(replace(event, credential_ids=tuple(grant.id for grant in made)))
                enrolled = Enrolled(agent=active, identity=identity_of(self.office, active, now))
        self.office.news.wake_audit()
        if made:
            await self.office.news.push()
        return enrolled
