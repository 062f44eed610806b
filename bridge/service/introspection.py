"""Introspection: what a token says and whether it stands, for those it concerns (RFC 7662; TOK-12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge import issuance
from bridge.clients import Client, require_client
from bridge.grants import refresh_token
from bridge.model import Identity, OAuthRequest
from bridge.model.refresh import RefreshFamily
from bridge.ports import Store, Transaction
from bridge.service.attempt import spend
from bridge.service.clients import Clients
from did_agent import errors
from did_agent.clock import Clock, numeric_date
from did_agent.proof.jwt import sign_jwt, unverified_jws
from did_agent.tokens.task import task_id

TYPE = "token-introspection+jwt"
INACTIVE: Mapping[str, object] = {"active": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """Answers resource servers and clients about tokens that are for them or theirs."""

    store: Store
    identity: Identity
    clients: Clients
    operators: frozenset[str]
    refresh_key: bytes = field(repr=False)
    clock: Clock

    async def introspect(self, request: OAuthRequest) -> tuple[Mapping[str, object], Client]:
        """Return the answer, and who asked; whatever is not for the caller is inactive to them.

        Raises: ClientNotAuthenticated, MissingParameter.
        """
        now = self.clock()
        client = require_client(await self.clients.authenticate(request, now=now))
        text = request.get("token")
        if text is None:
            raise errors.MissingParameter("token is required")
        async with self.store.transaction() as work:
            if client.spend is not None:
                await spend(work, client.spend)
        if text.startswith("drt_"):
            return await self._refresh_token(text, client), client
        return await self._access_token(text, client), client

    def signed(self, answer: Mapping[str, object], client: Client) -> str:
        """Return the answer as a JWT for the caller (RFC 9701, 5)."""
        claims = {
            "iss": self.identity.issuer,
            "aud": client.id,
            "iat": numeric_date(self.clock()),
            "token_introspection": dict(answer),
        }
        signer = self.identity.ring.signer()
        return sign_jwt(claims, typ=TYPE, key=signer.key, kid=signer.kid)

    async def _access_token(self, text: str, client: Client) -> Mapping[str, object]:
        try:
            token = issuance.verify_own(text, identity=self.identity, audience=None, proven=None, now=self.clock())
        except (errors.Malformed, errors.VerificationError):
            return INACTIVE
        async with self.store.transaction() as work:
            stands = await work.is_standing(token.id)
            behind = {token.client_id, token.subject, *token.actors, *token.credential_ids, token.task or ""}
            ended = await work.denied(behind)
            known = await work.client(client.id)
        is_theirs = token.client_id in (client.id, client.agent) or client.id in self.operators
        is_for_them = known is not None and token.audience in known.resources
        if not stands or ended is not None or not (is_theirs or is_for_them):
            return INACTIVE
        bound = token.confirmation is not None and token.confirmation.jkt is not None
        # The claims themselves: two tellings of one token cannot differ.
        return {**unverified_jws(text)[1], "active": True, "token_type": "DPoP" if bound else "Bearer"}

    async def _is_over(self, work: Transaction, family: RefreshFamily) -> bool:
        request, name = family.code.request, family.code.request.task
        if name is None:
            return False
        issuer, username = self.identity.issuer, family.code.username
        task = task_id(name, issuer=issuer, principal=username, principal_kind="user", client=request.client_id)
        return await work.denied({task}) is not None

    async def _refresh_token(self, text: str, client: Client) -> Mapping[str, object]:
        named = refresh_token.read(text, self.refresh_key)
        if named is None:
            return INACTIVE
        async with self.store.transaction() as work:
            family = await work.family(named.family)
            is_over = family is not None and await self._is_over(work, family)
        now = self.clock()
        if (
            family is None
            or is_over
            or family.generation != named.generation
            or not family.is_live(now)
            or family.code.request.client_id != client.id
        ):
            return INACTIVE
        code = family.code
        return {
            "active": True,
            "iss": self.identity.issuer,
            "sub": code.username,
            "client_id": client.id,
            "aud": code.request.resource,
            "scope": " ".join(sorted(code.scopes)),
            "exp": numeric_date(family.expires),
        }
