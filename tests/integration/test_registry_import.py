"""Agents imported by the thousand, made from blueprints and put into groups, on both databases."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest

from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present_jwt
from tests.contract.conftest import database_url
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import ADMIN, ISSUER_URL, OPERATOR, auth, issuer, named, onboard, recorded

__all__ = ["database_url"]  # every test here runs on SQLite and on PostgreSQL

SPONSORED = auth("issuer:sponsor", subject="did:key:spons", client_id="did:key:spons")
MANAGER = auth("issuer:manage")


async def imported(http: httpx2.AsyncClient, *rows: dict[str, Any], headers: dict[str, str] = ADMIN) -> dict[str, Any]:
    answer = await http.post("/agents/import", json={"rows": rows}, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def row(name: str, **said: Any) -> dict[str, Any]:
    return {"key": f"k-{name}", "name": name, "sponsor": "Ops", **said}


def proven(name: str, seed: bytes, audience: str = ISSUER_URL) -> dict[str, Any]:
    key = SigningKey.from_seed(seed * 32)
    proof = present_jwt([], key=key, audience=audience, now=NOW)
    return row(name, did=did_key(key.public), proof=proof)


async def test_the_same_rows_another_time_are_the_same_agents(database_url: str) -> None:
    rows = [row(f"agent {number}", tags=["batch"], description="imports") for number in range(50)]
    async with issuer(database_url) as (http, _):
        first = await imported(http, *rows[:30])
        assert (first["created"], first["exists"], first["refused"]) == (30, 0, 0)
        second = await imported(http, *rows)
        assert (second["created"], second["exists"], second["refused"]) == (20, 30, 0)
        assert [one["agent_id"] for one in second["rows"][:30]] == [one["agent_id"] for one in first["rows"]]
        page = (await http.get("/agents?tag=batch&text=imports&count=true", headers=ADMIN)).json()
        assert (page["count"], len(page["agents"])) == (50, 50)
        assert {(agent["state"], agent["owner"]) for agent in page["agents"]} == {("pending", OPERATOR)}
        told = (await http.get(f"/agents/{first['rows'][0]['agent_id']}/history", headers=ADMIN)).json()["history"]
        assert [(one["event"], one["actor"], one["reason"]) for one in told] == [("create", OPERATOR, "imported")]
    events = [event for event in await recorded(database_url) if event.action == "agent.import"]
    assert [event.details for event in events] == [
        {"created": "30", "exists": "0", "refused": "0"},
        {"created": "20", "exists": "30", "refused": "0"},
    ]


@pytest.mark.req("WEB-03", "WEB-08")
async def test_a_row_that_cannot_be_is_refused_alone(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        there = await onboard(http, "Taken")
        answer = await imported(
            http,
            row("good one"), row("TAKEN"), row("kееper"), row("good one", key="other"), row("again", key="k-good one"),
            {"name": "no sponsor"}, row("odd", surprise=1), row("alive", state="active"), row("g", groups=["nowhere"]),
            row("t", template="nowhere"), row("no proof", did="did:key:zX"), {"name": "by name", "sponsor": "Ops"},
        )  # fmt: skip
        outcomes = [(one["row"], one["outcome"], one["code"]) for one in answer["rows"]]
        assert outcomes == [
            (1, "created", None), (2, "refused", "state_conflict"), (3, "refused", "invalid_parameter"),
            (4, "refused", "state_conflict"), (5, "refused", "invalid_parameter"),
            (6, "refused", "invalid_parameter"), (7, "refused", "invalid_parameter"),
            (8, "refused", "invalid_parameter"), (9, "refused", "invalid_parameter"),
            (10, "refused", "invalid_parameter"), (11, "refused", "invalid_parameter"), (12, "created", None),
        ]  # fmt: skip
        assert "sponsor" in answer["rows"][5]["detail"]
        found = (await http.get("/agents", headers=ADMIN)).json()["agents"]
        assert sorted(agent["name"] for agent in found) == sorted(["good one", "by name", there["name"]])
        # What was refused may come again under its key, once it is put right.
        assert (await imported(http, row("TAKEN 2", key="k-TAKEN")))["created"] == 1


@pytest.mark.req("KEY-01")
async def test_an_agent_comes_with_its_key_and_a_fresh_proof_of_it(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        one, other = proven("one", b"1"), proven("other", b"2")
        mixed = {**proven("mixed", b"3"), "did": one["did"]}
        foreign = proven("foreign", b"4", audience="https://else.example")
        answer = await imported(http, one, mixed, foreign, {**other, "proof": one["proof"]}, row("bad", proof="x.y.z"))
        assert [(line["outcome"], line["code"] is None) for line in answer["rows"]] == [
            ("created", True), ("refused", False), ("refused", False), ("refused", False), ("refused", False),
        ]  # fmt: skip
        agent = (await http.get(f"/agents/{one['did']}", headers=ADMIN)).json()
        assert (agent["state"], agent["name"]) == ("active", "one")
        again = await imported(http, {**one, "key": "another", "name": "second"})
        assert again["rows"][0]["code"] == "replayed"
        same_key = proven("third", b"1")  # a fresh proof of a key that belongs to an agent already
        assert (await imported(http, same_key))["rows"][0]["detail"] == "this key belongs to another agent"
        switch = await http.post(
            "/kill-switches", json={"scope": "sponsor", "target": "Ops", "reason": "x"}, headers=ADMIN
        )
        assert switch.json()["stopped"] == 1
        stopped = await imported(http, proven("stopped", b"5"), row("waiting"))
        assert [line["outcome"] for line in stopped["rows"]] == ["refused", "created"]


@pytest.mark.req("LIM-01")
async def test_a_batch_is_bounded(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        full = await imported(http, *(row(f"a{number}", description="x" * 400) for number in range(1_000)))
        assert full["created"] == 1_000
        odd: tuple[Any, ...] = ([], [row("a")] * 1_001, "x", [1], None)
        for body in ({"rows": rows} for rows in odd):
            refused = await http.post("/agents/import", json=body, headers=ADMIN)
            assert refused.status_code in (400, 413), body
        large = json.dumps({"rows": [row("a", description="y" * 1_048_576)]})
        headers = {**ADMIN, "Content-Type": "application/json"}
        assert (await http.post("/agents/import", content=large, headers=headers)).status_code == 413
        # Elsewhere the smaller limit stands.
        big = json.dumps({"name": "x" * 300_000})
        assert (await http.post("/agents", content=big, headers=headers)).status_code == 413


async def test_two_imports_of_one_list_at_once_make_each_agent_once(database_url: str) -> None:
    rows = [row(f"agent {number}") for number in range(40)]
    async with issuer(database_url) as (first, _), issuer(database_url) as (second, _):
        one, other = await asyncio.gather(imported(first, *rows), imported(second, *rows))
        assert one["created"] + other["created"] == 40
        assert [line["agent_id"] for line in one["rows"]] == [line["agent_id"] for line in other["rows"]]


@pytest.mark.req("WEB-02", "WEB-04")
async def test_a_sponsor_imports_its_own_agents_alone(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await http.put("/groups/night", json={}, headers=MANAGER)
        await named(http, "did:key:spons", "Ops")
        rows = (row("mine", owner="somebody"), row("grouped", groups=["night"]), row("hidden", sponsor="Else"))
        answer = await imported(http, *rows, headers=SPONSORED)
        assert [line["code"] for line in answer["rows"]] == [None, "insufficient_scope", "insufficient_scope"]
        found = (await http.get("/agents", headers=SPONSORED)).json()["agents"]
        assert [(agent["name"], agent["owner"]) for agent in found] == [("mine", "did:key:spons")]
        for method, path, body in (
            ("PUT", "/templates/x", {"sponsor": "Ops"}), ("PUT", "/groups/x", {}), ("DELETE", "/groups/night", None),
            ("POST", "/groups/night/members", {"add": ["x"]}),
        ):  # fmt: skip
            refused = await http.request(method, path, json=body, headers=SPONSORED)
            assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope"), path


async def test_a_blueprint_has_versions_and_its_instances_are_all_or_none(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        body = {"sponsor": "Finance", "description": "counts", "tags": ["b", "a"], "metadata": {"model": "m1"}}
        made = await http.put("/templates/crew", json=body, headers=MANAGER)
        assert (made.status_code, made.json()["version"], made.json()["tags"]) == (200, 1, ["a", "b"])
        assert (await http.put("/templates/crew", json=body, headers=ADMIN)).json()["version"] == 1
        changed = await http.put("/templates/crew", json={**body, "description": "counts more"}, headers=MANAGER)
        assert changed.json()["version"] == 2
        assert (await http.get("/templates/crew?version=1", headers=ADMIN)).json()["description"] == "counts"
        assert (await http.get("/templates/crew", headers=ADMIN)).json() == changed.json()
        listed = (await http.get("/templates", headers=ADMIN)).json()
        assert (listed["templates"], listed["next"]) == ([changed.json()], None)
        many = await http.post("/templates/crew/instances", json={"count": 25}, headers=SPONSORED)
        assert many.status_code == 201, many.text
        agents = many.json()["agents"]
        assert len({agent["name"] for agent in agents}) == len({one["enrolment"]["challenge"] for one in agents}) == 25
        assert {(one["sponsor"], one["template"], one["owner"]) for one in agents} == {
            ("Finance", "crew", "did:key:spons")
        }
        clash = await http.post("/templates/crew/instances", json={"names": ["new", agents[0]["name"]]}, headers=ADMIN)
        assert clash.status_code == 409
        page = (await http.get("/agents?template=crew&count=true", headers=ADMIN)).json()
        assert page["count"] == 25
        told = (await http.get(f"/agents/{agents[0]['agent_id']}/history", headers=ADMIN)).json()["history"]
        assert told[0]["reason"] == "made from crew, version 2"
        for path, wrong in (
            ("/templates/crew/instances", {"count": 0}), ("/templates/crew/instances", {}),
            ("/templates/crew/instances", {"count": 1, "names": ["x"]}),
            ("/templates/crew/instances", {"count": 1_001}), ("/templates/crew/instances", {"names": ["kеeper"]}),
        ):  # fmt: skip
            assert (await http.post(path, json=wrong, headers=ADMIN)).status_code == 400, wrong
        odd: tuple[dict[str, Any], ...] = (
            {"sponsor": " "},
            {"sponsor": "a", "groups": ["nowhere"]},
            {"sponsor": "a", "state": "active"},
        )
        for bad in odd:
            assert (await http.put("/templates/other", json=bad, headers=ADMIN)).status_code == 400, bad
        assert (await http.put("/templates/Not%20one", json={"sponsor": "a"}, headers=ADMIN)).status_code == 400
        assert (await http.post("/templates/none/instances", json={"count": 1}, headers=ADMIN)).status_code == 404


async def test_a_group_is_kept_while_somebody_is_in_it(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        one = await onboard(http, "one")
        assert (await http.put("/groups/night", json={"description": "by night"}, headers=MANAGER)).status_code == 200
        path = "/groups/night/members"
        assert (await http.post(path, json={"add": [one["did"]]}, headers=MANAGER)).json()["changed"] == 1
        assert (await http.post(path, json={"add": [one["agent_id"]]}, headers=ADMIN)).json()["changed"] == 0
        members = (await http.get(f"{path}?state=active", headers=ADMIN)).json()
        assert [(agent["name"], agent["groups"]) for agent in members["agents"]] == [("one", ["night"])]
        assert (await http.get(f"{path}?state=retired", headers=ADMIN)).json()["agents"] == []
        assert (await http.delete("/groups/night", headers=ADMIN)).status_code == 409
        assert (await http.get("/groups/night", headers=ADMIN)).json()["description"] == "by night"
        missing = await http.post(path, json={"remove": [one["did"]], "add": ["urn:uuid:0"]}, headers=ADMIN)
        assert missing.status_code == 404
        assert (await http.get(path, headers=ADMIN)).json()["agents"] != []  # all or none
        assert (await http.post(path, json={"remove": [one["did"]]}, headers=ADMIN)).json()["changed"] == 1
        assert (await http.delete("/groups/night", headers=ADMIN)).status_code == 200
        for gone in ("/groups/night", path):
            assert (await http.get(gone, headers=ADMIN)).status_code == 404
        assert (await http.post(path, json={}, headers=ADMIN)).status_code == 400
