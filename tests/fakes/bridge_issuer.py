"""An issuer whose register and status lists a test can change, and the agents in it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from did_agent.clock import format_timestamp
from did_agent.credential.capability import Capability, parse_bare_capability
from did_agent.credential.issuance import issue
from did_agent.credential.status import MIN_LIST_BYTES, build_status_list_credential, with_bit
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.continuity import make_continuity
from did_agent.tokens.trust_list import MEDIA_TYPE, PATH, TrustEntry, TrustList, sign_trust_list

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
RESOURCE = "https://urban-bites.example/mcp"
OTHER_RESOURCE = "https://city-maps.example/mcp"
TOOLS = ("list_menu", "create_order", "delete_order", "update_stock", "assign_delivery")
REDIRECT = "http://127.0.0.1:9999/callback"
PASSWORD = "correct horse battery"
VP = "https://www.w3.org/2018/credentials#VerifiablePresentation"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token without believing them."""
    body = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))


def capability(*tools: str, resource: str = RESOURCE, **arguments: Any) -> Capability:
    return parse_bare_capability({"resource": [resource], "tools": {tool: arguments.get(tool, {}) for tool in tools}})


@dataclass(slots=True)
class Clock:
    """A clock a test moves."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass(slots=True)
class Actor:
    """An agent with its key and what it holds."""

    key: SigningKey
    name: str
    state: str = "active"
    redirect_uris: tuple[str, ...] = (REDIRECT,)
    held: list[dict[str, Any]] = field(default_factory=list)  # what its register entry shows
    organisation: str = "home"

    @property
    def did(self) -> str:
        return did_key(self.key.public)


@dataclass(slots=True)
class FakeIssuer:
    """The register and the status lists, as a test wants them to be."""

    url: str = ""
    key: SigningKey = field(default_factory=SigningKey.generate)
    agents: dict[str, Actor] = field(default_factory=dict)
    bits: dict[str, set[int]] = field(default_factory=lambda: {"revocation": set(), "suspension": set()})
    names: dict[str, str] = field(default_factory=dict)  # of agents, by the keys they had before
    statements: dict[str, list[str]] = field(default_factory=dict)  # by the name of the agent
    handed_over: dict[str, datetime] = field(default_factory=dict)
    is_away: bool = False
    tokens_seen: list[str] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)
    trust: list[TrustEntry] = field(default_factory=list)  # whom it lists
    version: int = 0  # of the list; without one there is none
    ended: tuple[str, ...] = ()  # its own keys from before
    handovers: tuple[str, ...] = ()

    def app(self) -> Starlette:
        routes = [
            Route("/registry/{did}/keys", self._keys),
            Route("/registry/{did:path}", self._registry),
            Route("/status-lists/{purpose}/1", self._status_list),
            Route(PATH, self._trust_list),
        ]
        return Starlette(routes=routes)

    async def _registry(self, request: Request) -> Response:
        self.tokens_seen.append(request.headers.get("authorization", ""))
        if self.is_away:
            return Response(status_code=500)
        agent = self.agents.get(request.path_params["did"])
        if agent is None:
            return JSONResponse({}, status_code=404)
        return JSONResponse(
            {
                "agent_id": f"urn:uuid:{agent.name}",
                "did": agent.did,
                "name": agent.name,
                "state": agent.state,
                "organisation": agent.organisation,
                "sponsor": "Urban Bites operations",
                "redirect_uris": list(agent.redirect_uris),
                "credentials": agent.held if agent.state == "active" else [],
            }
        )

    def rekey(self, agent: Actor, *, is_named: bool = True, **said: Any) -> Actor:
        """Give an agent another key, which its own one named or did not, and return it with that."""
        new = replace(agent, key=SigningKey.generate(), held=[])
        options = {"agent_id": f"urn:uuid:{agent.name}", "audience": self.url, "now": self.clock(), **said}
        if is_named:
            made = make_continuity(agent.key, successor=new.did, **options)
            self.statements.setdefault(agent.name, []).append(made)
        self.names[agent.did] = agent.name
        del self.agents[agent.did]
        self.agents[new.did] = new
        return new

    async def _keys(self, request: Request) -> Response:
        if self.is_away:
            return Response(status_code=500)
        did, current = request.path_params["did"], {one.name: one.did for one in self.agents.values()}
        name = self.names.get(did) or (self.agents[did].name if did in self.agents else None)
        if name is None:
            return JSONResponse({}, status_code=404)
        moved = self.handed_over.get(name)
        return JSONResponse(
            {
                "agent_id": f"urn:uuid:{name}",
                "did": current.get(name),
                "handed_over": None if moved is None else format_timestamp(moved),
                "keys": [{"statement": text} for text in [*self.statements.get(name, []), None]],
            }
        )

    async def _trust_list(self, _request: Request) -> Response:
        if not self.version:
            return Response(status_code=404)
        issued = self.clock()
        found = TrustList(
            issuer=did_key(self.key.public),
            version=self.version,
            issued=issued,
            expires=issued + timedelta(minutes=5),
            entries=tuple(self.trust),
            own=(did_key(self.key.public),) if self.handovers else (),
            ended=self.ended,
            handovers=self.handovers,
        )
        return Response(sign_trust_list(found, key=self.key), media_type=MEDIA_TYPE)

    async def _status_list(self, request: Request) -> Response:
        purpose = request.path_params["purpose"]
        bits = bytes(MIN_LIST_BYTES)
        for index in self.bits[purpose]:
            bits = with_bit(bits, index, value=True)
        document = build_status_list_credential(
            url=f"{self.url}/status-lists/{purpose}/1",
            issuer=did_key(self.key.public),
            purpose=purpose,
            bits=bits,
            valid_from=self.clock() - timedelta(minutes=1),
            valid_until=self.clock() + timedelta(minutes=5),
            ttl_ms=30_000,
        )
        return JSONResponse(issue(document, self.key, now=self.clock()))
