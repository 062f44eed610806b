"""The end of credentials with all that was made from them: bits, registered delegations, and what the bridge hears."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from did_agent.credential.issuance import new_id
from issuer.model import Notice
from issuer.ports import Work


async def end_credentials(
    work: Work, identifiers: Sequence[str], *, organisation: str, reason: str, now: datetime
) -> Sequence[str]:
    """Revoke credentials of an organisation, set-based, and return those that were not revoked before."""
    ended = await work.revoke_grants(identifiers, now)
    await work.flip_credentials(ended, "revocation", value=True)
    for parent in await work.handed_on(ended):
        await work.revoke_delegations(parent, organisation=organisation, now=now)
    await work.add_notices(
        [Notice(id=new_id(), kind="credential-revoked", subject=one, reason=reason, at=now) for one in ended]
    )
    return ended
