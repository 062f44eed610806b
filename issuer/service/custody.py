"""Custodial keys, only when asked for: made here, handed out once, sealed for whoever asked, never kept (KEY-01)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from did_agent.did.key import did_key
from did_agent.errors import InvalidParameter, StateConflict
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import private_jwk
from issuer.access import require_within
from issuer.model import Operator
from issuer.model.enrolment import Enrolled
from issuer.ports.enrolment import Sealer
from issuer.service.binding import bind_first, identity_of
from issuer.service.office import Office

MIN_PASSPHRASE = 12  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """Keys that an agent did not make itself."""

    office: Office
    sealer: Sealer

    async def hand_out(
        self, identifier: str, *, recipient: str | None, passphrase: str | None, by: Operator
    ) -> tuple[Enrolled, str]:
        """Make the first key of a pending agent and return it sealed, this once; the agent is active from now on.

        Raises: NotFound, StateConflict when it has or had a key, InvalidParameter, StoreUnavailable.
        """
        if (recipient is None) == (passphrase is None):
            raise InvalidParameter("either recipient or passphrase")
        if passphrase is not None and len(passphrase) < MIN_PASSPHRASE:
            raise InvalidParameter(f"passphrase: at least {MIN_PASSPHRASE} characters")
        now = self.office.clock()
        async with self.office.store.work() as work:  # nothing is stretched for an agent that cannot have a key
            agent = await work.agent(identifier, organisation=by.organisation, hold=False)
            if require_within(by, agent).state != "pending":
                raise StateConflict("only a pending agent gets a key from here")
        key = SigningKey.generate()
        did, secret = did_key(key.public), json.dumps(private_jwk(key)).encode()
        sealed = await self.sealer.seal(secret, recipient=recipient, passphrase=passphrase)
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(identifier, organisation=by.organisation))
            if await work.keys(agent.organisation, agent.agent_id, limit=1):
                raise StateConflict("an agent that had a key of its own gets none from here")
            actor = by.principal or ""
            active = await bind_first(work, agent, did, by=actor, reason="its key was made for it", now=now)
            await work.void_invitation(agent.agent_id)
            await work.set_custody(agent, "issuer")
            words = f"the key of {agent.name} was made here and handed out sealed; it was not kept"
            await work.record(self.office.event(by, "agent.custody", agent.agent_id, words))
        self.office.news.wake_audit()
        active = replace(active, custody="issuer")
        return Enrolled(agent=active, identity=identity_of(self.office, active, now)), sealed
