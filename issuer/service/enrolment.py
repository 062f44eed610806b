"""Enrolling agents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from did_agent.errors import BadGrant, NotFound
from issuer.enrolment import prove_possession
from issuer.granting import identify
from issuer.model import Agent, Operator, next_state
from issuer.service.office import Office


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolments:
    """Binds keys to agents."""

    office: Office

    async def enrol(
        self, agent_id: str, presentation: Mapping[str, object], *, request_id: str
    ) -> tuple[Agent, Mapping[str, object]]:
        """Bind the key that answers the invitation to the agent; it is active from now on.

        Raises: VerificationError, BadGrant when the invitation is spent or over, StateConflict, StoreUnavailable.
        """
        now = self.office.clock()
        did, digest = prove_possession(presentation, issuer_url=self.office.url, now=now)
        async with self.office.store.work() as work:
            if not await work.spend_enrolment(agent_id, digest, now):
                raise BadGrant("the invitation is unknown, spent or over")
            agent = await work.agent(agent_id, organisation=None)
            if agent is None:
                raise NotFound("there is no such agent")
            active = replace(agent, did=did, state=next_state(agent.state, "enrol"), changed=now)
            await work.change_agent(active)
            by = Operator(
                organisation=agent.organisation, principal=did, kind="agent", client_id=did, request_id=request_id
            )
            await work.record(self.office.event(by, "agent.enrol", agent_id, f"{agent.name} proved its key"))
        self.office.news.wake_audit()
        return active, identify(active, key=self.office.key_of(agent.organisation), now=now)
