"""Operators of organisations: added and removed by the deployment's own; what they held ends with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bridge import audit_trail
from bridge.model import Identity
from bridge.model.operators import OrganisationOperator
from bridge.ports import Store, Transaction
from bridge.service.revocation import end_tokens
from did_agent.clock import Clock
from did_agent.errors import NotFound, StateConflict
from did_agent.tokens.access_token import AccessToken


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAdministration:
    """The use cases of `/operators`; each change is recorded in its transaction."""

    store: Store
    identity: Identity
    own: frozenset[str]  # the deployment's own operators, who are none of an organisation
    clock: Clock

    async def operators(self) -> Sequence[OrganisationOperator]:
        """Return every operator of an organisation."""
        async with self.store.transaction() as work:
            return await work.operators()

    async def put(self, operator: OrganisationOperator, *, by: AccessToken, request_id: str) -> OrganisationOperator:
        """Add an operator or change what it may; tokens it holds end when it may something else.

        Raises: StateConflict for an operator of the deployment itself, StoreUnavailable.
        """
        if operator.did in self.own:
            raise StateConflict("an operator of the deployment is none of an organisation")
        put = replace(operator, added=self.clock())
        async with self.store.transaction() as work:
            before = await work.operator(put.did)
            await work.put_operator(put)
            if before is not None and (before.organisation, before.role) != (put.organisation, put.role):
                await self._end(work, put.did, "its role was changed")
            await self._record(work, "operator.put", put, by, request_id)
        return put

    async def remove(self, did: str, *, by: AccessToken, request_id: str) -> None:
        """Remove an operator; tokens it holds end.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.store.transaction() as work:
            known = await work.operator(did)
            if known is None or not await work.remove_operator(did, self.clock()):
                raise NotFound("there is no such operator")
            await self._end(work, did, "it is no operator any more")
            await self._record(work, "operator.remove", known, by, request_id)

    async def _end(self, work: Transaction, did: str, reason: str) -> None:
        await end_tokens(work, [did], reason=reason, identity=self.identity, now=self.clock())

    async def _record(
        self, work: Transaction, action: str, about: OrganisationOperator, by: AccessToken, request_id: str
    ) -> None:
        event = audit_trail.by_operator(
            self.identity, action, about.did, by=by, request_id=request_id, now=self.clock()
        )
        await work.record(replace(event, details={"organisation": about.organisation, "role": about.role}))
