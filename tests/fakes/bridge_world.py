"""A bridge with its real storage and HTTP on loopback, and an issuer beside it whose register a test can change."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from bridge.adapters import passwords, tables
from bridge.app import create_app
from bridge.settings import BridgeSettings
from did_agent.adapters.party import Place, listen, serving
from did_agent.adapters.sql import open_database
from did_agent.adapters.tls import ServerTLS
from did_agent.adapters.trust import Trust, save_trust
from did_agent.credential.capability import Capability
from did_agent.credential.issuance import attenuate, build_capability_credential, issue, new_id
from did_agent.credential.status import StatusEntry
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present, present_jwt
from did_agent.tokens.client_assertion import make_client_assertion
from did_agent.tokens.security_event import SecurityEvent, sign_event
from tests.fakes.bridge_issuer import (
    ACCESS,
    ASSERTION,
    EXCHANGE,
    JWT,
    OTHER_RESOURCE,
    PASSWORD,
    REDIRECT,
    RESOURCE,
    START,
    TOOLS,
    VP,
    Actor,
    Clock,
    FakeIssuer,
    capability,
    claims_of,
)
from tests.fakes.bridge_person import Browser, Question, answered, code_for, form_of, origin, question, redeem

__all__ = [
    "ACCESS",
    "ASSERTION",
    "Actor",
    "Browser",
    "Clock",
    "EXCHANGE",
    "FakeIssuer",
    "JWT",
    "OTHER_RESOURCE",
    "PASSWORD",
    "Question",
    "REDIRECT",
    "RESOURCE",
    "START",
    "TOOLS",
    "VP",
    "World",
    "answered",
    "capability",
    "cheap_passwords",
    "claims_of",
    "code_for",
    "form_of",
    "origin",
    "question",
    "redeem",
    "w",
    "world",
]


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
        for kept in ("version", "revisions"):
            await connection.execute(text(f"DROP TABLE IF EXISTS bridge_schema_{kept}"))
    await engine.dispose()
