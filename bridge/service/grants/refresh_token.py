"""`refresh_token`: loads the family, judges its consent anew, and puts the successor in its place (OAuth 2.1, 4.3)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

from bridge import audit_trail
from bridge.authority import authority_at
from bridge.clients import Client, require_named
from bridge.grants import authorization_code, refresh_token
from bridge.model import Agent, Grant
from bridge.model.refresh import RefreshFamily
from bridge.ports import Transaction
from bridge.service.attempt import Attempt
from bridge.service.following import Following
from bridge.service.lookup import Lookup
from bridge.service.revocation import end_tokens
from did_agent.errors import BadGrant, UnknownAgent, UnknownResource

GRANT_TYPE = "refresh_token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """The grant of whoever holds the newest token of a family."""

    lookup: Lookup
    following: Following
    key: bytes = field(repr=False)

    async def judge(self, attempt: Attempt, client: Client | None) -> Grant:
        """Return the grant: what was consented to, as far as agent and user may still do it.

        Raises: ClientNotAuthenticated, MissingParameter, BadGrant, EmptyGrant, UnknownAgent, AgentNotActive.
        """
        caller, now = require_named(client), attempt.now
        shown = refresh_token.parse(attempt.request, self.key)
        async with self.lookup.store.transaction() as work:
            family = await work.family(shown.family)
        if family is None:
            raise BadGrant("the family has ended")
        if refresh_token.standing(shown, family, now=now) == "reused":
            attempt.on_refusal.append(_Reuse(self.lookup, family, attempt).record)
            raise BadGrant("an old refresh token was used again")
        family, agent = await self._acting(attempt, family, caller)
        refresh_token.require_holder(family, client_id=caller.id, confirmation=attempt.confirmation, now=now)
        code = family.code
        if not set(attempt.request.resources) <= {code.request.resource}:
            raise UnknownResource("the refresh token is for another resource")
        attempt.on_issue.append(_Rotation(family, shown.generation, attempt).run)
        attempt.refresh_token = refresh_token.write(family.id, shown.generation + 1, self.key)
        resource, user = await self.lookup.resource_and_user(attempt, code.request.resource, code.username)
        chains = [] if agent is None else self.lookup.chains(agent, now=now)
        grant = authorization_code.judge(
            code,
            requested=attempt.scopes,
            user=user,
            resource=resource,
            authority=authority_at(resource.id, chains, now=now),
            now=now,
        )
        return replace(grant, type=GRANT_TYPE, made_from=grant.made_from | {family.id})

    async def _acting(
        self, attempt: Attempt, family: RefreshFamily, caller: Client
    ) -> tuple[RefreshFamily, Agent | None]:
        """Return the family under the key that its agent has by now, and the agent; None where no agent acts."""
        request = family.code.request
        if request.actor is None or caller.id != request.client_id != request.actor:
            return family, None  # of another client: refused in a moment
        if caller.id == request.client_id:
            with suppress(UnknownAgent):
                return family, await self.lookup.agent(request.actor)
            followed = await self.following.family(attempt, family, proven=None)
        else:
            followed = await self.following.family(attempt, family, proven=caller.id)
        return followed, await self.lookup.agent(followed.code.request.actor or "")


@dataclass(frozen=True, slots=True)
class _Rotation:
    family: RefreshFamily
    generation: int
    attempt: Attempt

    async def run(self, work: Transaction, _grant: Grant, _token_id: str) -> None:
        """Make the successor the newest; whoever lost the race, or the answer, gets the same one."""
        if await work.rotate(self.family.id, generation=self.generation, now=self.attempt.now):
            return
        current = await work.family(self.family.id)
        shown = refresh_token.RefreshToken(self.family.id, self.generation)
        if current is None or refresh_token.standing(shown, current, now=self.attempt.now) != "repeated":
            raise BadGrant("the refresh token was used before")


@dataclass(frozen=True, slots=True)
class _Reuse:
    lookup: Lookup
    family: RefreshFamily
    attempt: Attempt

    async def record(self, work: Transaction) -> None:
        """End the family and all that came of it: one of the two who hold its tokens is a thief (RFC 9700, 4.14)."""
        identity, now, code = self.lookup.identity, self.attempt.now, self.family.code
        await work.end_family(self.family.id)
        await end_tokens(work, [self.family.id], reason="a refresh token was reused", identity=identity, now=now)
        await work.record(
            audit_trail.bridge_event(
                identity,
                "refresh.reuse",
                "an old refresh token was used again: its family has ended",
                now=now,
                decision="deny",
                reason="refresh_token_reused",
                principal=code.username,
                principal_kind="user",
                actors=(code.request.actor,) if code.request.actor else (),
                client_id=code.request.client_id,
                target=self.family.id,
                resource=code.request.resource,
                request_id=self.attempt.request.request_id,
            )
        )
