"""Pushed authorization requests: checked as if a browser had brought them, then kept for a while (RFC 9126)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from bridge.authorization_request import Refusal
from bridge.clients import require_named
from bridge.model import Identity, OAuthRequest
from bridge.ports import Store
from bridge.pushed_requests import PREFIX, REQUEST_SECONDS, request_digest, to_push
from bridge.sender_constraint import prove_sender
from bridge.service.attempt import spend
from bridge.service.authorization import Authorization
from bridge.service.clients import Clients
from did_agent.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushing:
    """The use case of `/par`."""

    authorization: Authorization
    clients: Clients
    store: Store
    identity: Identity
    clock: Clock

    async def push(self, asked: OAuthRequest) -> str | Refusal:
        """Return the request URI that stands for the request, or why it cannot be served.

        Raises: ClientNotAuthenticated, InvalidParameter, MissingParameter, BadDPoPProof, PeerUnavailable.
        """
        now = self.clock()
        client = require_named(await self.clients.authenticate(asked, now=now))
        sender = prove_sender(asked, url=f"{self.identity.issuer}/par", now=now, require_nonce=None)
        jkt = None if sender is None else sender.confirmation.jkt
        pushed = to_push(asked, client_id=client.id, dpop_jkt=jkt)
        opened = await self.authorization.open_pushed(asked, pushed)
        if isinstance(opened, Refusal):
            return opened
        request_uri = PREFIX + secrets.token_urlsafe(32)
        expires = now + timedelta(seconds=REQUEST_SECONDS)
        async with self.store.transaction() as work:
            for value in (client.spend, None if sender is None else sender.spend):
                if value is not None:
                    await spend(work, value)
            await work.add_pushed_request(request_digest(request_uri), pushed, expires=expires)
        return request_uri
