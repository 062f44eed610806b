"""Strict delegation: a token counts as far as signed credentials say the same, whoever signed the token."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from did_agent.credential.known import KnownCredentials
from did_agent.credential.standing import require_standing
from did_agent.credential.trust import TrustSource
from did_agent.errors import NotEvidenced, Revoked, Suspended
from did_agent.policy.evidence import Strictness, require_evidenced
from did_agent.tokens.access_token import AccessToken
from verifier.ports import EvidenceSource, StatusListSource

MAX_DEPTH: Final = 4  # delegations after the root


@dataclass(frozen=True, slots=True, kw_only=True)
class StrictDelegation:
    """What is needed to look behind tokens."""

    strictness: Strictness
    trusted: TrustSource
    evidence: EvidenceSource
    statuses: StatusListSource
    agent_key: bool = False  # whether tokens must be bound to the agent's own key
    known: KnownCredentials = field(default_factory=KnownCredentials)

    async def require(self, token: AccessToken, *, now: datetime) -> tuple[str, ...]:
        """Return the ids of the credentials behind a token that says no more than they do, and that all stand.

        Raises: NotEvidenced, Revoked, Suspended, StatusUnavailable, PeerUnavailable.
        """
        if token.evidence is None:
            raise NotEvidenced("the token names no evidence")
        chains = require_evidenced(
            token,
            await self.evidence.get(token.evidence),
            strictness=self.strictness,
            agent_key=self.agent_key,
            trusted=self.trusted.current(now),
            max_depth=MAX_DEPTH,
            known=self.known,
            now=now,
        )
        # The bridge's feed is the bridge's word too; the issuer's lists are not.
        lists = await self.statuses.get(entry.list_url for chain in chains for entry in chain.status_entries)
        ids = tuple(name for chain in chains for name in chain.credential_ids)
        try:
            for chain in chains:
                require_standing(chain, lists, now=now)
        except (Revoked, Suspended):
            self.known.forget(*ids)
            raise
        return ids
