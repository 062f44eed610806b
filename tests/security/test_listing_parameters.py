"""Filters, cursors and names in lists are values and never part of a query (WEB-07)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from tests.contract.conftest import database_url
from tests.fakes.bridge_world import w as bridge
from tests.fakes.issuer_world import ADMIN, issuer, register
from tests.integration.test_ledger_api import World as Ledger
from tests.integration.test_ledger_api import event, reader
from tests.integration.test_ledger_api import w as ledger

__all__ = ["bridge", "database_url", "ledger"]
pytestmark = pytest.mark.req("WEB-07")

NOTHING = ""
INJECTIONS = [
    "' OR '1'='1",
    "'; DROP TABLE agents; --",
    '" OR 1=1 --',
    "%",
    "_",
    "*",
    "\\",
    "\\'",
    "x\x00y",
    "\u2019 OR 1=1",
    "${jndi:x}",
    "{{7*7}}",
    "\ud7ff\uffff",
    "a" * 4_000,
]


@pytest.fixture
async def agents(database_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with issuer(database_url) as (http, _):
        for name in ("stock-agent", "order-agent"):
            await register(http, name)
        yield http


async def test_a_filter_finds_what_is_called_so_and_nothing_else(agents: httpx2.AsyncClient) -> None:
    found = (await agents.get("/agents", params={"name": "stock-agent"}, headers=ADMIN)).json()["agents"]
    assert [one["name"] for one in found] == ["stock-agent"]
    for value in INJECTIONS:
        for name in ("name", "after"):
            answer = await agents.get("/agents", params={name: value}, headers=ADMIN)
            assert answer.status_code in (200, 400), (name, value, answer.text)
            assert name == "after" or answer.json().get("agents", []) == [], value
        for path in (f"/agents/{quote(value, safe=NOTHING)}", "/credentials"):
            answer = await agents.get(path, params={"agent": value} if path == "/credentials" else {}, headers=ADMIN)
            assert answer.status_code in (400, 404), (path, value, answer.text)
    assert len((await agents.get("/agents", headers=ADMIN)).json()["agents"]) == 2


@pytest.mark.parametrize(
    "query",
    [
        {"sort": "name"},
        {"order_by": "name;--"},
        {"state": "active' OR '1'='1"},
        {"state": "ACTIVE"},
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "-1"},
        {"limit": "1 OR 1=1"},
        {"limit": "\u0661"},
        {"limit": "1e1"},
    ],
)
async def test_only_known_filters_with_known_values_are_read(agents: httpx2.AsyncClient, query: dict[str, str]) -> None:
    assert (await agents.get("/agents", params={"limit": "1"}, headers=ADMIN)).status_code == 200
    answer = await agents.get("/agents", params=query, headers=ADMIN)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


async def test_a_cursor_leads_on_and_never_back_or_aside(agents: httpx2.AsyncClient) -> None:
    first = (await agents.get("/agents", params={"limit": "1"}, headers=ADMIN)).json()
    following = {"limit": "1", "after": first["next"]}
    second = (await agents.get("/agents", params=following, headers=ADMIN)).json()
    assert {one["agents"][0]["name"] for one in (first, second)} == {"stock-agent", "order-agent"}
    # A cursor is only a place in the caller's own list: it opens nothing by itself.
    assert (await agents.get("/agents", params=following)).status_code == 401


async def test_the_ledger_reads_filters_as_values(ledger: Ledger) -> None:
    await ledger.deliver([event(1), event(2)])

    async def found(**query: str) -> Any:
        headers = {"Authorization": f"Bearer {reader()}"}
        return await ledger.http.get("/events", params=query, headers=headers)

    assert len((await found(principal="smith")).json()["events"]) == 2
    for value in INJECTIONS:
        for name in ("principal", "actor", "target", "action", "decision"):
            answer = await found(**{name: value})
            assert answer.status_code in (200, 400), (name, value, answer.text)
            assert answer.json().get("events", []) == [], (name, value)
    for name, value in (("after", "0 OR 1=1"), ("after", "-1"), ("limit", "x"), ("after", "9" * 17)):
        assert (await found(**{name: value})).status_code == 400


async def test_a_name_in_a_path_of_the_bridge_is_a_value(bridge: Any) -> None:
    headers = await bridge.admin_headers()
    for value in INJECTIONS:
        named = quote(value, safe="")
        answer = await bridge.http.delete(f"/users/{named}", headers=headers)
        assert answer.status_code in (400, 404), (value, answer.text)
        answer = await bridge.http.get(f"/evidence/{named}")
        assert answer.status_code in (400, 404), (value, answer.text)
    users = (await bridge.http.get("/users", headers=headers)).json()["users"]
    assert [one["username"] for one in users] == ["smith"]
