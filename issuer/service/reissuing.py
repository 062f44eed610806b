"""What an agent held under a key that ended, granted again to the one after it: the same rights to the same moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from did_agent.credential.issuance import new_id
from did_agent.credential.model import parse_capability_credential
from did_agent.errors import StoreUnavailable
from issuer.granting import grant_capabilities
from issuer.model import Agent, Grant, Notice
from issuer.model.status import Place
from issuer.ports import Work
from issuer.service.office import Office

MAX_LIVE: Final = 256  # credentials one agent holds at a time


async def live_grants(work: Work, agent: Agent, now: datetime) -> Sequence[Grant]:
    """Return the credentials of an agent that are in force."""
    return await work.grants(
        organisation=agent.organisation, agent_id=agent.agent_id, state="active", now=now, limit=MAX_LIVE
    )


async def reissue(
    work: Work, office: Office, agent: Agent, held: Sequence[Grant], places: Iterator[Place], *, now: datetime
) -> list[Grant]:
    """Grant `held` again to the agent's key of now, and revoke what went to the one before.

    Raises: StoreUnavailable when there are fewer places than credentials.
    """
    made = []
    for grant in held:
        parsed = parse_capability_credential(grant.document)
        place = next(places, None)
        if place is None:
            raise StoreUnavailable("more credentials than were counted: try again")
        again = grant_capabilities(
            agent,
            parsed.capabilities,
            key=office.key_of(agent.organisation),
            issuer_url=office.url,
            place=place,
            valid_seconds=max(1, int((grant.valid_until - now).total_seconds())),
            max_depth=parsed.max_depth,
            on_behalf_of=parsed.on_behalf_of,
            now=now,
        )
        again = replace(again, source=grant.source)
        await work.add_grant(again)
        made.append(again)
    await end_grants(work, held, reason="its key was replaced", now=now)
    return made


async def end_grants(work: Work, held: Sequence[Grant], *, reason: str, now: datetime) -> None:
    """Revoke credentials with all that was handed on of them, and queue that the bridge must hear of it."""
    for grant in held:
        if await work.revoke_grant(grant.id, now):
            await work.flip_credentials([grant.id], "revocation", value=True)
            await work.revoke_delegations(grant.id, organisation=grant.organisation, now=now)
            await work.add_notice(
                Notice(id=new_id(), kind="credential-revoked", subject=grant.id, reason=reason, at=now)
            )
