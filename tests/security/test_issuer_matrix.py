"""Every route of the issuer, asked by everybody: all as the routes declare, and nothing across organisations."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx2
import pytest

from did_agent.adapters.openapi import served_by
from issuer.access import PUBLIC, SERVICE
from issuer.api.routes import Route
from issuer.app import create_app
from issuer.service.office import Office
from issuer.settings import IssuerSettings
from tests.contract.conftest import database_url
from tests.fakes.guard_world import NOW
from tests.fakes.guard_world import World as Silent
from tests.fakes.issuer_requests import REQUESTS, Ask
from tests.fakes.issuer_world import ADMIN, ISSUER_URL, KEY, READER, auth, issuer, routes_of, verifier_of
from tests.fakes.tenants import MAKERS, SCOPES, Tenant, allow

__all__ = ["database_url"]  # every test that names it runs on SQLite and on PostgreSQL

ROLES: Final = (*SCOPES, "agent")
UNKNOWN: Final = "urn:uuid:00000000-0000-4000-8000-000000000000"


def declared() -> Sequence[Route]:
    nothing: Any = None
    office = Office(store=nothing, news=nothing, key=KEY, url=ISSUER_URL, clock=lambda: NOW)
    return routes_of(office, verifier_of(office, Silent()))


ROUTES: Final = {f"{route.method} {route.path}": route for route in declared()}


@asynccontextmanager
async def tenants(where: str) -> AsyncIterator[tuple[httpx2.AsyncClient, Tenant, Tenant]]:
    """Open an issuer that two organisations share."""
    async with issuer(where) as (http, _):
        for name in ("acme", "globex"):
            made = await http.post("/organisations", json={"name": name}, headers=ADMIN)
            assert made.status_code == 201, made.text
        acme, globex = Tenant(http=http, organisation="acme"), Tenant(http=http, organisation="globex")
        for one in (acme, globex):
            await allow(one)
            await one.thing("active")
        yield http, acme, globex


async def send(http: httpx2.AsyncClient, route: Route, ask: Ask, at: Tenant, by: dict[str, str]) -> httpx2.Response:
    """Send the honest request for a route about things of a tenant."""
    path = route.path
    for name, value in ask.path.items():
        path = path.replace(f"{{{name}}}", quote(await at.filled(value), safe=""))
    content: dict[str, Any] = {} if ask.body is None else {"json": await at.filled(ask.body)}
    if ask.form is not None:
        content = {"data": dict(ask.form)}
    return await http.request(route.method, path, params=dict(ask.query) or None, headers=by, **content)


def words(answer: httpx2.Response, at: Tenant) -> dict[str, Any]:
    """Return what a refusal says, but for which request it was and what the asker itself named."""
    text = answer.text
    for value in at.made.values():
        text = text.replace(value, "…")
    return {**json.loads(text), "request_id": ""}


def test_the_table_has_every_route_and_no_other(tmp_path: Path) -> None:
    assert set(ROUTES) == set(REQUESTS)
    app = create_app(IssuerSettings(data=tmp_path))
    assert set(served_by(app._app)) == set(ROUTES)  # below the edge


@pytest.mark.req("WEB-01", "WEB-04")
async def test_every_route_is_open_to_whom_it_says_and_to_nobody_else(database_url: str) -> None:
    wrong = []
    async with tenants(database_url) as (http, acme, _):
        for name, route in ROUTES.items():
            ask = REQUESTS[name]
            if route.access == PUBLIC:
                continue
            acme.role = "admin"
            callers: list[tuple[str, dict[str, str]]] = [("nobody", {}), ("a stranger", auth("audit:read"))]
            callers += [("the bridge", READER)] if not route.access & SERVICE else []
            callers += [(role, acme.headers(role)) for role in ROLES if role not in route.access]
            for who, by in callers:  # who is refused comes first: what is refused leaves everything as it was
                answer = await send(http, route, ask, acme, by)
                expected = (401, None) if who == "nobody" else (403, "insufficient_scope")
                if (answer.status_code, None if who == "nobody" else answer.json()["code"]) != expected:
                    wrong.append((name, who, answer.status_code, answer.text[:200]))
            for role in sorted(route.access & set(ROLES)):
                acme.role = role
                allowed = 403 if ask.home_alone else ask.status
                answer = await send(http, route, ask, acme, acme.headers(role))
                if answer.status_code != allowed:
                    wrong.append((name, role, answer.status_code, answer.text[:200]))
                if route.method != "GET":
                    acme.forget()
                    await acme.thing("active")
            if route.access & SERVICE:
                answer = await send(http, route, ask, acme, READER)
                if answer.status_code != ask.status:
                    wrong.append((name, "the bridge", answer.status_code, answer.text[:200]))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.req("WEB-01")
async def test_what_is_public_proves_itself_or_is_for_everybody(database_url: str) -> None:
    wrong = []
    async with tenants(database_url) as (http, acme, _):
        await acme.thing("credential")  # so that there is a status list
        for name, route in ROUTES.items():
            if route.access == PUBLIC:
                answer = await send(http, route, REQUESTS[name], acme, {})
                if answer.status_code != REQUESTS[name].status:
                    wrong.append((name, answer.status_code, answer.text[:200]))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.req("WEB-02")
async def test_what_is_of_another_organisation_is_answered_like_what_is_nowhere(database_url: str) -> None:
    wrong, compared = [], 0
    async with tenants(database_url) as (http, acme, globex):
        home = Tenant(http=http, organisation="home")
        nowhere = Tenant(http=http, organisation="globex", keys=globex.keys)
        nowhere.made = {name: UNKNOWN for name in MAKERS if name != "fresh"}
        for name, route in ROUTES.items():
            ask = REQUESTS[name]
            if route.access <= PUBLIC | SERVICE or not ask.names_things() or callable(ask.body) or ask.home_alone:
                continue
            acme.role = "admin" if "admin" in route.access else "agent"
            role = acme.role
            for stranger in (globex, home) if role == "admin" else (globex,):
                foreign = await send(http, route, ask, acme, stranger.headers(role))
                unknown = await send(http, route, ask, nowhere, stranger.headers(role))
                compared += 1
                said = words(foreign, acme), words(unknown, nowhere)
                if foreign.status_code != 404 or unknown.status_code != 404 or said[0] != said[1]:
                    wrong.append((name, stranger.organisation, foreign.text[:200], unknown.text[:200]))
    assert not wrong, "\n".join(map(str, wrong))
    assert compared > 90


@pytest.mark.req("WEB-02")
async def test_no_list_shows_what_is_of_another_organisation(database_url: str) -> None:
    wrong = []
    async with tenants(database_url) as (http, acme, globex):
        for thing in MAKERS:
            if thing not in ("fresh", "organisation"):
                acme.role = "admin"
                await acme.thing(thing)
        secret = {value for name, value in acme.made.items() if name not in ("fresh", "organisation")}
        shown = set()
        for name, route in ROUTES.items():
            if route.method != "GET" or route.access <= PUBLIC | SERVICE or REQUESTS[name].names_things():
                continue
            role = "admin" if "admin" in route.access else "agent"
            for one in (globex, acme):
                answer = await send(http, route, REQUESTS[name], one, one.headers(role))
                found = {value for value in secret if value in answer.text}
                shown |= found if one is acme else set()
                if one is globex and found:
                    wrong.append((name, found))
        assert not wrong
        assert len(shown) > len(secret) * 2 // 3  # acme itself does see them


@pytest.mark.req("WEB-02", "WEB-04")
async def test_a_sponsor_reaches_its_own_agents_alone(database_url: str) -> None:
    wrong = []
    async with tenants(database_url) as (http, acme, _):
        nowhere = Tenant(http=http, organisation="acme", keys=acme.keys)
        nowhere.made = {name: UNKNOWN for name in MAKERS if name != "fresh"}
        for name, route in ROUTES.items():
            ask = REQUESTS[name]
            mine = any(word in json.dumps([ask.path, ask.body], default=str) for word in ABOUT_AGENTS)
            if "sponsor" not in route.access or not mine or callable(ask.body):
                continue
            acme.role = "admin"
            other = acme.person("sponsor", "another")
            foreign = await send(http, route, ask, acme, other)
            unknown = await send(http, route, ask, nowhere, other)
            if foreign.status_code != 404 or words(foreign, acme) != words(unknown, nowhere):
                wrong.append((name, foreign.text[:200], unknown.text[:200]))
    assert not wrong, "\n".join(map(str, wrong))


ABOUT_AGENTS: Final = (
    "$active", "$pending", "$suspended", "$published", "$credential", "$request", "$own_request", "$delegation",
    "$offer", "$application", "$enrolment_token",
)  # fmt: skip


@pytest.mark.req("WEB-03")
async def test_nobody_says_more_than_is_asked_for(database_url: str) -> None:
    """Members that a resource has and a request does not are refused, never ignored."""
    wrong = []
    extra = ("organisation", "state", "did", "owner_id", "agent_id", "roles", "by", "is_admin")
    async with tenants(database_url) as (http, acme, _):
        acme.role = "admin"
        for name, route in ROUTES.items():
            ask = REQUESTS[name]
            if not isinstance(ask.body, dict) or "admin" not in route.access or ask.status >= 400:
                continue
            for member in extra:
                asked = Ask(path=ask.path, body={**ask.body, member: "acme"}, status=400)
                answer = await send(http, route, asked, acme, acme.headers("admin"))
                if (answer.status_code, answer.json().get("code")) != (400, "invalid_parameter"):
                    wrong.append((name, member, answer.status_code, answer.text[:200]))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.req("WEB-02")
async def test_who_acts_through_an_agent_needs_one_of_the_same_organisation(database_url: str) -> None:
    async with tenants(database_url) as (http, acme, globex):
        dids = {one.organisation: await one.thing("did") for one in (acme, globex)}

        async def asked(organisation: str, *through: str) -> int:
            person = {"subject": "jo", "subject_profile": "user", "actors": through}
            by = auth("issuer:admin", organisation=organisation, client_id=through[0], **person)
            return (await http.get("/agents", headers=by)).status_code

        assert await asked("acme", dids["acme"]) == 200
        assert await asked("globex", dids["globex"]) == 200
        assert await asked("acme", dids["globex"]) == 403
        assert await asked("acme", dids["acme"], dids["globex"]) == 403
        assert await asked("acme", "did:key:unknown") == 403
        alone = {"subject": dids["acme"], "subject_profile": "ai_agent", "client_id": dids["acme"]}
        for organisation, status in (("acme", 200), ("globex", 403)):
            by = auth("issuer:admin", organisation=organisation, **alone)
            assert (await http.get("/agents", headers=by)).status_code == status
        unsaid = auth("issuer:admin", **alone)  # an agent of acme is nobody at home
        assert (await http.get("/agents", headers=unsaid)).status_code == 403
        await acme.do(f"/agents/{acme.made['active']}/suspend", {"reason": "because"})
        assert await asked("acme", dids["acme"]) == 403


@pytest.mark.req("WEB-02")
async def test_only_the_token_says_whose_somebody_is(database_url: str) -> None:
    async with tenants(database_url) as (http, acme, globex):
        agent = await acme.thing("active")
        stranger = {**globex.person("admin"), "X-Organisation": "acme", "Org": "acme"}
        for path in (f"/agents/{agent}?organisation=acme", f"/agents/{agent}?org=acme", f"/agents/{agent}"):
            answer = await http.get(path, headers=stranger)
            assert answer.status_code in (400, 404), path
        assert (await http.get(f"/agents/{agent}", headers=acme.person("admin"))).status_code == 200
        both = auth("issuer:admin", "registry:read", organisation="globex", subject="did:key:both")
        assert (await http.get(f"/agents/{agent}", headers=both)).status_code == 404
