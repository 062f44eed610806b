"""An agent asks the issuer for itself: by a proof of its key that counts once, and only while it is active."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.sql import create_schema, open_database
from did_agent.adapters.web import harden
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present_jwt
from issuer.access import AGENT
from issuer.adapters.sql import SQLStore, metadata
from issuer.api.routes import Callers, Route, issuer_api
from issuer.composition import compose
from issuer.model import Operator
from issuer.service.callers import AgentCallers
from issuer.service.office import Office
from issuer.service.organisations import Organisations
from issuer.service.principals import Principals
from tests.fakes.guard_world import BRIDGE, NOW, World
from tests.fakes.issuer_world import (
    ADMIN,
    AGENT_KEY,
    ISSUER_URL,
    KEY,
    SilentNews,
    granted,
    onboard,
    recorded,
    sqlite_url,
)
from verifier.doors.token import TokenDoor
from verifier.service import Verifier


@pytest.fixture
async def http(tmp_path: Path) -> Any:
    """An issuer with one more route, which tells an agent what the issuer took it for."""
    engine, world = open_database(sqlite_url(tmp_path)), World()
    await create_schema(engine, metadata)
    office = Office(store=SQLStore(engine), news=SilentNews(), key=KEY, url=ISSUER_URL, clock=lambda: NOW)
    verifier = Verifier(
        resource=ISSUER_URL,
        source="did:key:x",
        party="issuer",
        doors=(TokenDoor(resource=ISSUER_URL, issuer=BRIDGE, keys=world),),
        revocations=world,
        audit=office,
        clock=lambda: NOW,
    )

    async def me(_request: Request, by: Operator) -> Response:
        return JSONResponse({"did": by.principal, "organisation": by.organisation, "roles": sorted(by.roles)})

    route = Route(method="GET", path="/me", action="me", access=AGENT, handler=me)
    agents, tenants = AgentCallers(office=office), Organisations(office=office)
    callers = Callers(verifier=verifier, agents=agents, organisations=tenants, principals=Principals(office=office))
    app = issuer_api((route, *compose(office)), callers, office)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=harden(app)), base_url=ISSUER_URL) as client:
        yield client
    await engine.dispose()


def proof(key: SigningKey = AGENT_KEY, **changes: Any) -> dict[str, str]:
    shown: dict[str, Any] = {"key": key, "audience": ISSUER_URL, "now": NOW, **changes}
    credentials = shown.pop("credentials", [])
    return {"Authorization": f"Bearer {present_jwt(credentials, **shown)}"}


@pytest.mark.req("VCX-01")
async def test_a_proof_counts_once(http: httpx2.AsyncClient, tmp_path: Path) -> None:
    agent = await onboard(http)
    shown = proof()
    first, second = await http.get("/me", headers=shown), await http.get("/me", headers=shown)
    assert first.json() == {"did": agent["did"], "organisation": "home", "roles": ["agent"]}
    assert (second.status_code, second.json()["code"]) == (401, "replayed")
    assert [(one.action, one.reason) for one in await recorded(tmp_path)][-1] == ("me", "replayed")


@pytest.mark.req("VCX-02", "TOK-08")
async def test_a_proof_for_others_of_others_late_or_with_more_in_it_is_refused(http: httpx2.AsyncClient) -> None:
    agent = await onboard(http)
    document = await granted(http, agent)
    for refused, code in (
        (proof(audience="https://other.example"), "wrong_audience"),
        (proof(key=SigningKey.generate()), "unknown_agent"),
        (proof(now=NOW - timedelta(minutes=10)), None),
        (proof(credentials=[document]), None),
        (proof(bound=True), None),
        (proof(nonce="made for a rotation"), "wrong_challenge"),
        (ADMIN, "insufficient_scope"),
        ({}, "not_authenticated"),
    ):
        answer = await http.get("/me", headers=refused)
        assert answer.status_code in (400, 401, 403), answer.text
        assert code in (None, answer.json()["code"]), answer.text
    assert (await http.get("/me", headers=proof())).status_code == 200


@pytest.mark.req("DEL-10", "WEB-01")
async def test_an_agent_that_is_not_active_is_nobody_and_no_agent_is_an_operator(http: httpx2.AsyncClient) -> None:
    agent = await onboard(http)
    path = f"/agents/{agent['agent_id']}"
    assert (await http.post(f"{path}/suspend", json={"reason": "x"}, headers=proof())).status_code == 403
    assert (await http.get("/agents", headers=proof())).status_code == 403
    assert (await http.post(f"{path}/suspend", json={"reason": "x"}, headers=ADMIN)).status_code == 200
    stopped = await http.get("/me", headers=proof())
    assert (stopped.status_code, stopped.json()["code"]) == (401, "agent_not_active")
    assert (await http.post(f"{path}/resume", json={"reason": "x"}, headers=ADMIN)).status_code == 200
    assert (await http.get("/me", headers=proof())).status_code == 200
