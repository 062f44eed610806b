"""Every route of the issuer, from its own table: who is let in, and what no body, path or query can do to it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import httpx2
import pytest

from did_agent.keys.ed25519 import SigningKey
from issuer.access import PUBLIC, SCOPES
from issuer.api import about, agents, credentials, enrolment, status
from issuer.api.routes import Route
from tests.fakes.guard_world import NOW, World
from tests.fakes.issuer_world import (
    ADMIN,
    CAPABILITIES,
    READER,
    answer_to,
    auth,
    granted,
    issuer,
    onboard,
    recorded,
    register,
)

UNUSED: Any = MagicMock()  # the table is read here, no handler of it is called
TABLE = [
    *(route for topic in (agents, enrolment, status, about) for route in topic.routes(UNUSED)),
    *credentials.routes(UNUSED, UNUSED),
]
CHANGES = ("suspend", "resume", "retire")
LATER = re.compile("/(self|collect|bulk|renew|entitlements)|/credentials/.*/(suspend|resume)")  # in the matrix
TABLE = [route for route in TABLE if not LATER.search(route.path)]
GUARDED = [route for route in TABLE if route.access != PUBLIC]
OPEN = [route for route in TABLE if route.access == PUBLIC]
WRITING = [route for route in TABLE if route.method == "POST"]


def scopes_of(route: Route) -> list[str]:
    """Return the scopes that open a route, the most powerful first."""
    return [scope for scope, role in SCOPES.items() if role in route.access]


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


every_guarded = pytest.mark.parametrize("route", GUARDED, ids=name)
every_open = pytest.mark.parametrize("route", OPEN, ids=name)
every_writing = pytest.mark.parametrize("route", WRITING, ids=name)


@dataclass
class Place:
    """An issuer with something behind every path, and an honest body for every route that takes one."""

    http: httpx2.AsyncClient
    world: World
    paths: dict[str, str]
    bodies: dict[str, dict[str, Any]]

    def path(self, route: Route) -> str:
        return self.paths[route.path]

    async def send(self, route: Route, headers: dict[str, str], **content: Any) -> httpx2.Response:
        return await self.http.request(route.method, self.path(route), headers=headers, **content)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with issuer(tmp_path) as (http, world):
        agent, waiting = await onboard(http), await register(http, "waiting")
        document = await granted(http, agent)
        resting = await onboard(http, "resting", SigningKey.from_seed(b"r" * 32))
        await http.post(f"/agents/{resting['agent_id']}/suspend", json={"reason": "rest"}, headers=ADMIN)
        one = "/agents/{identifier}"
        paths = {
            one: f"/agents/{agent['agent_id']}",
            one + "/enrolment": f"/agents/{waiting['agent_id']}/enrolment",
            one + "/credentials": f"/agents/{agent['agent_id']}/credentials",
            **{f"{one}/{change}": f"/agents/{agent['agent_id']}/{change}" for change in CHANGES},
            one + "/resume": f"/agents/{resting['agent_id']}/resume",
            "/credentials/{identifier}": f"/credentials/{document['id']}",
            "/credentials/{identifier}/revoke": f"/credentials/{document['id']}/revoke",
            "/registry/{identifier}": f"/registry/{agent['did']}",
            "/status-lists/{purpose}/{number}": "/status-lists/revocation/1",
            "/schemas/{name}/v1": "/schemas/agent-capability-credential/v1",
        }
        bodies: dict[str, dict[str, Any]] = {
            "/agents": {"name": "new", "sponsor": "Ops"},
            one + "/enrolment": answer_to(waiting, SigningKey.from_seed(b"w" * 32)),
            one + "/credentials": CAPABILITIES,
            **{f"{one}/{change}": {"reason": "because"} for change in CHANGES},
            "/credentials/{identifier}/revoke": {"reason": "because"},
        }
        whole = {route.path: paths.get(route.path, route.path) for route in TABLE}
        yield Place(http=http, world=world, paths=whole, bodies=bodies)


def require_clean_refusal(response: httpx2.Response, *, status: int | None = None) -> str:
    assert 400 <= response.status_code < 500, f"{response.status_code}: {response.text[:300]}"
    assert status in (None, response.status_code), f"{response.status_code}: {response.text[:300]}"
    assert response.headers["content-type"] == "application/problem+json"
    answer = response.json()
    assert answer["request_id"] == response.headers["x-request-id"]
    assert (answer["status"], bool(answer["title"])) == (response.status_code, True)
    assert "Traceback" not in response.text
    return str(answer["code"])


def allowed(route: Route) -> dict[str, str]:
    return {} if route.access == PUBLIC else auth(*scopes_of(route)[:1])


@pytest.mark.req("WEB-01")
@every_guarded
async def test_a_guarded_route_opens_to_its_scopes_and_to_nobody_else(place: Place, route: Route) -> None:
    content = {"json": place.bodies[route.path]} if route.method == "POST" else {}
    assert require_clean_refusal(await place.send(route, {}, **content), status=401) == "not_authenticated"
    wrong = {"issuer:admin", "registry:read", "bridge:admin", "audit:read", "tool:a"} - set(scopes_of(route))
    refused = await place.send(route, auth(*wrong), **content)
    assert require_clean_refusal(refused, status=403) == "insufficient_scope"
    forged = {
        "another resource": auth(*scopes_of(route), audience="https://mcp.example/mcp"),
        "another issuer": auth(*scopes_of(route), issuer="https://evil.example"),
        "expired": auth(*scopes_of(route), issued_at=NOW - timedelta(hours=1), expires=NOW - timedelta(minutes=55)),
        "another key": auth(*scopes_of(route), key=SigningKey.generate()),
        "not a token": {"Authorization": "Bearer a.b.c"},
        "another scheme": {"Authorization": ADMIN["Authorization"].replace("Bearer", "Basic")},
    }
    for kind, headers in forged.items():
        response = await place.send(route, headers, **content)
        require_clean_refusal(response)
        assert response.status_code in (400, 401), kind
    assert (await place.send(route, allowed(route), **content)).status_code in (200, 201)


@pytest.mark.req("WEB-01")
@every_open
async def test_an_open_route_needs_no_token_and_changes_nothing_without_a_proof(place: Place, route: Route) -> None:
    content = {"json": place.bodies[route.path]} if route.method == "POST" else {}
    if route.method == "POST":
        require_clean_refusal(await place.send(route, ADMIN, json={"presentation": {}}))  # a token proves no key
    assert (await place.send(route, {}, **content)).status_code in (200, 201)


@pytest.mark.req("WEB-01", "FCL")
@every_guarded
async def test_an_ended_token_or_a_silent_bridge_closes_every_guarded_route(place: Place, route: Route) -> None:
    content = {"json": place.bodies[route.path]} if route.method == "POST" else {}
    ended = auth(*scopes_of(route), id="urn:uuid:ended")
    place.world.ended = {"urn:uuid:ended"}
    assert require_clean_refusal(await place.send(route, ended, **content), status=401) == "revoked"
    place.world.silent = True
    away = await place.send(route, allowed(route), **content)
    assert (away.status_code, away.json()["code"]) == (503, "status_unavailable")
    assert away.headers["retry-after"]
    place.world.silent = False
    assert (await place.send(route, allowed(route), **content)).status_code in (200, 201)


BROKEN: dict[str, tuple[dict[str, str], bytes, tuple[int, str]]] = {
    "not JSON": ({}, b"{not json", (400, "not_json")),
    "not an object": ({}, b"[]", (400, "not_json")),
    "empty": ({}, b"", (400, "not_json")),
    "300 KB": ({}, b'{"reason":"' + b"x" * 300_000 + b'"}', (413, "limit_exceeded")),
    "depth 100": ({}, b'{"reason":' + b"[" * 100 + b"]" * 100 + b"}", (400, "too_deep")),
    "duplicate members": ({}, b'{"reason":"a","reason":"b"}', (400, "duplicate_member")),
    "not UTF-8": ({}, b'{"reason":"\xff"}', (400, "not_json")),
    "NaN": ({}, b'{"reason":NaN}', (400, "not_json")),
    "an endless number": ({}, b'{"reason":1e999}', (400, "not_json")),
    "a lone surrogate": ({}, b'{"reason":"\\ud800"}', (400, "not_json")),
    "two objects": ({}, b"{}{}", (400, "not_json")),
    "plain text": ({"Content-Type": "text/plain"}, b"{}", (415, "wrong_content_type")),
    "a form": ({"Content-Type": "application/x-www-form-urlencoded"}, b"a=b", (415, "wrong_content_type")),
    "no members": ({}, b"{}", (400, "invalid_parameter")),
}


@pytest.mark.req("LIM-01", "OPS-03", "TOK-05")
@every_writing
async def test_a_body_that_is_not_strict_json_changes_nothing(place: Place, route: Route, tmp_path: Path) -> None:
    path, before = place.path(route), len(await recorded(tmp_path))
    for kind, (headers, body, (expected, code)) in BROKEN.items():
        sent = {"Content-Type": "application/json", **headers, **allowed(route)}
        response = await place.http.post(path, content=body, headers=sent)
        assert require_clean_refusal(response, status=expected) == code, kind
    untyped = place.http.build_request("POST", path, content=b"{}", headers=allowed(route))
    untyped.headers.pop("content-type", None)
    assert require_clean_refusal(await place.http.send(untyped), status=415) == "wrong_content_type"
    # The edge cuts off what is too large before anybody is asked; all else is a recorded refusal.
    later = (await recorded(tmp_path))[before:]
    assert len(later) == len(BROKEN)
    assert {event.decision for event in later} == {"deny"}
    assert (await place.send(route, allowed(route), json=place.bodies[route.path])).status_code in (200, 201)


SPOILED: list[tuple[str, Callable[[Any], Any]]] = [
    ("a number", lambda _: 7),
    ("true", lambda _: True),
    ("null", lambda _: None),
    ("a list of nothing", lambda _: []),
    ("a list of null", lambda _: [None]),
    ("a list of lists", lambda _: [[]]),
    ("a list of empty objects", lambda _: [{}]),
    ("an empty object", lambda _: {}),
    ("an object of objects", lambda _: {"a": {}}),
    ("no text", lambda _: ""),
    ("a NUL", lambda _: "a\x00b"),
    ("70,000 characters", lambda _: "x" * 70_000),
]
MEMBERS = {
    "/agents": ("name", "sponsor", "description", "metadata", "redirect_uris"),
    "/agents/{identifier}/enrolment": ("presentation",),
    "/agents/{identifier}/credentials": ("capabilities", "valid_seconds", "max_depth", "on_behalf_of"),
    **{f"/agents/{{identifier}}/{change}": ("reason",) for change in CHANGES},
    "/credentials/{identifier}/revoke": ("reason",),
}
HARMLESS = {  # what a member may honestly be
    ("description", "no text"), ("metadata", "an empty object"), ("redirect_uris", "a list of nothing"),
    ("valid_seconds", "a number"), ("on_behalf_of", "null"), ("valid_seconds", "null"), ("max_depth", "null"),
}  # fmt: skip


@pytest.mark.req("OPS-03", "WEB-03")
@every_writing
async def test_a_member_of_the_wrong_kind_a_missing_or_an_unknown_one_is_refused(place: Place, route: Route) -> None:
    honest = place.bodies[route.path]
    for member in MEMBERS[route.path]:
        for kind, spoil in SPOILED:
            if (member, kind) in HARMLESS:
                continue
            body = json.dumps(honest | {member: spoil(honest.get(member))})
            headers = {"Content-Type": "application/json", **allowed(route)}
            response = await place.http.post(place.path(route), content=body.encode(), headers=headers)
            assert response.status_code in (400, 413), f"{member}, {kind}: {response.status_code} {response.text}"
            require_clean_refusal(response)
    for member in honest:
        less = {key: value for key, value in honest.items() if key != member}
        require_clean_refusal(await place.send(route, allowed(route), json=less), status=400)
    more = await place.send(route, allowed(route), json=honest | {"state": "active"})
    assert require_clean_refusal(more, status=400) == "invalid_parameter"
    assert (await place.send(route, allowed(route), json=honest)).status_code in (200, 201)


ODD = ["x", "urn:uuid:nobody", "%00", "%ff%fe", "%C2%B2", "..%2f..%2fetc", "' OR 1=1 --", "a" * 40_000, "%F0%9F%92%A9"]


@pytest.mark.req("OPS-03", "LIM-01")
@pytest.mark.parametrize("route", [route for route in TABLE if "{" in route.path], ids=name)
async def test_an_odd_path_leads_nowhere_and_is_refused_cleanly(place: Place, route: Route) -> None:
    for odd in ODD:
        path = route.path.replace("{purpose}", "revocation")
        path = path.replace("{identifier}", odd).replace("{number}", odd)
        content = {"json": place.bodies[route.path]} if route.method == "POST" else {}
        refused = await place.http.request(route.method, path, headers=allowed(route), **content)
        require_clean_refusal(refused)
        if route in GUARDED:
            code = require_clean_refusal(await place.http.request(route.method, path, **content))
            assert code == ("not_found" if "%2f" in odd else "not_authenticated"), odd  # with a slash it is no route
    for path in ("/agents/x/surprise", "/agents/x/enrolment/"):
        require_clean_refusal(await place.http.post(path, json={"reason": "x"}, headers=ADMIN), status=404)
    require_clean_refusal(await place.http.delete("/agents", headers=ADMIN), status=405)


@pytest.mark.req("OPS-03", "TOK-15")
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/agents?surprise=1", "invalid_parameter"), ("/agents?state=surprise", "invalid_parameter"),
        ("/agents?limit=0", "invalid_parameter"), ("/agents?limit=101", "invalid_parameter"),
        ("/agents?limit=-1", "invalid_parameter"), ("/agents?limit=1e1", "invalid_parameter"),
        ("/agents?limit=%C2%B2", "invalid_parameter"), ("/agents?limit=1&limit=2", "repeated_parameter"),
        ("/agents?name=%ff", "invalid_parameter"), ("/agents?name=a&name=b", "repeated_parameter"),
        ("/agents?access_token=x", "invalid_parameter"), ("/agents?after=x", "invalid_parameter"), ("/credentials?state=pending", "invalid_parameter"),
        ("/credentials?agent=nobody", "not_found"), ("/credentials?after=x", "invalid_parameter"),
    ],
)  # fmt: skip
async def test_an_odd_question_is_refused_cleanly(place: Place, path: str, code: str) -> None:
    assert require_clean_refusal(await place.http.get(path, headers=ADMIN)) == code
    for honest in ("/agents?name=a&state=pending&limit=100", "/credentials?state=active&limit=1"):
        assert (await place.http.get(honest, headers=ADMIN)).status_code == 200


@pytest.mark.req("OPS-03")
async def test_a_proof_that_fails_is_not_explained_and_an_agent_that_cannot_be_granted_is(place: Place) -> None:
    forged = await place.http.post(
        place.paths["/agents/{identifier}/enrolment"],
        json=answer_to({"enrolment": {"challenge": "guess"}}),
    )
    assert require_clean_refusal(forged, status=401)
    assert "detail" not in forged.json()
    await place.http.post(place.paths["/agents/{identifier}/suspend"], json={"reason": "x"}, headers=ADMIN)
    path = place.paths["/agents/{identifier}/credentials"]
    refused = await place.http.post(path, json=CAPABILITIES, headers=ADMIN)
    assert require_clean_refusal(refused, status=409) == "state_conflict"
    assert refused.json()["detail"] == "stock-agent is suspended; only an active agent gets credentials"
    suspended = (await place.http.get("/agents?state=suspended", headers=READER)).json()["agents"]
    assert {agent["name"] for agent in suspended} == {"resting", "stock-agent"}
