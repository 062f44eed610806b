"""Agents described, found, handed over and followed, on both databases."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from did_agent.keys.ed25519 import SigningKey
from tests.contract.conftest import database_url
from tests.fakes.issuer_world import ADMIN, OPERATOR, auth, granted, issuer, named, onboard, recorded, register

__all__ = ["database_url"]  # every test here runs on SQLite and on PostgreSQL

SPONSORED = auth("issuer:sponsor", subject="did:key:spons", client_id="did:key:spons")


async def made(http: httpx2.AsyncClient, name: str, **said: Any) -> dict[str, Any]:
    answer = await http.post("/agents", json={"name": name, "sponsor": "Ops", **said}, headers=ADMIN)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def names(http: httpx2.AsyncClient, query: str, headers: dict[str, str] = ADMIN) -> list[str]:
    answer = await http.get(f"/agents?{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return sorted(agent["name"] for agent in answer.json()["agents"])


async def group(http: httpx2.AsyncClient, name: str) -> None:
    assert (await http.put(f"/groups/{name}", json={"description": name}, headers=ADMIN)).status_code == 200


async def test_every_filter_finds_exactly_what_fits(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await group(http, "night")
        active = await onboard(http, "Stock Keeper")
        await made(http, "stock-clerk", sponsor="Finance", tags=["eu", "batch"], groups=["night"])
        await made(http, "Planner", description="plans invoices and payments", owner="did:key:other")
        for query, expected in (
            ("name=Planner", ["Planner"]), ("name=planner", []),
            ("prefix=STOCK", ["Stock Keeper", "stock-clerk"]), ("prefix=stock-", ["stock-clerk"]),
            ("text=invoices", ["Planner"]), ("text=Payments%20plans", ["Planner"]), ("text=invoices%20stock", []),
            ("state=active", ["Stock Keeper"]), ("state=pending", ["Planner", "stock-clerk"]),
            ("sponsor=Finance", ["stock-clerk"]), ("owner=did:key:other", ["Planner"]),
            ("tag=eu", ["stock-clerk"]), ("tag=e", []), ("group=night", ["stock-clerk"]),
            ("did=" + active["did"], ["Stock Keeper"]), ("tag=eu&state=active", []),
            ("tag=eu&group=night&text=clerk", ["stock-clerk"]), ("template=none", []),
        ):  # fmt: skip
            assert await names(http, query) == expected, query


@pytest.mark.req("WEB-07")
@pytest.mark.parametrize("filters", ["", "prefix=crew&", "tag=many&", "text=crew&", "group=all&", "order=name&"])
async def test_pages_show_each_agent_once_also_while_others_come(database_url: str, filters: str) -> None:
    async with issuer(database_url) as (http, _):
        await group(http, "all")
        for number in range(7):
            await made(http, f"crew {number}", tags=["many"], groups=["all"])
        seen: list[str] = []
        after = ""
        while True:
            page = (await http.get(f"/agents?{filters}limit=2{after}", headers=ADMIN)).json()
            assert len(page["agents"]) <= 2
            seen += [agent["name"] for agent in page["agents"]]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
            if len(seen) == 2:
                await made(http, "late")
        assert sorted(name for name in seen if name != "late") == [f"crew {number}" for number in range(7)]
        assert len(seen) == len(set(seen))
        counted = (await http.get(f"/agents?{filters}limit=1&count=true", headers=ADMIN)).json()
        assert counted["count_exact"] is True
        assert counted["count"] == (8 if filters in ("", "order=name&") else 7)


async def test_agents_are_listed_by_their_names_where_that_is_asked_for(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        for name in ("planner", "Zebra", "courier"):
            await made(http, name)
        found = (await http.get("/agents?order=name", headers=ADMIN)).json()["agents"]
        assert [one["name"] for one in found] == ["courier", "planner", "Zebra"]
        assert await names(http, "order=name&prefix=plan") == ["planner"]
        assert (await http.get("/agents?order=age", headers=ADMIN)).status_code == 400


@pytest.mark.req("WEB-03")
async def test_a_description_changes_what_it_names_and_its_history_and_audit_tell(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await group(http, "night")
        agent = await onboard(http, "keeper")
        path = f"/agents/{agent['agent_id']}"
        said = {"description": "keeps stock", "tags": ["b", "a"], "groups": ["night"], "metadata": {"model": "m1"}}
        changed = await http.patch(path, json=said, headers=ADMIN)
        assert changed.status_code == 200, changed.text
        assert {key: changed.json()[key] for key in said} == {**said, "tags": ["a", "b"]}
        assert (changed.json()["name"], changed.json()["state"]) == ("keeper", "active")
        assert (await http.get(path, headers=ADMIN)).json() == changed.json()
        assert await names(http, "text=keeps") == await names(http, "tag=a") == ["keeper"]
        assert (await http.patch(path, json={"tags": [], "name": "guard"}, headers=ADMIN)).status_code == 200
        assert await names(http, "tag=a") == []
        assert await names(http, "prefix=keep") == []
        assert await names(http, "name=guard") == ["guard"]
        told = (await http.get(f"{path}/history", headers=ADMIN)).json()["history"]
        assert [(one["event"], one["before"], one["after"], one["actor"]) for one in told] == [
            ("describe", "active", "active", OPERATOR),
            ("describe", "active", "active", OPERATOR),
            ("enrol", "pending", "active", agent["did"]),
            ("create", None, "pending", OPERATOR),
        ]
    assert [event.action for event in await recorded(database_url) if event.action == "agent.describe"] == [
        "agent.describe"
    ] * 2


@pytest.mark.req("WEB-03", "WEB-08")
async def test_the_resulting_agent_is_judged_and_not_the_change(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        agent, other = await onboard(http, "keeper"), await made(http, "Other One")
        path = f"/agents/{agent['agent_id']}"
        for body, status in (
            ({"name": "OTHER  ONE"}, 409),  # looks like another's
            ({"name": "kееper"}, 400),  # Cyrillic letters among Latin ones
            ({"name": "keep\u202eer"}, 400), ({"name": ""}, 400), ({"name": "x" * 65}, 400),
            ({"sponsor": "   "}, 400), ({"sponsor": ""}, 400),
            ({"state": "active"}, 400), ({"did": "did:key:zX"}, 400), ({"owner": "me"}, 400),
            ({"organisation": "other"}, 400), ({"agent_id": "urn:uuid:1"}, 400), ({"custody": "issuer"}, 400),
            ({"template": "x"}, 400), ({"tags": ["Not a label"]}, 400), ({"tags": ["a"] * 17}, 400),
            ({"groups": ["nowhere"]}, 400), ({"redirect_uris": ["http://evil.example/cb"]}, 400),
            ({"metadata": {"k": "v\u0000"}}, 400), ({"metadata": {str(n): "" for n in range(17)}}, 400),
        ):  # fmt: skip
            refused = await http.patch(path, json=body, headers=ADMIN)
            assert refused.status_code == status, (body, refused.text)
        assert (await http.get(path, headers=ADMIN)).json()["changed"] == agent["changed"]
        assert await names(http, "") == ["Other One", "keeper"]
        assert (await http.patch(path, json={"name": "Keeper Two"}, headers=ADMIN)).status_code == 200
        # Its own name again, in another form, is no collision with itself.
        assert (await http.patch(path, json={"name": "KEEPER two"}, headers=ADMIN)).status_code == 200
        assert other["name"] == "Other One"


@pytest.mark.req("REV-03")
async def test_nobody_is_described_into_life_and_what_is_retired_is_closed(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        agent = await onboard(http, "keeper")
        path = f"/agents/{agent['agent_id']}"
        assert (await http.post(f"{path}/suspend", json={"reason": "x"}, headers=ADMIN)).status_code == 200
        described = await http.patch(path, json={"description": "still here"}, headers=ADMIN)
        assert (described.status_code, described.json()["state"]) == (200, "suspended")
        assert (await http.post(f"{path}/retire", json={"reason": "x"}, headers=ADMIN)).status_code == 200
        assert (await http.patch(path, json={"description": "back"}, headers=ADMIN)).status_code == 409
        handed = await http.post(f"{path}/transfer", json={"owner": "did:key:n", "reason": "x"}, headers=ADMIN)
        assert handed.status_code == 409
        told = (await http.get(f"{path}/history", headers=ADMIN)).json()["history"]
        assert [one["event"] for one in told] == ["retire", "describe", "suspend", "enrol", "create"]
        assert [one["reason"] for one in told][:3] == ["x", "description changed", "x"]


@pytest.mark.req("WEB-02", "WEB-04")
async def test_an_agent_goes_from_hand_to_hand_within_its_organisation(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await named(http, "did:key:spons", "Ops")
        await named(http, "did:key:next", "Finance")
        mine = (await http.post("/agents", json={"name": "mine", "sponsor": "Ops"}, headers=SPONSORED)).json()
        theirs = await register(http, "theirs")
        path, foreign = f"/agents/{mine['agent_id']}", f"/agents/{theirs['agent_id']}"
        assert mine["owner"] == "did:key:spons"
        assert await names(http, "", SPONSORED) == await names(http, "count=true", SPONSORED) == ["mine"]
        assert await names(http, f"owner={OPERATOR}", SPONSORED) == []
        for method, where, body in (
            ("PATCH", foreign, {"description": "x"}), ("GET", f"{foreign}/history", None),
            ("GET", f"{foreign}/impact", None), ("POST", f"{foreign}/transfer", {"owner": "a", "reason": "b"}),
        ):  # fmt: skip
            refused = await http.request(method, where, json=body, headers=SPONSORED)
            unknown = await http.request(
                method, where.replace(theirs["agent_id"], "urn:uuid:0"), json=body, headers=SPONSORED
            )
            assert refused.status_code == unknown.status_code == 404
            assert refused.json()["detail"] == unknown.json()["detail"]
        # Who answers for an agent, and its groups, are for managers to say.
        assert (await http.patch(path, json={"sponsor": "Somebody"}, headers=SPONSORED)).status_code == 403
        assert (await http.patch(path, json={"description": "mine"}, headers=SPONSORED)).status_code == 200
        body = {"owner": "did:key:next", "sponsor": "Finance", "reason": "team changed"}
        handed = await http.post(f"{path}/transfer", json=body, headers=SPONSORED)
        assert (handed.json()["owner"], handed.json()["sponsor"]) == ("did:key:next", "Finance")
        assert (await http.get(path, headers=SPONSORED)).status_code == 404  # not its own any more
        following = auth("issuer:sponsor", subject="did:key:next", client_id="did:key:next")
        assert (await http.get(path, headers=following)).status_code == 200
        told = (await http.get(f"{path}/history", headers=following)).json()["history"][0]
        assert (told["event"], told["actor"]) == ("transfer", "did:key:spons")
        assert told["reason"] == "from did:key:spons to did:key:next: team changed"
    refusals = [event for event in await recorded(database_url) if event.decision == "deny"]
    assert {event.action for event in refusals} == {"agent.describe", "agent.transfer"}


@pytest.mark.req("WEB-07")
async def test_cursors_of_others_and_odd_questions_are_refused(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        for number in range(3):
            await made(http, f"crew {number}", tags=["a"])
        cursor = (await http.get("/agents?tag=a&limit=1", headers=ADMIN)).json()["next"]
        assert (await http.get(f"/agents?tag=a&limit=2&after={cursor}", headers=ADMIN)).status_code == 200
        agent_id = (await http.get("/agents", headers=ADMIN)).json()["agents"][0]["agent_id"]
        for path in (
            f"/agents?tag=b&after={cursor}", f"/agents?after={cursor}", f"/templates?after={cursor}",
            f"/groups?after={cursor}", f"/kill-switches?after={cursor}", f"/agents/{agent_id}/history?after={cursor}",
            f"/agents?tag=a&after={cursor}A", "/agents?after=urn:uuid:1", "/agents?sort=name", "/agents?count=1",
            "/agents?text=%20", "/agents?text=a+b+c+d+e", f"/agents/{agent_id}/impact?change=enrol",
            "/kill-switches?on=maybe", "/kill-switches/impact", "/kill-switches/impact?scope=x",
        ):  # fmt: skip
            refused = await http.get(path, headers=ADMIN)
            assert (refused.status_code, refused.json()["code"]) == (400, "invalid_parameter"), path
        injected = "x' OR '1'='1"
        for name in ("name", "prefix", "text", "sponsor", "owner", "tag", "group", "template", "did"):
            assert await names(http, f"{name}={injected}".replace(" ", "%20")) == [], name


async def test_the_reach_of_a_change_is_counted_before_it_is_made(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        agent, other = await onboard(http), await onboard(http, "other", SigningKey.from_seed(b"o" * 32))
        first, second = await granted(http, agent), await granted(http, agent)
        await granted(http, other)
        reach = (await http.get(f"/agents/{agent['agent_id']}/impact?change=retire", headers=ADMIN)).json()
        assert reach == {
            "agents": 1, "credentials": 2, "children": 0, "status_entries": 2, "tools": ["a"],
            "resources": ["https://mcp.example/mcp"], "partial": False,
        }  # fmt: skip
        one = (await http.get(f"/credentials/{first['id']}/impact", headers=ADMIN)).json()
        assert (one["agents"], one["credentials"], one["status_entries"], one["tools"]) == (0, 1, 1, ["a"])
        all_of = (await http.get("/kill-switches/impact?scope=sponsor&target=Ops", headers=ADMIN)).json()
        assert (all_of["agents"], all_of["credentials"]) == (2, 3)
        nobody = (await http.get("/kill-switches/impact?scope=sponsor&target=Nobody", headers=ADMIN)).json()
        assert (nobody["agents"], nobody["credentials"], nobody["tools"]) == (0, 0, [])
        await http.post(f"/credentials/{second['id']}/revoke", json={"reason": "x"}, headers=ADMIN)
        gone = (await http.get(f"/credentials/{second['id']}/impact", headers=ADMIN)).json()
        assert (gone["credentials"], gone["status_entries"], gone["tools"]) == (0, 0, [])
        assert (await http.get("/credentials/urn:uuid:0/impact", headers=ADMIN)).status_code == 404
        assert (await http.get(f"/credentials/{first['id']}/impact", headers=SPONSORED)).status_code == 404
        await http.post(f"/agents/{agent['agent_id']}/suspend", json={"reason": "x"}, headers=ADMIN)
        twice = await http.get(f"/agents/{agent['agent_id']}/impact?change=suspend", headers=ADMIN)
        assert twice.status_code == 409
