"""Lendings: said by the deployment's operators; what was made from one ends with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bridge import audit_trail
from bridge.model import Identity
from bridge.model.lending import Lending
from bridge.ports import Store, Transaction
from bridge.service.revocation import end_tokens
from did_agent.clock import Clock
from did_agent.errors import InvalidParameter, NotFound
from did_agent.tokens.access_token import ORGANISATION, AccessToken


@dataclass(frozen=True, slots=True, kw_only=True)
class LendingAdministration:
    """The use cases of `/lendings`; each change is recorded in its transaction."""

    store: Store
    identity: Identity
    clock: Clock

    async def lendings(self) -> Sequence[Lending]:
        """Return every lending."""
        async with self.store.transaction() as work:
            return await work.lendings()

    async def put(self, giver: str, taker: str, *, by: AccessToken, request_id: str) -> Lending:
        """Let agents of `giver` act for those of `taker`.

        Raises: InvalidParameter.
        """
        if giver == taker or not all(map(ORGANISATION.fullmatch, (giver, taker))):
            raise InvalidParameter("two names of organisations: 1 to 63 of a-z 0-9 -")
        lending = Lending(giver=giver, taker=taker, since=self.clock())
        async with self.store.transaction() as work:
            await work.put_lending(lending)
            await self._record(work, "lending.put", lending, by, request_id)
        return lending

    async def remove(self, giver: str, taker: str, *, by: AccessToken, request_id: str) -> None:
        """Take a lending back; tokens that were made by it end.

        Raises: NotFound.
        """
        lending = Lending(giver=giver, taker=taker, since=self.clock())
        async with self.store.transaction() as work:
            if not await work.remove_lending(giver, taker):
                raise NotFound("there is no such lending")
            why = "the organisation lends its agents no more"
            await end_tokens(work, [lending.id], reason=why, identity=self.identity, now=self.clock())
            await self._record(work, "lending.remove", lending, by, request_id)

    async def _record(self, work: Transaction, action: str, lending: Lending, by: AccessToken, request_id: str) -> None:
        event = audit_trail.by_operator(
            self.identity, action, lending.taker, by=by, request_id=request_id, now=self.clock()
        )
        await work.record(replace(event, details={"giver": lending.giver, "taker": lending.taker}))
