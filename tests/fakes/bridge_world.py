"""A bridge with its real storage and HTTP on loopback, and an issuer beside it whose register a test can change."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from argon2 import PasswordHasher
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge.adapters import passwords, tables
from bridge.app import create_app
from bridge.settings import BridgeSettings
from did_agent.adapters.party import Place, listen, serving
from did_agent.adapters.sql import open_database
from did_agent.adapters.tls import ServerTLS
from did_agent.adapters.trust import Trust, save_trust
from did_agent.credential.capability import Capability, parse_bare_capability
from did_agent.credential.issuance import attenuate, build_capability_credential, issue, new_id
from did_agent.credential.status import MIN_LIST_BYTES, StatusEntry, build_status_list_credential, with_bit
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present, present_jwt
from did_agent.tokens.client_assertion import make_client_assertion
from did_agent.tokens.security_event import SecurityEvent, sign_event

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
    is_away: bool = False
    tokens_seen: list[str] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)

    def app(self) -> Starlette:
        routes = [
            Route("/registry/{did:path}", self._registry),
            Route("/status-lists/{purpose}/1", self._status_list),
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
                "sponsor": "Urban Bites operations",
                "redirect_uris": list(agent.redirect_uris),
                "credentials": agent.held if agent.state == "active" else [],
            }
        )

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


@dataclass(slots=True)
class World:
    """Everything a story at the bridge needs."""

    url: str
    http: httpx2.AsyncClient
    issuer: FakeIssuer
    operator: SigningKey
    colleague: SigningKey  # another operator
    clock: Clock
    database: str
    data: Path
    count: int = 0
    browsers: list[httpx2.AsyncClient] = field(default_factory=list)
    mtls_url: str | None = None

    # ---- people and agents

    def enrol(self, name: str, *, redirect_uris: Iterable[str] = (REDIRECT,)) -> Actor:
        agent = Actor(key=SigningKey.generate(), name=name, redirect_uris=tuple(redirect_uris))
        self.issuer.agents[agent.did] = agent
        return agent

    def grant(self, agent: Actor, *capabilities: Capability, register: bool = True, **changes: Any) -> dict[str, Any]:
        """Issue a root credential to an agent; its number is its place in both status lists."""
        self.count += 1
        lists = f"{self.issuer.url}/status-lists"
        options: dict[str, Any] = {
            "valid_from": self.clock() - timedelta(minutes=1),
            "valid_until": self.clock() + timedelta(hours=8),
            "max_depth": 4,
            "statuses": (
                StatusEntry(list_url=f"{lists}/revocation/1", index=self.count, purpose="revocation"),
                StatusEntry(list_url=f"{lists}/suspension/1", index=self.count, purpose="suspension"),
            ),
        }
        unsigned = build_capability_credential(
            id=new_id(),
            issuer=did_key(self.issuer.key.public),
            subject=agent.did,
            capabilities=capabilities,
            **(options | changes),
        )
        document = issue(unsigned, self.issuer.key, now=self.clock())
        if register:
            agent.held.append(document)
        return document

    def agent(self, name: str, *tools: str) -> Actor:
        """Return an enrolled agent that holds one credential for `tools`."""
        agent = self.enrol(name)
        self.grant(agent, capability(*tools))
        return agent

    def hand_on(self, parent: Mapping[str, Any], giver: Actor, taker: Actor, *tools: str) -> dict[str, Any]:
        return attenuate(
            parent,
            key=giver.key,
            subject=taker.did,
            capabilities=[capability(*tools)],
            valid_until=self.clock() + timedelta(minutes=15),
            now=self.clock(),
        )

    # ---- what agents send

    async def challenge(self) -> str:
        return str((await self.http.post("/challenge")).json()["c_nonce"])

    async def vp(self, agent: Actor, *credentials: Mapping[str, object], **changes: Any) -> str:
        """Return an honest JSON presentation of an agent's credentials (its register's, when none are named)."""
        options: dict[str, Any] = {"audience": self.url, "now": self.clock()}
        if "challenge" not in changes:
            options["challenge"] = await self.challenge()
        return json.dumps(present(credentials or agent.held, key=agent.key, **(options | changes)))

    def vp_jwt(self, agent: Actor, *credentials: Mapping[str, object], **changes: Any) -> str:
        options: dict[str, Any] = {"audience": self.url, "now": self.clock()}
        return present_jwt(credentials or agent.held, key=agent.key, **(options | changes))

    def assertion(self, key: SigningKey) -> dict[str, str]:
        made = make_client_assertion(key, audience=self.url, now=self.clock())
        return {"client_assertion_type": ASSERTION, "client_assertion": made}

    async def post(self, path: str, form: Mapping[str, Any] | list[tuple[str, str]], **headers: str) -> httpx2.Response:
        return await self.http.post(
            path,
            content=urlencode(list(form.items()) if isinstance(form, Mapping) else form),
            headers={"Content-Type": "application/x-www-form-urlencoded", **headers},
        )

    async def token(self, form: Mapping[str, Any]) -> httpx2.Response:
        return await self.post("/token", form)

    async def client_credentials(self, key: SigningKey, **form: str) -> httpx2.Response:
        return await self.token({"grant_type": "client_credentials", **self.assertion(key), **form})

    async def exchange(self, vp: str, **form: str) -> httpx2.Response:
        return await self.token(
            {"grant_type": EXCHANGE, "subject_token": vp, "subject_token_type": VP, "resource": RESOURCE, **form}
        )

    async def next_hop(self, token: str, vp: str, **form: str) -> httpx2.Response:
        return await self.token(
            {
                "grant_type": EXCHANGE,
                "subject_token": token,
                "subject_token_type": ACCESS,
                "actor_token": vp,
                "actor_token_type": VP,
                "resource": RESOURCE,
                **form,
            }
        )

    # ---- the operator, the issuer's news, the record

    async def admin_headers(self, key: SigningKey | None = None) -> dict[str, str]:
        answer = await self.client_credentials(key or self.operator, resource=self.url)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def put_resource(self, resource: str = RESOURCE, tools: Iterable[str] = TOOLS) -> None:
        body = {"resource": resource, "name": "Urban Bites", "tools": {tool: f"may {tool}" for tool in tools}}
        answer = await self.http.put("/resources", json=body, headers=await self.admin_headers())
        assert answer.status_code == 200, answer.text

    async def put_user(self, username: str, *tools: str, resource: str = RESOURCE, password: str = PASSWORD) -> None:
        body = {"name": "Jo Smith", "password": password, "rights": {resource: list(tools)}}
        answer = await self.http.put(f"/users/{username}", json=body, headers=await self.admin_headers())
        assert answer.status_code == 200, answer.text

    async def push(self, kind: Any, subject: str, **changes: Any) -> httpx2.Response:
        """Push an event as the issuer does."""
        key = changes.pop("key", self.issuer.key)
        did = did_key(key.public)
        values: dict[str, Any] = {
            "id": secrets.token_hex(8),
            "issued_at": self.clock(),
            "reason": "a test",
            "issuer": did,
            "audience": self.url,
        }
        event = SecurityEvent(kind=kind, subject=subject, **(values | changes))
        text = sign_event(event, key=key, kid=f"{did}#{did.removeprefix('did:key:')}")
        return await self.http.post("/revocations", content=text, headers={"Content-Type": "application/secevent+jwt"})

    async def events(self) -> list[dict[str, Any]]:
        """Return the audit events that wait for the ledger."""
        engine = open_database(self.database)
        try:
            async with engine.connect() as connection:
                rows = await connection.execute(tables.outbox.select().order_by(tables.outbox.c.seq))
                return [json.loads(row.event) for row in rows]
        finally:
            await engine.dispose()


@asynccontextmanager
async def world(
    data: Path,
    *,
    database: str | None = None,
    path: str = "",
    registry_max_age: float = 0,
    tls: ServerTLS | None = None,
    clock: Clock | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    **changes: Any,
) -> AsyncIterator[World]:
    """Run a bridge and its issuer while the block runs; with `tls` the bridge asks for certificates at a second URL."""
    clock = clock or Clock()
    listeners = [listen("127.0.0.1", wanted) for wanted in (port, 0, *([] if tls is None else [0]))]
    bridge_url, issuer_url, *second = (f"http://127.0.0.1:{one.getsockname()[1]}" for one in listeners)
    bridge_url = bridge_url.replace("127.0.0.1", host) + path
    mtls_url = second[0].replace("http:", "https:") + path if tls is not None else None
    if tls is not None:
        changes = {"tls_cert": tls.certificate, "tls_key": tls.key, "mtls_url": mtls_url, **changes}
    issuer, operator, colleague = FakeIssuer(url=issuer_url, clock=clock), SigningKey.generate(), SigningKey.generate()
    save_trust(
        data / "trust.json",
        Trust(issuers=(did_key(issuer.key.public),), operators=(did_key(operator.public), did_key(colleague.public))),
    )
    settings = BridgeSettings(
        data=data,
        bridge_url=bridge_url,
        issuer_url=issuer_url,
        ledger_url="http://127.0.0.1:9",
        database_url=database,
        registry_max_age=registry_max_age,
        status_max_age=0,
        **changes,
    )
    if database is not None:
        await _empty(database)
    app = create_app(settings, clock=clock)
    places: list[Place] = [(app, listeners[0]), (issuer.app(), listeners[1])]
    places += [] if tls is None else [(app, listeners[2], tls)]
    async with (
        serving(places),
        httpx2.AsyncClient(base_url=bridge_url, trust_env=False, timeout=30) as http,
    ):
        running = World(
            url=bridge_url,
            http=http,
            issuer=issuer,
            operator=operator,
            colleague=colleague,
            clock=clock,
            database=settings.database,
            data=data,
            mtls_url=mtls_url,
        )
        yield running
        for browser in running.browsers:
            await browser.aclose()


_POSTGRES = os.environ.get("DID_AGENT_TEST_POSTGRES")
_DATABASES = [None, *([_POSTGRES] if _POSTGRES else [])]


@pytest.fixture(params=_DATABASES, ids=lambda url: "postgres" if url else "sqlite")
async def w(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A bridge that serves one resource to one person, smith, who may do all but update the stock."""
    cheap_passwords(monkeypatch)
    async with world(tmp_path, database=request.param) as running:
        await running.put_resource()
        await running.put_user("smith", "list_menu", "create_order", "delete_order", "assign_delivery")
        yield running


