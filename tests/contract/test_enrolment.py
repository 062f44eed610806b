"""Enrolment by token, with and without the owner's word, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from did_agent.adapters.sql import open_database, transaction
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from issuer.adapters.sql import metadata
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import (
    ADMIN,
    OPERATOR,
    answer_to,
    auth,
    issuer,
    onboard,
    other_organisation,
    recorded,
    register,
)
from tests.fakes.platform import possession

OTHER = auth("issuer:manage", subject="did:key:other")
SPONSOR = auth("issuer:sponsor", subject="did:key:sponsor")
BLUEPRINT = {"sponsor": "Shop team", "description": "Counts stock", "tags": ["stock"]}


def key(number: int = 0) -> SigningKey:
    return SigningKey.from_seed(number.to_bytes(32, "big"))


async def blueprint(http: httpx2.AsyncClient, name: str = "stock") -> None:
    put = await http.put(f"/templates/{name}", json=BLUEPRINT, headers=ADMIN)
    assert put.status_code == 200, put.text


async def token(http: httpx2.AsyncClient, headers: dict[str, str] = ADMIN, **changes: Any) -> dict[str, Any]:
    made = await http.post("/enrolment-tokens", json={"template": "stock", **changes}, headers=headers)
    assert made.status_code == 201, made.text
    return dict(made.json())


async def enrol(http: httpx2.AsyncClient, secret: str, by: SigningKey, **changes: Any) -> httpx2.Response:
    return await http.post("/enrolments", json={"token": secret, "possession": possession(secret, by), **changes})


async def test_an_agent_enrols_by_a_token_as_an_instance_of_its_blueprint(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await blueprint(http)
        made = await token(http, uses=2)
        enrolled = await enrol(http, made["token"], key(1), name="stock-one")
        assert enrolled.status_code == 201, enrolled.text
        agent = enrolled.json()
        assert (agent["name"], agent["state"], agent["template"]) == ("stock-one", "active", "stock")
        assert (agent["sponsor"], agent["owner"], agent["tags"]) == ("Shop team", OPERATOR, ["stock"])
        assert agent["did"] == did_key(key(1).public)
        assert agent["identity_credential"]["credentialSubject"]["id"] == agent["did"]
        unnamed = (await enrol(http, made["token"], key(2))).json()
        assert unnamed["name"].startswith("stock-")
        listed = (await http.get("/enrolment-tokens", headers=ADMIN)).json()["enrolment_tokens"]
        assert [(row["left"], row["uses"], "token" in row) for row in listed] == [(0, 2, False)]
    events = [event for event in await recorded(database_url) if event.decision == "allow"]
    assert [event.action for event in events] == [
        "template.put", "enrolment-token.create", "agent.enrol", "agent.enrol",
    ]  # fmt: skip


@pytest.mark.req("KEY-01")
async def test_of_a_token_only_its_digest_is_kept(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await blueprint(http)
        made = await token(http)
    assert made["token"] not in await everything(database_url)


@pytest.mark.req("ENR-01")
async def test_a_token_is_used_exactly_as_often_as_it_says(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await blueprint(http)
        made = await token(http, uses=7)
        answers = await asyncio.gather(*(enrol(http, made["token"], key(number)) for number in range(100)))
        assert sorted(answer.status_code for answer in answers) == [201] * 7 + [401] * 93
        refused = next(answer for answer in answers if answer.status_code == 401)
        assert refused.json()["code"] == "bad_grant", refused.text
        agents = (await http.get("/agents", headers=ADMIN, params={"template": "stock"})).json()["agents"]
        assert len(agents) == 7
    events = await recorded(database_url)
    assert [(event.action, event.decision) for event in events].count(("agent.enrol", "deny")) == 93


@pytest.mark.req("ENR-01")
async def test_a_token_ends_by_time_and_by_withdrawal(database_url: str) -> None:
    moment = [NOW]
    async with issuer(database_url, clock=lambda: moment[0]) as (http, _):
        await blueprint(http)
        short, long = await token(http, valid_seconds=60), await token(http, valid_seconds=600, uses=3)
        ended = await http.delete(f"/enrolment-tokens/{long['id']}", headers=ADMIN)
        assert ended.json()["ended"] is not None
        assert (await enrol(http, long["token"], key(1))).json()["code"] == "bad_grant"
        moment[0] = NOW + timedelta(seconds=60)
        proof = possession(short["token"], key(2), now=moment[0])
        late = await http.post("/enrolments", json={"token": short["token"], "possession": proof})
        assert late.json()["code"] == "bad_grant"


@pytest.mark.parametrize("change", [{"uses": 0}, {"uses": 10_001}, {"valid_seconds": 0}, {"valid_seconds": 2_592_001}])
async def test_tokens_have_bounds(database_url: str, change: dict[str, int]) -> None:
    async with issuer(database_url) as (http, _):
        await blueprint(http)
        refused = await http.post("/enrolment-tokens", json={"template": "stock", **change}, headers=ADMIN)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_parameter")


@pytest.mark.req("ENR-01")
async def test_a_proof_fits_one_token_one_issuer_and_one_use(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await blueprint(http)
        one, other = await token(http, uses=5), await token(http, uses=5)
        for spoilt in (
            possession(other["token"], key(1)),
            possession(one["token"], key(1), audience="https://elsewhere.example"),
        ):
            refused = await http.post("/enrolments", json={"token": one["token"], "possession": spoilt})
            assert refused.status_code == 401, refused.text
        proof = {"token": one["token"], "possession": possession(one["token"], key(1))}
        assert (await http.post("/enrolments", json=proof)).status_code == 201
        assert (await http.post("/enrolments", json=proof)).status_code == 401
        again = await enrol(http, one["token"], key(1))  # another proof by a key that is an agent's already
        assert (again.status_code, again.json()["code"]) == (409, "state_conflict")
        left = (await http.get("/enrolment-tokens", headers=ADMIN)).json()["enrolment_tokens"]
        assert sorted(row["left"] for row in left) == [4, 5]  # refusals cost no use


async def test_sponsors_hand_out_tokens_for_their_own_agents_alone(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await blueprint(http)
        made = await token(http, SPONSOR, owner="did:key:somebody")
        theirs = await token(http)
        assert made["owner"] == "did:key:sponsor"
        seen = (await http.get("/enrolment-tokens", headers=SPONSOR)).json()["enrolment_tokens"]
        assert [row["id"] for row in seen] == [made["id"]]
        ended = await http.delete(f"/enrolment-tokens/{theirs['id']}", headers=SPONSOR)
        assert ended.status_code == 404
        elsewhere = await other_organisation(http)
        assert (await http.delete(f"/enrolment-tokens/{theirs['id']}", headers=elsewhere)).status_code == 404


async def wait_for_owner(http: httpx2.AsyncClient, by: SigningKey, **changes: Any) -> dict[str, Any]:
    made = await token(http, needs_approval=True, **changes)
    answer = await enrol(http, made["token"], by)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def state_of(http: httpx2.AsyncClient, by: SigningKey) -> str:
    answer = await http.post("/enrolments/state", json={"possession": possession("anything", by)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["verdict"])


@pytest.mark.req("ENR-03")
async def test_an_agent_waits_until_its_owner_agrees(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await blueprint(http)
        agent = await wait_for_owner(http, key(1))
        assert (agent["state"], agent["did"], agent["identity_credential"]) == ("pending", None, None)
        assert await state_of(http, key(1)) == "waiting"
        waiting = (await http.get("/enrolments", params={"verdict": "waiting"}, headers=ADMIN)).json()["enrolments"]
        assert [(row["did"], row["source"]) for row in waiting] == [(did_key(key(1).public), "token")]
        path = f"/enrolments/{agent['application']}/approve"
        approved = await http.post(path, json={"reason": "expected"}, headers=ADMIN)
        assert approved.json()["agent"]["state"] == "active", approved.text
        assert await state_of(http, key(1)) == "approved"
        again = await http.post(path, json={"reason": "twice"}, headers=ADMIN)
        assert again.json()["code"] == "state_conflict"
        keys = (await http.get(f"/agents/{agent['agent_id']}/keys", headers=ADMIN)).json()["keys"]
        assert [row["did"] for row in keys] == [did_key(key(1).public)]


@pytest.mark.req("ENR-03")
async def test_a_rejected_agent_never_acts(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await blueprint(http)
        agent = await wait_for_owner(http, key(1))
        path = f"/enrolments/{agent['application']}"
        rejected = await http.post(f"{path}/reject", json={"reason": "unknown"}, headers=ADMIN)
        assert rejected.json()["agent"]["state"] == "retired", rejected.text
        assert await state_of(http, key(1)) == "rejected"
        approved = await http.post(f"{path}/approve", json={"reason": "after all"}, headers=ADMIN)
        assert approved.status_code == 409
    actions = [event.action for event in await recorded(database_url)]
    assert {"agent.apply", "agent.reject"} <= {*actions}


@pytest.mark.req("ENR-03")
async def test_who_decides_is_the_owner_or_a_manager_who_did_not_let_it_in(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await blueprint(http)
        agent = await wait_for_owner(http, key(1), owner="did:key:sponsor")
        path = f"/enrolments/{agent['application']}/approve"
        stranger = auth("issuer:sponsor", subject="did:key:stranger")
        outsider = await other_organisation(http)
        for headers, status in ((ADMIN, 403), (stranger, 404), (outsider, 404), (auth("issuer:audit"), 403)):
            refused = await http.post(path, json={"reason": "yes"}, headers=headers)
            assert refused.status_code == status, refused.text
        assert (await http.post(path, json={"reason": "mine"}, headers=SPONSOR)).status_code == 200
        other = await wait_for_owner(http, key(2), owner="did:key:sponsor")
        approved = await http.post(f"/enrolments/{other['application']}/approve", json={"reason": "ok"}, headers=OTHER)
        assert approved.status_code == 200
    denied = [event for event in await recorded(database_url) if event.decision == "deny"]
    assert {event.action for event in denied} == {"agent.approve"}


@pytest.mark.parametrize("template", [None, "stock"])
async def test_an_organisation_or_a_blueprint_can_ask_for_approval(database_url: str, template: str | None) -> None:
    async with issuer(database_url) as (http, _):
        await blueprint(http)
        said = {"template": template, "needs_approval": True}
        assert (await http.put("/enrolment-policies", json=said, headers=ADMIN)).json() == said
        assert (await http.get("/enrolment-policies", headers=ADMIN)).json()["policies"] == [said]
        made = await token(http)
        assert (await enrol(http, made["token"], key(1))).status_code == 202
        invited = await register(http)
        answered = await http.post(f"/agents/{invited['agent_id']}/enrolment", json=answer_to(invited))
        assert answered.status_code == (202 if template is None else 201)  # it is of no blueprint
        await http.put("/enrolment-policies", json={**said, "needs_approval": False}, headers=ADMIN)
        await token(http)
        assert (await enrol(http, (await token(http))["token"], key(2))).status_code == 201


async def test_two_who_decide_at_once_decide_once(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await blueprint(http)
        agent = await wait_for_owner(http, key(1))
        path = f"/enrolments/{agent['application']}"
        asked = [http.post(f"{path}/{word}", json={"reason": "r"}, headers=ADMIN) for word in ("approve", "reject")]
        answers = await asyncio.gather(*asked)
        assert [answer.status_code for answer in answers].count(200) == 1
        state = (await http.get(f"/agents/{agent['agent_id']}", headers=ADMIN)).json()["state"]
        assert state == ("active" if answers[0].status_code == 200 else "retired")


async def test_a_key_that_is_another_agents_is_not_approved(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await blueprint(http)
        agent = await wait_for_owner(http, key(1))
        await onboard(http, "first-come", key(1))
        refused = await http.post(f"/enrolments/{agent['application']}/approve", json={"reason": "late"}, headers=ADMIN)
        assert (refused.status_code, refused.json()["code"]) == (409, "state_conflict")
        assert await state_of(http, key(1)) == "waiting"


async def everything(database_url: str) -> str:
    """Return all rows of the issuer's tables as text."""
    engine = open_database(database_url)
    async with transaction(engine) as connection:
        rows = [(await connection.execute(select(table))).all() for table in metadata.sorted_tables]
    await engine.dispose()
    return str(rows)
