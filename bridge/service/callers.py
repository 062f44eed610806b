"""Who asks about policy: an operator, a resource server, or a party of the deployment; each by its own proof."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from bridge.clients import ASSERTION_TYPE, require_client
from bridge.model import OAuthRequest
from bridge.ports import Store
from bridge.service.administration import Administration
from bridge.service.attempt import spend
from bridge.service.clients import Clients
from did_agent.clock import Clock
from did_agent.errors import InsufficientScope, Malformed, NotAuthenticated, VerificationError
from did_agent.proof.jose import parse_compact

_ACCESS_TOKEN: Final = "at+jwt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and about which resources they may; None: all."""

    id: str
    resources: frozenset[str] | None

    def require(self, resource: str) -> None:
        """Return when the caller may ask about `resource`.

        Raises: InsufficientScope.
        """
        if self.resources is not None and resource not in self.resources:
            raise InsufficientScope("the resource is not that of the caller")


@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """Admits by a token for this bridge, a client secret, or a client assertion sent as bearer."""

    store: Store
    clients: Clients
    administration: Administration
    trusted: frozenset[str]  # DIDs of operators and parties
    clock: Clock

    async def admit(self, request: OAuthRequest) -> Caller:
        """Return who asks.

        Raises: NotAuthenticated, ClientNotAuthenticated, InsufficientScope and what verifying a token raises.
        """
        scheme, _, credential = (request.authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            if _type(credential) == _ACCESS_TOKEN:
                return Caller(id=(await self.administration.admit(credential)).subject, resources=None)
            # A client assertion is a signed word of the caller about itself: here it stands where a token would.
            shown = {"client_assertion": credential, "client_assertion_type": ASSERTION_TYPE}
            request = replace(request, authorization=None, parameters=shown)
        client = require_client(await self.clients.authenticate(request, now=self.clock()))
        async with self.store.transaction() as work:
            if client.spend is not None:
                await spend(work, client.spend)
            known = await work.client(client.id)
        if client.id in self.trusted:
            return Caller(id=client.id, resources=None)
        if known is None or not known.resources:
            raise InsufficientScope("only operators, parties and resource servers ask about policy")
        return Caller(id=client.id, resources=frozenset(known.resources))


def _type(token: str) -> str:
    try:
        return parse_compact(token).type
    except (Malformed, VerificationError) as error:
        raise NotAuthenticated("the bearer credential is no token and no client assertion") from error
