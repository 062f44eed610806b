"""The operator's use cases for trusted issuers: whom else this bridge believes, and about whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge import audit_trail
from bridge.model import Identity
from bridge.model.federation import TrustedIssuer
from bridge.ports import Store, Transaction
from bridge.service.revocation import end_tokens
from did_agent.clock import Clock
from did_agent.errors import NotFound
from did_agent.tokens.access_token import AccessToken


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationAdministration:
    """Changes whom the bridge believes; what was made from a changed belief ends with it."""

    store: Store
    identity: Identity
    clock: Clock

    async def trusted_issuers(self) -> Sequence[TrustedIssuer]:
        """Return every trusted issuer."""
        async with self.store.transaction() as work:
            return await work.trusted_issuers()

    async def put_trusted_issuer(self, trusted: TrustedIssuer, *, by: AccessToken, request_id: str) -> None:
        """Trust an issuer, or replace what it is trusted for."""
        async with self.store.transaction() as work:
            await self._end(work, trusted.issuer)
            await work.put_trusted_issuer(trusted)
            await self._record(work, "trusted_issuer.put", trusted.issuer, by, request_id)

    async def delete_trusted_issuer(self, issuer: str, *, by: AccessToken, request_id: str) -> None:
        """Trust an issuer no more.

        Raises: NotFound.
        """
        async with self.store.transaction() as work:
            await self._end(work, issuer)
            if not await work.delete_trusted_issuer(issuer):
                raise NotFound("there is no such issuer")
            await self._record(work, "trusted_issuer.delete", issuer, by, request_id)

    async def link_user(self, issuer: str, subject: str, username: str, *, by: AccessToken, request_id: str) -> None:
        """Say which account here is the person whom `issuer` calls `subject`.

        Raises: NotFound when there is no such account.
        """
        async with self.store.transaction() as work:
            if await work.user(username) is None:
                raise NotFound("there is no such user")
            await work.link_user(issuer, subject, username)
            await self._record(work, "user.link", username, by, request_id)

    async def _end(self, work: Transaction, issuer: str) -> None:
        reason, now = "trust in its issuer changed", self.clock()
        await end_tokens(work, [issuer], reason=reason, identity=self.identity, now=now)

    async def _record(self, work: Transaction, action: str, target: str, by: AccessToken, request_id: str) -> None:
        await work.record(
            audit_trail.by_operator(self.identity, action, target, by=by, request_id=request_id, now=self.clock())
        )
