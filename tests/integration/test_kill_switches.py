"""Many agents stopped at once: durably, all of them, nobody else, and brought back alone what the switch stopped."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from did_agent.adapters.sql import open_database
from did_agent.credential.model import parse_capability_credential
from did_agent.credential.status import is_set, verify_status_list
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from issuer.adapters.sql import SQLStore
from tests.contract.conftest import database_url
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import ADMIN, KEY, answer_to, auth, granted, issuer, recorded

__all__ = ["database_url"]  # every test here runs on SQLite and on PostgreSQL

MANAGER = auth("issuer:manage")
BECAUSE = {"reason": "incident 7"}


async def running(http: httpx2.AsyncClient, name: str, **said: Any) -> dict[str, Any]:
    made = await http.post("/agents", json={"name": name, "sponsor": "Ops", **said}, headers=ADMIN)
    assert made.status_code == 201, made.text
    return await enrolled(http, made.json())


async def enrolled(http: httpx2.AsyncClient, made: dict[str, Any]) -> dict[str, Any]:
    key = SigningKey.from_seed(made["name"].encode().ljust(32)[:32])
    answer = await http.post(f"/agents/{made['agent_id']}/enrolment", json=answer_to(made, key))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def kill(http: httpx2.AsyncClient, scope: str, target: str = "", headers: dict[str, str] = ADMIN) -> Any:
    return await http.post("/kill-switches", json={"scope": scope, "target": target, **BECAUSE}, headers=headers)


async def lift(http: httpx2.AsyncClient, switch: dict[str, Any]) -> int:
    answer = await http.post(f"/kill-switches/{switch['id']}/lift", json=BECAUSE, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["resumed"])


async def states(http: httpx2.AsyncClient) -> dict[str, str]:
    found = (await http.get("/agents", headers=ADMIN)).json()["agents"]
    return {agent["name"]: agent["state"] for agent in found}


async def suspended(http: httpx2.AsyncClient, document: dict[str, Any]) -> bool:
    entry = next(one for one in parse_capability_credential(document).statuses if one.purpose == "suspension")
    verified = verify_status_list(
        (await http.get(entry.list_url)).json(),
        expected_url=entry.list_url,
        trusted_issuers=TrustedIssuers.of(did_key(KEY.public)),
        now=NOW,
    )
    return is_set(verified.bits, entry.index)


async def waiting(database_url: str) -> list[tuple[str, str]]:
    engine = open_database(database_url)
    async with SQLStore(engine).work() as work:
        notices = [(str(notice.kind), notice.subject) for notice in await work.notices(1_000)]
    await engine.dispose()
    return notices


@pytest.mark.req("REV-03")
async def test_all_of_a_sponsor_stop_in_one_transaction_and_come_back(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        ours = [await running(http, f"ours {number}", sponsor="Finance") for number in range(3)]
        theirs = await running(http, "theirs")
        held, kept = await granted(http, ours[0]), await granted(http, theirs)
        before = (await http.get("/kill-switches/impact?scope=sponsor&target=Finance", headers=ADMIN)).json()
        on = await kill(http, "sponsor", "Finance", MANAGER)
        assert on.status_code == 201, on.text
        assert on.json()["stopped"] == before["agents"] == 3
        assert await states(http) == {f"ours {number}": "suspended" for number in range(3)} | {"theirs": "active"}
        assert (await suspended(http, held), await suspended(http, kept)) == (True, False)
        refused = await http.post(f"/agents/{ours[0]['agent_id']}/resume", json=BECAUSE, headers=ADMIN)
        assert (refused.status_code, "kill switch" in refused.json()["detail"]) == (409, True)
        told = (await http.get(f"/agents/{ours[1]['agent_id']}/history", headers=ADMIN)).json()["history"][0]
        assert (told["event"], told["before"], told["after"], told["reason"]) == (
            "suspend", "active", "suspended", "incident 7",
        )  # fmt: skip
    # A restart forgets nothing.
    async with issuer(database_url) as (http, _):
        listed = (await http.get("/kill-switches?on=true", headers=ADMIN)).json()["switches"]
        assert [one["id"] for one in listed] == [on.json()["id"]]
        assert await lift(http, listed[0]) == 3
        assert set((await states(http)).values()) == {"active"}
        assert not await suspended(http, held)
        again = await http.post(f"/kill-switches/{listed[0]['id']}/lift", json=BECAUSE, headers=ADMIN)
        assert again.status_code == 409
        assert (await kill(http, "sponsor", "Finance")).status_code == 201  # and it can be turned on another time
    dids = sorted(agent["did"] for agent in ours)
    notices = await waiting(database_url)
    assert sorted(subject for _, subject in notices) == sorted(dids * 3)
    assert [kind for kind, _ in notices] == ["agent-suspended"] * 3 + ["agent-resumed"] * 3 + ["agent-suspended"] * 3
    events = [event for event in await recorded(database_url) if event.action.startswith("switch.")]
    assert [(event.action, event.decision, event.details) for event in events] == [
        ("switch.on", "allow", {"stopped": "3"}),
        ("switch.off", "allow", {"resumed": "3"}),
        ("switch.off", "deny", {}),
        ("switch.on", "allow", {"stopped": "3"}),
    ]


@pytest.mark.req("REV-03")
@pytest.mark.parametrize("scope", ["sponsor", "template", "group", "organisation"])
async def test_nobody_covered_becomes_active_while_a_switch_is_on(database_url: str, scope: str) -> None:
    async with issuer(database_url) as (http, _):
        await http.put("/groups/night", json={}, headers=ADMIN)
        body = {"sponsor": "Finance", "groups": ["night"]}
        assert (await http.put("/templates/crew", json=body, headers=ADMIN)).status_code == 200
        made = (await http.post("/templates/crew/instances", json={"count": 2}, headers=ADMIN)).json()["agents"]
        free = await running(http, "free")
        target = {"sponsor": "Finance", "template": "crew", "group": "night", "organisation": ""}[scope]
        on = (await kill(http, scope, target)).json()
        assert on["stopped"] == (1 if scope == "organisation" else 0)
        later = (await http.post("/templates/crew/instances", json={"names": ["late"]}, headers=ADMIN)).json()["agents"]
        for one in (*made, *later):
            key = SigningKey.from_seed(one["name"].encode().ljust(32)[:32])
            refused = await http.post(f"/agents/{one['agent_id']}/enrolment", json=answer_to(one, key))
            assert refused.status_code == 409, refused.text
        if scope in ("sponsor", "group"):  # nor is anybody active moved into its reach
            moved = {"sponsor": "Finance"} if scope == "sponsor" else {"groups": ["night"]}
            assert (await http.patch(f"/agents/{free['agent_id']}", json=moved, headers=ADMIN)).status_code == 409
        await lift(http, on)
        for one in (*made, *later):
            await enrolled(http, one)  # the invitation was not spent by the refusal
        assert set((await states(http)).values()) == {"active"}


@pytest.mark.req("REV-03")
async def test_what_something_else_stopped_stays_stopped(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await http.put("/groups/night", json={}, headers=ADMIN)
        both = await running(http, "both", sponsor="Finance", groups=["night"])
        one, alone = await running(http, "one", sponsor="Finance"), await running(http, "alone", sponsor="Finance")
        ended = await running(http, "ended", sponsor="Finance")
        await http.post(f"/agents/{alone['agent_id']}/suspend", json=BECAUSE, headers=ADMIN)
        sponsor = (await kill(http, "sponsor", "Finance")).json()
        group = (await kill(http, "group", "night")).json()
        assert (sponsor["stopped"], group["stopped"]) == (3, 0)
        await http.post(f"/agents/{ended['agent_id']}/retire", json=BECAUSE, headers=ADMIN)
        # Out of the reach of the switch, but stopped by it all the same.
        assert (
            await http.patch(f"/agents/{one['agent_id']}", json={"sponsor": "Ops"}, headers=ADMIN)
        ).status_code == 200
        assert (await http.post(f"/agents/{one['agent_id']}/resume", json=BECAUSE, headers=ADMIN)).status_code == 409
        assert await lift(http, sponsor) == 1
        assert await states(http) == {
            "both": "suspended", "one": "active", "alone": "suspended", "ended": "retired",
        }  # fmt: skip
        assert (await http.post(f"/agents/{both['agent_id']}/resume", json=BECAUSE, headers=ADMIN)).status_code == 409
        assert await lift(http, group) == 1
        assert (await states(http))["both"] == "active"
        assert (await http.post(f"/agents/{alone['agent_id']}/resume", json=BECAUSE, headers=ADMIN)).status_code == 200


@pytest.mark.req("REV-03")
async def test_a_switch_and_an_enrolment_at_once_leave_nobody_active(database_url: str) -> None:
    async with issuer(database_url) as (first, _), issuer(database_url) as (second, _):
        made = [
            (await first.post("/agents", json={"name": f"a{number}", "sponsor": "Finance"}, headers=ADMIN)).json()
            for number in range(8)
        ]

        async def enrol(number: int) -> int:
            key, one = SigningKey.from_seed(bytes([number + 1]) * 32), made[number]
            http = (first, second)[number % 2]
            return (await http.post(f"/agents/{one['agent_id']}/enrolment", json=answer_to(one, key))).status_code

        answers = await asyncio.gather(
            *(enrol(number) for number in range(4)), kill(first, "sponsor", "Finance"),
            *(enrol(number) for number in range(4, 8)), kill(second, "sponsor", "Finance"),
        )  # fmt: skip
        codes = sorted(answer if isinstance(answer, int) else answer.status_code for answer in answers)
        assert set(codes) <= {201, 409}
        assert sorted(answers[index].status_code for index in (4, 9)) == [201, 409]
        assert "active" not in (await states(first)).values()


@pytest.mark.req("REV-03", "WEB-02", "WEB-04")
async def test_who_may_stop_what(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await running(http, "one")
        assert (await kill(http, "organisation", headers=MANAGER)).status_code == 403
        for scopes in (("issuer:sponsor",), ("issuer:audit",), ("registry:read",)):
            assert (await kill(http, "sponsor", "Ops", auth(*scopes))).status_code == 403
        for body in (
            {"scope": "sponsor", "target": "", **BECAUSE}, {"scope": "organisation", "target": "x", **BECAUSE},
            {"scope": "sponsor", "target": "Ops"}, {"scope": "state", "target": "active", **BECAUSE},
            {"scope": "sponsor", "target": "Ops", "reason": ""}, {"scope": "sponsor", "target": "a\u202eb", **BECAUSE},
        ):  # fmt: skip
            assert (await http.post("/kill-switches", json=body, headers=ADMIN)).status_code == 400, body
        assert set((await states(http)).values()) == {"active"}
        on = await kill(http, "organisation")
        assert on.status_code == 201
        assert (await kill(http, "organisation")).status_code == 409
        path = f"/kill-switches/{on.json()['id']}/lift"
        assert (await http.post(path, json=BECAUSE, headers=MANAGER)).status_code == 403
        assert (await http.post("/kill-switches/urn:uuid:0/lift", json=BECAUSE, headers=ADMIN)).status_code == 404
        assert await lift(http, on.json()) == 1