def cheap_passwords(monkeypatch: Any) -> None:
    """Make argon2id as cheap as it gets; its real cost is the concern of one test."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "PasswordHasher", lambda: cheap)


async def _empty(database: str) -> None:
    engine = open_database(database)
    async with engine.begin() as connection:
        await connection.run_sync(tables.metadata.drop_all)
    await engine.dispose()


# ---- a person with a browser


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.boxes: list[str] = []
        self.buttons: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "input" and values.get("type") == "checkbox":
            self.boxes.append(values["value"])
        elif tag == "input":
            self.fields[values["name"]] = values.get("value", "")
        elif tag == "button" and "name" in values:
            self.buttons.append(values["value"])


def form_of(page: str) -> _Forms:
    parser = _Forms()
    parser.feed(page)
    return parser


@dataclass(slots=True)
class Question:
    """An authorization request and its PKCE secret."""

    verifier: str
    parameters: dict[str, str]

    @property
    def path(self) -> str:
        return "/authorize?" + urlencode(self.parameters)


def question(agent: Actor, **changes: str | None) -> Question:
    """Return an honest authorization request; None removes a parameter."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    everything: dict[str, str | None] = {
        "response_type": "code",
        "client_id": agent.did,
        "redirect_uri": REDIRECT,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "state": "st-42",
        "resource": RESOURCE,
        "requested_actor": agent.did,
        **changes,
    }
    return Question(verifier=verifier, parameters={n: v for n, v in everything.items() if v is not None})


