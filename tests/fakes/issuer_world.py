"""An issuer over a real database and in-process HTTP, with a bridge that is away and tokens a test can shape."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pyrage
from sqlalchemy import select

from did_agent.adapters.http import GuardedFetcher
from did_agent.adapters.sql import create_schema, open_database, transaction
from did_agent.adapters.web import harden
from did_agent.audit.event import AuditEvent, parse_event
from did_agent.did.key import did_key
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import PeerUnavailable
from did_agent.keys.ed25519 import SigningKey
from did_agent.ports import FetchJSON
from did_agent.presentation.present import present
from issuer.adapters.sql import SQLStore, metadata, outbox
from issuer.api.imports import LARGER
from issuer.api.routes import Callers, Route, issuer_api
from issuer.composition import compose, compose_enrolment, compose_keys, compose_wallets, compose_webhooks
from issuer.service.callers import AgentCallers
from issuer.service.office import Office
from issuer.service.organisations import Organisations
from issuer.service.principals import Principals
from issuer.service.ring import Ring
from tests.fakes.guard_world import BRIDGE, NOW, World, token
from verifier.doors.token import TokenDoor
from verifier.service import Verifier

ISSUER_URL = "https://issuer.example"
KEY, AGENT_KEY = SigningKey.from_seed(b"i" * 32), SigningKey.from_seed(b"n" * 32)
RESOURCE = "https://mcp.example/mcp"
OPERATOR = "did:key:operator"
HOOKS = b"h" * 32  # what keys of webhooks are derived from
IDENTITY = pyrage.x25519.Identity.generate()  # what keys of organisations are sealed for


class Sealer:
    """The identity every issuer of a test has."""

    def seal(self, secret: bytes) -> str:
        return str(bytes(pyrage.encrypt(secret, [IDENTITY.to_public()], armored=True)), "ascii")

    def open(self, sealed: str) -> bytes:
        return bytes(pyrage.decrypt(sealed.encode(), [IDENTITY]))


SEALER = Sealer()
CAPABILITIES = {"capabilities": [{"resource": [RESOURCE], "tools": {"a": {}}}]}


class Nowhere:
    """No platform answers."""

    async def get_json(self, url: str) -> Mapping[str, object]:
        raise PeerUnavailable(f"nobody is at {url}")


class SilentNews:
    """The bridge, away."""

    async def push(self) -> bool:
        return False

    def wake_audit(self) -> None:
        return


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'issuer.db'}"


def verifier_of(office: Office, world: World) -> Verifier:
    return Verifier(
        resource=ISSUER_URL,
        source=did_key(KEY.public),
        party="issuer",
        doors=(TokenDoor(resource=ISSUER_URL, issuer=BRIDGE, keys=world),),
        revocations=world,
        audit=office,
        clock=office.clock,
    )


def routes_of(office: Office, verifier: Verifier, platform: FetchJSON | None = None) -> Sequence[Route]:
    """Return every route that the issuer's app serves."""
    return (
        *compose_keys(office, SEALER),
        *compose(office),
        *compose_enrolment(office, platform or Nowhere()),
        *compose_wallets(office, verifier, bridge_url=BRIDGE),
        *compose_webhooks(office, HOOKS, GuardedFetcher(allow_loopback=True)),
    )


@asynccontextmanager
async def issuer(
    where: Path | str, clock: Callable[[], datetime] = lambda: NOW, platform: FetchJSON | None = None
) -> AsyncIterator[tuple[httpx2.AsyncClient, World]]:
    """Open an issuer on a folder (SQLite) or a database URL; opening it again finds what was left."""
    engine = open_database(where if isinstance(where, str) else sqlite_url(where))
    await create_schema(engine, metadata)
    world = World()
    store, ring = SQLStore(engine), Ring(KEY, clock=clock, sealer=SEALER)
    office = Office(store=store, news=SilentNews(), key=KEY, url=ISSUER_URL, clock=clock, ring=ring)
    await ring.refresh(store)
    verifier = verifier_of(office, world)
    agents, tenants = AgentCallers(office=office), Organisations(office=office)
    callers = Callers(verifier=verifier, agents=agents, organisations=tenants, principals=Principals(office=office))
    routes = routes_of(office, verifier, platform)
    app = harden(issuer_api(routes, callers, office), larger=LARGER)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=ISSUER_URL) as http:
        yield http, world
    await engine.dispose()


def auth(*scopes: str, **changes: Any) -> dict[str, str]:
    """Return the header of an operator's token with these scopes, some of its claims changed."""
    values: dict[str, Any] = {
        "subject": OPERATOR,
        "subject_profile": "service",
        "client_id": OPERATOR,
        "audience": ISSUER_URL,
        "scopes": frozenset(scopes),
        "capabilities": (),
        "credential_ids": (),
        **changes,
    }
    return {"Authorization": f"Bearer {token(**values)}"}


ADMIN, READER = auth("issuer:admin"), auth("registry:read")


async def register(http: httpx2.AsyncClient, name: str = "stock-agent") -> dict[str, Any]:
    made = await http.post("/agents", json={"name": name, "sponsor": "Ops"}, headers=ADMIN)
    assert made.status_code == 201, made.text
    return dict(made.json())


def answer_to(made: dict[str, Any], key: SigningKey = AGENT_KEY) -> dict[str, Any]:
    """Return the body that answers an invitation."""
    return {
        "presentation": present([], key=key, audience=ISSUER_URL, challenge=made["enrolment"]["challenge"], now=NOW)
    }


async def onboard(http: httpx2.AsyncClient, name: str = "stock-agent", key: SigningKey = AGENT_KEY) -> dict[str, Any]:
    made = await register(http, name)
    enrolled = await http.post(f"/agents/{made['agent_id']}/enrolment", json=answer_to(made, key))
    assert enrolled.status_code == 201, enrolled.text
    return dict(enrolled.json())


async def other_organisation(http: httpx2.AsyncClient, name: str = "acme") -> dict[str, str]:
    """Return the header of an admin of another organisation."""
    made = await http.post("/organisations", json={"name": name}, headers=ADMIN)
    assert made.status_code == 201, made.text
    return auth("issuer:admin", organisation=name)


async def granted(http: httpx2.AsyncClient, agent: dict[str, Any], **changes: Any) -> dict[str, Any]:
    issued = await http.post(f"/agents/{agent['agent_id']}/credentials", json=CAPABILITIES | changes, headers=ADMIN)
    assert issued.status_code == 201, issued.text
    return dict(issued.json()["credential"])


async def recorded(where: Path | str) -> Sequence[AuditEvent]:
    """Return the audit events that wait for the ledger, in their order."""
    engine = open_database(where if isinstance(where, str) else sqlite_url(where))
    async with transaction(engine) as connection:
        rows = (await connection.execute(select(outbox.c.event).order_by(outbox.c.seq))).scalars().all()
    await engine.dispose()
    return [parse_event(parse_object(row)) for row in rows]


async def named(http: httpx2.AsyncClient, principal: str, *sponsors: str, by: Mapping[str, str] = ADMIN) -> None:
    """Let an admin name somebody, and whom they may name as sponsor."""
    answer = await http.put(f"/principals/{principal}", json={"sponsors": [*sponsors]}, headers=dict(by))
    assert answer.status_code == 200, answer.text
