"""The issuer's registry over HTTP, read with a token that the bridge signs for itself."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

import httpx2

from bridge.issuance import sign
from bridge.model import REGISTRY_READ, TOKEN_SECONDS, Agent, Identity
from bridge.model.succession import Succession
from did_agent.adapters.http import MAX_RESPONSE, peer_client
from did_agent.clock import Clock
from did_agent.encoding.strict_json import parse_object
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import Malformed, PeerUnavailable
from did_agent.tokens.access_token import ORGANISATION, AccessToken

MAX_RECENT: Final = 4_096  # agents, each with its credentials
MAX_KNOWN: Final = 65_536  # agents whose organisation is remembered


class RegistryHTTP:
    """Implements `bridge.ports.Registry`.

    Active agents are remembered for `max_age`.  Who is suspended or retired is refused at once all the same: the
    issuer announces it, and every token is issued in a transaction that reads what has ended (DEL-10).
    """

    def __init__(self, issuer_url: str, *, token: Callable[[], str], max_age: timedelta, clock: Clock) -> None:
        self._url, self._token = issuer_url, token
        self._http: httpx2.AsyncClient = peer_client()
        self._max_age, self._clock = max_age, clock
        self._recent: OrderedDict[str, tuple[datetime, Agent]] = OrderedDict()
        self._organisations: OrderedDict[str, str] = OrderedDict()  # by DID

    async def aclose(self) -> None:
        """Close the connections kept."""
        await self._http.aclose()

    async def agent(self, did: str) -> Agent | None:
        """Return the agent with this DID, in any state, or None when there is none.

        Raises: PeerUnavailable.
        """
        asked = self._clock()
        found = await self._ask(did)
        self._recent.pop(did, None)
        if found is None:
            return None
        agent = _agent(found, did)
        self._organisations[did] = agent.organisation
        if len(self._organisations) > MAX_KNOWN:
            self._organisations.popitem(last=False)
        if agent.is_active and self._max_age:
            self._recent[did] = (asked, agent)
            if len(self._recent) > MAX_RECENT:
                self._recent.popitem(last=False)
        return agent

    async def organisation(self, did: str) -> str | None:
        """Return whose the agent with this DID is, once found, without asking again; None when there is none.

        Raises: PeerUnavailable.
        """
        known = self._organisations.get(did)
        if known is not None:
            return known
        found = await self.agent(did)
        return None if found is None else found.organisation

    async def succession(self, did: str) -> Succession | None:
        """Return the keys of whoever has or had this one, or None when nobody had.

        Raises: PeerUnavailable.
        """
        found = await self._ask(did, "/keys")
        return None if found is None else _succession(found)

    async def _ask(self, did: str, more: str = "") -> dict[str, object] | None:
        url = f"{self._url}/registry/{quote(did, safe=':')}{more}"
        try:
            response = await self._http.get(url, headers={"Authorization": f"Bearer {self._token()}"})
        except httpx2.HTTPError as error:
            raise PeerUnavailable(f"the registry: {type(error).__name__}") from error
        if response.status_code == httpx2.codes.NOT_FOUND:
            return None
        if response.status_code != httpx2.codes.OK:
            raise PeerUnavailable(f"the registry answered {response.status_code}")
        try:
            return parse_object(response.content, max_bytes=MAX_RESPONSE)
        except Malformed as error:
            raise PeerUnavailable("the registry's answer cannot be read") from error

    def recent(self, did: str) -> Agent | None:
        """Return what was found of an active agent, if it was asked for less than `max_age` ago."""
        asked, agent = self._recent.get(did, (None, None))
        return agent if asked is not None and self._clock() - asked < self._max_age else None


class OwnToken:
    """Signs the bridge's own token for the registry and renews it before it ends; it never leaves this process."""

    def __init__(self, identity: Identity, *, issuer_url: str, clock: Clock) -> None:
        self._identity, self._issuer_url, self._clock = identity, issuer_url, clock
        self._text, self._kid, self._renew = "", "", datetime.min.replace(tzinfo=clock().tzinfo)

    def __call__(self) -> str:
        """Return a token that is good for at least a minute."""
        now, signer = self._clock(), self._identity.ring.signer()
        if now >= self._renew or signer.kid != self._kid:  # its key may have been revoked
            token = AccessToken(
                issuer=self._identity.issuer,
                subject=self._identity.did,
                subject_profile="service",
                audience=self._issuer_url,
                client_id=self._identity.did,
                issued_at=now,
                expires=now + timedelta(seconds=TOKEN_SECONDS),
                id=secrets.token_urlsafe(18),
                scopes=frozenset({REGISTRY_READ}),
            )
            self._text, self._kid = sign(token, signer=signer), signer.kid
            self._renew = now + timedelta(seconds=TOKEN_SECONDS - 60)
        return self._text


def _agent(members: dict[str, object], did: str) -> Agent:
    texts = {name: members.get(name) for name in ("did", "name", "state", "sponsor")}
    redirects, credentials = members.get("redirect_uris", []), members.get("credentials", [])
    if not all(isinstance(value, str) for value in texts.values()) or texts["did"] != did:
        raise PeerUnavailable("the registry's answer is not about this agent")
    if not isinstance(redirects, list) or not isinstance(credentials, list):
        raise PeerUnavailable("the registry's answer does not have its form")
    organisation = members.get("organisation")
    if not isinstance(organisation, str) or not ORGANISATION.fullmatch(organisation):
        raise PeerUnavailable("the registry's answer does not say whose the agent is")
    return Agent(
        **{name: str(value) for name, value in texts.items()},
        organisation=organisation,
        redirect_uris=tuple(uri for uri in redirects if isinstance(uri, str)),
        credentials=tuple(document for document in credentials if isinstance(document, dict)),
    )


def _succession(members: dict[str, object]) -> Succession:
    agent_id, did, moved = (members.get(name) for name in ("agent_id", "did", "handed_over"))
    keys = members.get("keys")
    if not isinstance(agent_id, str) or not isinstance(did, str | None) or not isinstance(keys, list):
        raise PeerUnavailable("the registry's answer does not have its form")
    try:
        handed_over = None if moved is None else parse_timestamp(moved)
    except Malformed as error:
        raise PeerUnavailable("the registry's answer does not have its form") from error
    texts = (key.get("statement") for key in keys if isinstance(key, dict))
    return Succession(
        agent_id=agent_id,
        current=did,
        handed_over=handed_over,
        statements=tuple(text for text in texts if isinstance(text, str)),
    )
