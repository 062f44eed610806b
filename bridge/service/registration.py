"""Clients register themselves, look at their registration and end it; operators decide whether they may (RFC 7591)."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from bridge import audit_trail
from bridge.clients import Client
from bridge.model import Grant, Identity
from bridge.model.clients import OAuthClient
from bridge.model.registration import PER_DAY, Registered, Registration
from bridge.ports import Store, Transaction
from bridge.registration import PREFIX, parse_registration, token_digest
from bridge.service.attempt import OnIssue
from bridge.service.revocation import end_tokens
from did_agent.clock import Clock
from did_agent.errors import Denied, DidAgentError, NotAuthenticated, QuotaExceeded, VerificationError, WrongKey

_NOBODY: Final = "0" * 43  # no token has this digest
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfRegistration:
    """The use cases of `/register`; each outcome that decided something is recorded in its transaction."""

    store: Store
    identity: Identity
    per_address: int  # registrations from one address in a day
    initial: str | None = field(default=None, repr=False)  # digest of the operator's initial access token
    clock: Clock

    async def register(
        self, metadata: Mapping[str, object], *, initial: str | None, source: str, request_id: str
    ) -> Registered:
        """Register the client that `metadata` describes, for somebody at the address `source`.

        Raises: BadClientMetadata, NotAuthenticated, WrongKey, QuotaExceeded.
        """
        now = self.clock()
        client = parse_registration(PREFIX + secrets.token_urlsafe(18), metadata)
        token = secrets.token_urlsafe(32)
        try:
            self._require_initial(initial)
            async with self.store.transaction() as work:
                await self._count(work, source)
                await work.put_client(client)
                kept = Registration(client_id=client.id, token_digest=token_digest(token), registered=now)
                await work.add_registration(kept)
                await self._record(work, "client.register", client.id, "it registered itself", request_id)
        except (VerificationError, Denied) as error:
            await self._refuse(error, request_id)
            raise
        return Registered(client=client, registered=now, token=token)

    async def read(self, client_id: str, token: str) -> Registered:
        """Return a client to whoever holds its token.

        Raises: WrongKey.
        """
        async with self.store.transaction() as work:
            client, kept = await self._own(work, client_id, token)
        return Registered(client=client, registered=kept.registered, token=token)

    async def delete(self, client_id: str, token: str, *, request_id: str) -> None:
        """End a client by its own wish; its tokens end.

        Raises: WrongKey.
        """
        now, reason = self.clock(), "the client ended its registration"
        async with self.store.transaction() as work:
            await self._own(work, client_id, token)
            await end_tokens(work, [client_id], reason=reason, identity=self.identity, now=now)
            await work.delete_client(client_id)
            await work.delete_registration(client_id)
            await self._record(work, "client.delete", client_id, reason, request_id)

    def _require_initial(self, shown: str | None) -> None:
        if self.initial is None:
            return
        if shown is None:
            raise NotAuthenticated("registration needs the operator's initial access token")
        if not hmac.compare_digest(token_digest(shown), self.initial):
            raise WrongKey("this is not the initial access token")

    async def _count(self, work: Transaction, source: str) -> None:
        now = self.clock()
        for key, limit in ((f"{source} ", self.per_address), ("", PER_DAY)):
            if not await work.count(f"registration {key}{now:%F}", limit=limit, expires=now + _DAY):
                raise QuotaExceeded("too many clients registered today")

    async def _own(self, work: Transaction, client_id: str, token: str) -> tuple[OAuthClient, Registration]:
        kept, client = await work.registration(client_id), await work.client(client_id)
        # Unknown clients and wrong tokens look alike; what an operator took over is theirs (RFC 7592, 2.1).
        right = hmac.compare_digest(token_digest(token), kept.token_digest if kept else _NOBODY)
        if not right or kept is None or client is None or client.kind != "dynamic":
            raise WrongKey("this is not the token of the registration")
        return client, kept

    async def _refuse(self, error: DidAgentError, request_id: str) -> None:
        async with self.store.transaction() as work:
            event = audit_trail.bridge_event(
                self.identity,
                "client.register",
                error.detail or error.public,
                now=self.clock(),
                decision="deny",
                reason=error.code,
                request_id=request_id,
            )
            await work.record(event)

    async def _record(self, work: Transaction, action: str, client_id: str, why: str, request_id: str) -> None:
        event = audit_trail.bridge_event(
            self.identity,
            action,
            why,
            now=self.clock(),
            client_id=client_id,
            target=client_id,
            request_id=request_id,
        )
        await work.record(event)


def notes_of_use(client: Client, clock: Clock) -> list[OnIssue]:
    """Return what keeps a client that registered itself from being forgotten; nothing for the others."""
    if not client.id.startswith(PREFIX):
        return []

    async def note(work: Transaction, _grant: Grant, _token_id: str) -> None:
        await work.note_use(client.id, now=clock())

    return [note]