@dataclass(slots=True)
class Browser:
    """A person's browser: keeps cookies, sends Origin, follows only our own redirects."""

    world: World
    http: httpx2.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx2.AsyncClient(base_url=self.world.url, trust_env=False, follow_redirects=False)
        self.world.browsers.append(self.http)

    async def get(self, path: str) -> httpx2.Response:
        return await self.http.get(path)

    async def submit(self, path: str, pairs: Iterable[tuple[str, str]], **headers: str) -> httpx2.Response:
        sent = {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin(self.world.url), **headers}
        return await self.http.post(path, content=urlencode(list(pairs)), headers=sent)

    async def login(self, path: str, *, username: str = "smith", password: str = PASSWORD) -> httpx2.Response:
        """Return the page after the login."""
        fields = form_of((await self.get(path)).text).fields | {"username": username, "password": password}
        answer = await self.submit(path, fields.items())
        if not answer.is_redirect:
            return answer
        assert answer.status_code == 303
        return await self.get(answer.headers["location"])

    async def consent(
        self, path: str, *, ticks: Iterable[str] | None = None, decision: str = "allow", offline: bool = False
    ) -> dict[str, str]:
        """Walk login and consent; return the parameters of the authorization response."""
        page = form_of((await self.login(path)).text)
        offered = [box for box in page.boxes if box != "yes"]
        chosen = [("scope_item", box) for box in (offered if ticks is None else ticks)]
        if offline:
            assert "yes" in page.boxes
            chosen.append(("offline", "yes"))
        return answered(await self.submit(path, [*page.fields.items(), *chosen, ("decision", decision)]))


def answered(response: httpx2.Response) -> dict[str, str]:
    """Return the parameters of an authorization response, which is always a 303."""
    assert response.status_code == 303, response.text
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()}


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


async def code_for(world: World, agent: Actor, **changes: str | None) -> tuple[str, str]:
    """Return a fresh code and its PKCE verifier, given by smith."""
    asked = question(agent, **changes)
    answer = await Browser(world).consent(asked.path)
    return answer["code"], asked.verifier


async def redeem(world: World, agent: Actor, code: str, verifier: str, **changes: str) -> httpx2.Response:
    """Redeem a code in form D: the client assertion is the proof of the actor."""
    return await world.token(
        {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": REDIRECT,
            **world.assertion(agent.key),
            **changes,
        }
    )
