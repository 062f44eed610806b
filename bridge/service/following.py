"""Finding out which key an agent has by now that a person allowed something before; that it was followed is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bridge import audit_trail, succession
from bridge.model import Code, Grant
from bridge.model.backchannel import Asking
from bridge.model.refresh import RefreshFamily
from bridge.ports import Transaction
from bridge.service.attempt import Attempt
from bridge.service.lookup import Lookup
from did_agent.errors import BadGrant, UnknownAgent


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """Binds what was allowed to an agent's earlier key to the one it has, in the transaction that issues."""

    lookup: Lookup
    issuer_url: str  # the audience of what keys say of those after them

    async def code(self, attempt: Attempt, code: Code, *, proven: str | None) -> Code:
        """Return a code, or what was consented to by one, for the key its agent has by now.

        `proven` is the key that was proven, None where no agent proves itself.
        Raises: BadGrant, UnknownAgent, PeerUnavailable.
        """
        before = code.request.actor
        if before is None:
            return code
        async with self.lookup.store.transaction() as work:
            consent = await work.consent(code.digest)
        if consent is None or consent.withdrawn is not None:
            raise BadGrant("the consent does not stand")
        after = await self._after(before, given=consent.given, proven=proven)
        if after == before:
            return code
        followed = succession.code_of(code, before=before, after=after)
        self._keep(attempt, code.digest, code.username, followed.request.client_id, before, after)
        return followed

    async def family(self, attempt: Attempt, family: RefreshFamily, *, proven: str | None) -> RefreshFamily:
        """Return a family of refresh tokens for the key its agent has by now.

        Raises: as `code`.
        """
        before = family.code.request.actor
        code = await self.code(attempt, family.code, proven=proven)
        after = code.request.actor
        if before is None or after is None or after == before:
            return family
        followed = succession.family_of(family, before=before, after=after)

        async def rebind(work: Transaction, _grant: Grant, _token_id: str) -> None:
            await work.rebind_family(followed)

        attempt.on_issue.append(rebind)
        return followed

    async def asking(self, attempt: Attempt, asking: Asking, *, proven: str) -> Asking:
        """Return a question that a person answered, for the key that its agent has by now.

        Raises: as `code`.
        """
        after = await self._after(asking.agent, given=asking.asked, proven=proven)
        if after == asking.agent:
            return asking
        followed = succession.asking_of(asking, before=asking.agent, after=after)
        self._keep(attempt, asking.digest, asking.username, followed.client_id, asking.agent, after)
        return followed

    async def _after(self, did: str, *, given: datetime, proven: str | None) -> str:
        known = await self.lookup.registry.succession(did)
        if known is None:
            raise UnknownAgent("the agent is not in the registry")
        after = succession.successor(did, known, given=given, issuer_url=self.issuer_url)
        if did != after and proven not in (None, after):
            raise BadGrant("what was allowed belongs to another agent")
        return after

    def _keep(  # all that is told of it
        self, attempt: Attempt, consent_id: str, username: str, client_id: str, before: str, after: str
    ) -> None:
        async def keep(work: Transaction, grant: Grant, _token_id: str) -> None:
            if not await work.follow_consent(consent_id, agent=after, client_id=client_id):
                raise BadGrant("the consent does not stand")
            if grant.task is not None:
                await work.follow_task(grant.task, before=before, after=after)
            await work.record(
                audit_trail.bridge_event(
                    self.lookup.identity,
                    "consent.follow",
                    "the agent's key named the one that comes after it",
                    now=attempt.now,
                    principal=username,
                    principal_kind="user",
                    actors=(after,),
                    client_id=client_id,
                    target=consent_id,
                    resource=grant.resource,
                    request_id=attempt.request.request_id,
                    details={"before": before, "after": after},
                )
            )

        attempt.on_issue.append(keep)
