"""Which key speaks for an agent: bound, replaced, and what follows from that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from did_agent.credential.issuance import new_id
from did_agent.errors import StateConflict
from issuer.granting import identify
from issuer.model import Agent, Grant, Notice, next_state
from issuer.model.keys import AgentKey, KeyEnd
from issuer.model.status import Place
from issuer.ports import Work
from issuer.service.office import Office
from issuer.service.reissuing import live_grants, reissue
from issuer.service.status import StatusRoom


async def places_for(office: Office, agent: Agent | None, now: datetime) -> Iterator[Place]:
    """Return places in status lists for all that an agent holds; not to be called inside a transaction.

    Raises: StoreUnavailable.
    """
    if agent is None:
        return iter(())
    async with office.store.work() as work:
        count = len(await live_grants(work, agent, now))
    return iter(await StatusRoom(office=office).take(agent.organisation, count) if count else ())


async def bind_first(work: Work, agent: Agent, did: str, *, by: str, reason: str, now: datetime) -> Agent:
    """Bind a key to a pending agent; it is active from now on.

    Raises: StateConflict when the key is or was another agent's, or a kill switch keeps it from being active.
    """
    active = replace(agent, did=did, state=next_state(agent.state, "enrol"), changed=now)
    await work.add_key(AgentKey(organisation=agent.organisation, agent_id=agent.agent_id, did=did, added=now))
    await work.change_agent(active, by=by, reason=reason)
    return active


async def replace_key(  # all that a new key brings
    work: Work,
    office: Office,
    agent: Agent,
    did: str,
    *,
    why: KeyEnd,
    places: Iterator[Place],
    now: datetime,
    statement: str | None = None,
) -> tuple[Agent, list[Grant]]:
    """Bind a key to an active agent in place of the one before, which ends; what it holds goes over.

    Raises: StateConflict, StoreUnavailable.
    """
    if agent.did is None or agent.state != "active":
        raise StateConflict(f"{agent.name} is {agent.state}; only an active agent takes another key")
    changed = replace(agent, did=did, changed=now)
    await work.add_key(
        AgentKey(organisation=agent.organisation, agent_id=agent.agent_id, did=did, added=now, statement=statement)
    )
    await work.end_key(agent, agent.did, why=why, now=now)
    await work.change_agent(changed)
    await announce_end(work, agent.did, f"its key was {why}", now)
    return changed, await reissue(work, office, changed, await live_grants(work, agent, now), places, now=now)


async def announce_end(work: Work, did: str, reason: str, now: datetime) -> None:
    """Queue that nothing made from a key counts any more: to the world a DID is who it names."""
    await work.add_notice(Notice(id=new_id(), kind="agent-retired", subject=did, reason=reason, at=now))


def identity_of(office: Office, agent: Agent, now: datetime) -> dict[str, object]:
    """Return the signed credential that says who an agent is."""
    return identify(agent, key=office.key_of(agent.organisation), now=now)
