"""Credentials and proposals come in pages that hold each of them once, whatever is added meanwhile."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.contract.conftest import database_url
from tests.fakes.issuer_world import ADMIN, granted, issuer, onboard, other_organisation

__all__ = ["database_url"]  # every test that names it runs on SQLite and on PostgreSQL


async def walked(http: httpx2.AsyncClient, path: str, name: str, added: Any) -> list[str]:
    """Return the ids of all pages of two; something is added behind the first."""
    seen: list[str] = []
    page = (await http.get(f"{path}limit=2", headers=ADMIN)).json()
    await added()
    while True:
        seen += [one["id"] for one in page[name]]
        if page["next"] is None:
            return seen
        page = (await http.get(f"{path}limit=2&after={page['next']}", headers=ADMIN)).json()


@pytest.mark.req("WEB-07")
async def test_credentials_of_one_second_are_each_listed_once(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        agent = await onboard(http)
        made = [(await granted(http, agent))["id"] for _ in range(5)]

        async def one_more() -> None:
            await granted(http, agent)

        for path in ("/credentials?", f"/credentials?agent={agent['agent_id']}&state=active&"):
            seen = await walked(http, path, "credentials", one_more)
            assert len(set(seen)) == len(seen)
            assert set(made) <= set(seen)
        assert await walked(http, "/credentials?state=revoked&", "credentials", one_more) == []


@pytest.mark.req("WEB-07")
async def test_proposals_are_each_listed_once(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        answer = await http.put("/dual-control", json={"dual_control": ["control"]}, headers=ADMIN)
        assert answer.status_code == 200, answer.text

        async def propose() -> str:
            said = await http.put("/dual-control", json={"dual_control": []}, headers=ADMIN)
            assert said.status_code == 202, said.text
            return str(said.json()["proposal"])

        made = {await propose() for _ in range(5)}
        seen = await walked(http, "/proposals?", "proposals", propose)
        assert len(set(seen)) == len(seen)
        assert made <= set(seen)


@pytest.mark.req("WEB-02", "WEB-07")
async def test_cursors_of_other_lists_and_other_organisations_are_refused(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        agent = await onboard(http)
        for _ in range(2):
            await granted(http, agent)
        cursor = (await http.get("/credentials?limit=1", headers=ADMIN)).json()["next"]
        assert (await http.get(f"/credentials?limit=1&after={cursor}", headers=ADMIN)).status_code == 200
        for path in ("/credentials?state=active&", "/proposals?", "/agents?"):
            assert (await http.get(f"{path}after={cursor}", headers=ADMIN)).status_code == 400
        theirs = await other_organisation(http)
        assert (await http.get(f"/credentials?after={cursor}", headers=theirs)).status_code == 400
        assert (await http.get("/credentials", headers=theirs)).json()["credentials"] == []
