"""What an agent held under a key that ended, granted again to the one after it: the same rights to the same moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from did_agent.credential.issuance import new_id
from did_agent.credential.model import parse_capability_credential
from did_agent.errors import StoreUnavailable
from did_agent.proof.data_integrity import DEFAULT_SUITE
from issuer.granting import continues, grant_capabilities
from issuer.model import Agent, Grant, GrantState, Notice
from issuer.model.status import Place
from issuer.ports import Work
from issuer.service.ending import end_credentials
from issuer.service.office import Office

MAX_LIVE: Final = 256  # credentials one agent holds at a time
_LIVE: Final[tuple[GrantState, ...]] = ("active", "suspended")


async def live_grants(work: Work, agent: Agent, now: datetime) -> Sequence[Grant]:
    """Return the credentials of an agent that are in force, or suspended and may come back."""
    found = list[Grant]()
    for state in _LIVE:
        found += await work.grants(
            organisation=agent.organisation, agent_id=agent.agent_id, state=state, now=now, limit=MAX_LIVE
        )
    return found


async def reissue(
    work: Work, office: Office, agent: Agent, held: Sequence[Grant], places: Iterator[Place], *, now: datetime
) -> list[Grant]:
    """Grant `held` again to the agent's key of now, and revoke what went to the one before.

    What is suspended goes over suspended; of a credential and the one it was renewed to, the later alone.  What was
    spent stays spent: both are counted in the account of the first of their line.  Where that cannot be, because the
    organisation signs with another key by now, a budget ends.

    Raises: StoreUnavailable when there are fewer places than credentials.
    """
    made, known = [], {grant.id for grant in held}
    live = await work.granted_from(organisation=agent.organisation, agent_id=agent.agent_id, now=now)
    beyond = [one for one in live if one not in known]  # more than goes over; it must not outlive the key
    for grant in held:
        if grant.renewed_to is not None:
            continue
        parsed = parse_capability_credential(grant.document)
        place = next(places, None)
        if place is None:
            raise StoreUnavailable("more credentials than were counted: try again")
        again = grant_capabilities(
            agent,
            parsed.capabilities,
            key=office.key_for(agent.organisation, place),
            issuer_url=office.url,
            place=place,
            valid_seconds=max(1, int((grant.valid_until - now).total_seconds())),
            max_depth=parsed.max_depth,
            on_behalf_of=parsed.on_behalf_of,
            now=now,
            cryptosuite=_suite_of(grant),
            source=replace(grant.source, begun=grant.begun),
        )
        if not continues(grant, again):
            continue
        await work.add_grant(again)
        if grant.suspended is not None:
            await work.suspend_grants([again.id], now)
            await work.flip_credentials([again.id], "suspension", value=True)
            continue
        made.append(again)
    await end_grants(work, held, reason="its key was replaced", now=now)
    if beyond:
        why = "its key was replaced"
        await end_credentials(work, beyond, organisation=agent.organisation, reason=why, now=now)
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


def _suite_of(grant: Grant) -> str:
    proof = grant.document.get("proof")
    suite = proof.get("cryptosuite") if isinstance(proof, dict) else None
    return suite if isinstance(suite, str) else DEFAULT_SUITE
