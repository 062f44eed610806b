"""The ledger's use cases: take events in, show them, prove them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from did_agent.audit.checkpoint import Checkpoint, sign_checkpoint
from did_agent.audit.event import AuditEvent
from did_agent.audit.merkle import consistency_proof, inclusion_proof, root_of
from did_agent.clock import Clock
from did_agent.errors import NotFound
from did_agent.keys.ed25519 import SigningKey
from ledger.intake import read_batch
from ledger.model import Accepted
from ledger.ports import Log


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerService:
    """Keeps one log under one key."""

    log: Log
    key: SigningKey
    url: str  # the ledger's own identifier
    origin: str  # names the log in its checkpoints
    sources: frozenset[str]  # DIDs of the parties that may write
    clock: Clock

    async def take(self, token: str, body: bytes) -> Accepted:
        """Take a delivery in; what is acknowledged is durable and covered by a checkpoint.

        Raises: VerificationError, Malformed, StateConflict, StoreUnavailable.
        """
        now = self.clock()
        events = read_batch(token, body, ledger_url=self.url, sources=self.sources, now=now)
        return await self.log.append(events, sign=self._sign, now=now)

    async def record(self, event: AuditEvent) -> None:
        """Take in an event of the ledger itself: refused readings are decisions too.

        Raises: StoreUnavailable.
        """
        await self.log.append([event], sign=self._sign, now=self.clock())

    async def prove_inclusion(self, seq: int) -> tuple[int, bytes, Sequence[bytes]]:
        """Return size, root and path that show row `seq` in the log of now.

        Raises: NotFound.
        """
        leaves = await self.log.leaves(await self.log.size())
        if not 0 < seq <= len(leaves):
            raise NotFound(f"there is no row {seq}")
        return len(leaves), root_of(leaves), inclusion_proof(leaves, seq - 1)

    async def prove_consistency(self, old: int, new: int) -> Sequence[bytes]:
        """Return what shows that the log of `new` rows extends that of `old`.

        Raises: NotFound.
        """
        if not 0 < old <= new <= await self.log.size():
            raise NotFound("there is no such pair of states")
        return consistency_proof(await self.log.leaves(new), old)

    def _sign(self, size: int, root: bytes) -> str:
        return sign_checkpoint(Checkpoint(origin=self.origin, size=size, root=root), self.key)
