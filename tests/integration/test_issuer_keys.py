"""An agent's keys: replaced by their own word, recovered by the owner after a loss, and never two at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present_jwt
from did_agent.tokens.continuity import make_continuity, statement_digest
from issuer.service.rotation import MAX_ROTATIONS
from tests.contract.conftest import database_url
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import (
    ADMIN,
    AGENT_KEY,
    ISSUER_URL,
    answer_to,
    auth,
    granted,
    issuer,
    onboard,
    recorded,
)

NEXT, THIRD = SigningKey.from_seed(b"x" * 32), SigningKey.from_seed(b"y" * 32)
__all__ = ["database_url"]  # fixtures count as names of the module

BECAUSE = {"reason": "because"}


def proof(key: SigningKey, **changes: Any) -> dict[str, str]:
    shown = present_jwt([], **{"key": key, "audience": ISSUER_URL, "now": NOW, **changes})
    return {"Authorization": f"Bearer {shown}"}


def change(agent: dict[str, Any], old: SigningKey = AGENT_KEY, new: SigningKey = NEXT, **spoilt: Any) -> dict[str, str]:
    """Return what asks for a change of keys, one part of it spoilt."""
    said = {"successor": did_key(new.public), "agent_id": agent["agent_id"], "audience": ISSUER_URL, "now": NOW}
    statement = make_continuity(spoilt.pop("signer", old), **{**said, **spoilt.pop("said", {})})
    answer = {"key": new, "audience": ISSUER_URL, "now": NOW, "nonce": statement_digest(statement)}
    possession = present_jwt([], **{**answer, **spoilt.pop("answer", {})})
    assert not spoilt
    return {"statement": statement, "possession": possession}


def rights(credential: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in credential["credentialSubject"].items() if name != "id"}


async def rotate(
    http: httpx2.AsyncClient, agent: dict[str, Any], body: dict[str, str], key: SigningKey = AGENT_KEY
) -> Any:
    return await http.post(f"/agents/{agent['agent_id']}/keys", json=body, headers=proof(key))


async def test_an_agent_replaces_its_key_and_keeps_what_it_was_granted(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        agent = await onboard(http)
        old = await granted(http, agent, valid_seconds=3_600)
        done = await rotate(http, agent, change(agent))
        assert done.status_code == 201, done.text
        body = done.json()
        assert (body["agent_id"], body["did"], body["state"]) == (agent["agent_id"], did_key(NEXT.public), "active")
        assert body["identity_credential"]["credentialSubject"]["id"] == did_key(NEXT.public)
        (new,) = body["credentials"]
        assert new["credentialSubject"]["id"] == did_key(NEXT.public)
        assert rights(new) == rights(old)
        assert new["validUntil"] == old["validUntil"]
        states = (await http.get("/credentials", params={"agent": agent["agent_id"]}, headers=ADMIN)).json()
        assert {one["id"]: one["state"] for one in states["credentials"]} == {old["id"]: "revoked", new["id"]: "active"}
        keys = (await http.get(f"/agents/{agent['agent_id']}/keys", headers=ADMIN)).json()["keys"]
        assert {(key["did"], key["why"]) for key in keys} == {(agent["did"], "rotated"), (body["did"], None)}
        # The old key is nobody's; the new one is the agent's, here and for the bridge.
        assert (await http.get("/self", headers=proof(AGENT_KEY))).json()["code"] == "unknown_agent"
        assert (await http.get("/self", headers=proof(NEXT))).json()["agent_id"] == agent["agent_id"]
        found = await http.get(f"/registry/{body['did']}", headers=auth("registry:read"))
        assert [one["id"] for one in found.json()["credentials"]] == [new["id"]]
    events = [event for event in await recorded(database_url) if event.action == "agent.rotate"]
    assert [(event.principal, event.target, event.decision) for event in events] == [
        (agent["did"], did_key(NEXT.public), "allow")
    ]


@pytest.mark.req("VCX-02", "TOK-08")
@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda a: change(a, signer=THIRD), "wrong_issuer"),
        (lambda a: change(a, said={"audience": "https://other.example"}), "wrong_audience"),
        (lambda a: change(a, said={"agent_id": "urn:uuid:00000000-0000-4000-8000-000000000000"}), "wrong_key"),
        (lambda a: change(a, said={"now": NOW - timedelta(minutes=20)}), "expired"),
        (lambda a: change(a, said={"successor": did_key(AGENT_KEY.public)}), "wrong_key"),
        (lambda a: change(a, said={"successor": "did:web:evil.example"}), "invalid_did"),
        (lambda a: change(a, answer={"key": THIRD}), "wrong_key"),
        (lambda a: change(a, answer={"nonce": "another"}), "wrong_challenge"),
        (lambda a: change(a, answer={"nonce": None}), "wrong_challenge"),
        (lambda a: change(a, answer={"audience": "https://other.example"}), "wrong_audience"),
        (lambda a: change(a) | {"statement": change(a)["possession"]}, "wrong_type"),
    ],
)  # fmt: skip
async def test_a_change_that_one_of_both_keys_did_not_mean_changes_nothing(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], dict[str, str]], code: str
) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        refused = await rotate(http, agent, spoil(agent))
        assert 400 <= refused.status_code < 404
        assert refused.json()["code"] == code
        assert (await http.get("/self", headers=proof(AGENT_KEY))).json()["did"] == agent["did"]
        assert (await rotate(http, agent, change(agent))).status_code == 201
    last = [event for event in await recorded(tmp_path) if event.action == "agent.rotate"]
    assert [event.reason for event in last] == [code, "allowed"]


@pytest.mark.req("VCX-01", "WEB-02")
async def test_only_the_agent_itself_and_only_once(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        other = await onboard(http, "other", THIRD)
        for stranger in (THIRD, NEXT):
            assert (await rotate(http, agent, change(agent), key=stranger)).status_code in (401, 403, 404)
        assert (
            await http.post(f"/agents/{agent['agent_id']}/keys", json=change(agent), headers=ADMIN)
        ).status_code == 403
        # A key that is or was some agent's never becomes another's.
        taken = await rotate(http, agent, change(agent, new=THIRD))
        assert (taken.status_code, taken.json()["code"]) == (409, "state_conflict")
        used = change(agent)
        assert (await rotate(http, agent, used)).status_code == 201
        again = await rotate(http, agent, used, key=NEXT)
        assert again.status_code in (400, 401)
        back = await rotate(http, agent, change(agent, old=NEXT, new=AGENT_KEY), key=NEXT)
        assert (back.status_code, back.json()["code"]) == (409, "state_conflict")
        assert (await http.get(f"/agents/{other['agent_id']}/keys", headers=proof(NEXT))).status_code == 404


async def test_what_is_suspended_goes_over_suspended_and_can_come_back(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        agent = await onboard(http)
        old = await granted(http, agent, cryptosuite="eddsa-rdfc-2022")
        await http.post(f"/credentials/{old['id']}/suspend", json=BECAUSE, headers=ADMIN)
        assert (await rotate(http, agent, change(agent))).json()["credentials"] == []
        listed = {"params": {"agent": agent["agent_id"]}, "headers": ADMIN}
        rows = (await http.get("/credentials", **listed)).json()["credentials"]
        states = {row["id"]: row["state"] for row in rows}
        assert states.pop(old["id"]) == "revoked"
        ((identifier, state),) = states.items()
        assert state == "suspended"
        assert (await http.post(f"/credentials/{identifier}/resume", json=BECAUSE, headers=ADMIN)).status_code == 200
        (held,) = (await http.get("/self", headers=proof(NEXT))).json()["credentials"]
        assert (held["id"], held["proof"]["cryptosuite"]) == (identifier, "eddsa-rdfc-2022")
        assert rights(held) == rights(old)


async def test_the_key_of_a_retired_agent_is_ended(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        path = f"/agents/{agent['agent_id']}"
        for change_of_state, ended in (("suspend", None), ("retire", "retired")):
            assert (await http.post(f"{path}/{change_of_state}", json=BECAUSE, headers=ADMIN)).status_code == 200
            (key,) = (await http.get(f"{path}/keys", headers=ADMIN)).json()["keys"]
            assert (key["why"], key["ended"] is None) == (ended, ended is None)


async def test_of_two_changes_at_once_one_is_made(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        agent = await onboard(http)
        await granted(http, agent)
        asked = (rotate(http, agent, change(agent, new=new)) for new in (NEXT, THIRD))
        answers = await asyncio.gather(*asked)
        assert [answer.status_code for answer in answers].count(201) == 1
        keys = (await http.get(f"/agents/{agent['agent_id']}/keys", headers=ADMIN)).json()["keys"]
        assert [key["ended"] is None for key in keys].count(True) == 1
        held = (await http.get("/credentials", params={"agent": agent["agent_id"]}, headers=ADMIN)).json()
        assert [one["state"] for one in held["credentials"]].count("active") == 1


@pytest.mark.req("REV-03")
async def test_an_agent_that_was_suspended_first_is_recovered_too(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        await granted(http, agent)
        path = f"/agents/{agent['agent_id']}"
        await http.post(f"{path}/suspend", json=BECAUSE, headers=ADMIN)
        made = await http.post(f"{path}/recovery", json=BECAUSE, headers=ADMIN)
        assert (await http.post(f"{path}/resume", json=BECAUSE, headers=ADMIN)).status_code == 409
        enrolled = await http.post(f"{path}/enrolment", json=answer_to(made.json(), NEXT))
        assert (enrolled.status_code, enrolled.json()["state"]) == (201, "active")
        assert len((await http.get("/self", headers=proof(NEXT))).json()["credentials"]) == 1


@pytest.mark.req("REV-03")
async def test_an_owner_recovers_an_agent_whose_key_was_lost(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        agent = await onboard(http)
        old = await granted(http, agent)
        path = f"/agents/{agent['agent_id']}"
        made = await http.post(f"{path}/recovery", json={"reason": "laptop stolen"}, headers=ADMIN)
        assert made.status_code == 201, made.text
        assert (made.json()["state"], made.json()["did"]) == ("pending", None)
        # From this moment the thief's key is worth nothing.
        assert (await http.get("/self", headers=proof(AGENT_KEY))).status_code == 401
        assert (await http.get(f"/registry/{agent['did']}", headers=auth("registry:read"))).status_code == 404
        assert (await http.post(f"{path}/enrolment", json=answer_to(made.json(), AGENT_KEY))).status_code == 409
        enrolled = await http.post(f"{path}/enrolment", json=answer_to(made.json(), NEXT))
        assert enrolled.status_code == 201, enrolled.text
        held = (await http.get("/self", headers=proof(NEXT))).json()["credentials"]
        assert [rights(one) for one in held] == [rights(old)]
        assert [one["validUntil"] for one in held] == [old["validUntil"]]
        states = (await http.get("/credentials", params={"agent": agent["agent_id"]}, headers=ADMIN)).json()
        assert {one["id"]: one["state"] for one in states["credentials"]} == {
            old["id"]: "revoked",
            held[0]["id"]: "active",
        }
        assert (await http.post(f"{path}/recovery", json=BECAUSE, headers=proof(NEXT))).status_code == 403


@pytest.mark.req("DEL-05")
async def test_an_agent_replaces_its_key_so_many_times_a_day_and_no_more(tmp_path: Path) -> None:
    moment = [NOW]
    async with issuer(tmp_path, clock=lambda: moment[0]) as (http, _):
        agent, old = await onboard(http), AGENT_KEY

        async def turn() -> int:
            nonlocal old
            new = SigningKey.generate()
            statement = make_continuity(
                old, successor=did_key(new.public), agent_id=agent["agent_id"], audience=ISSUER_URL, now=moment[0]
            )
            answer = {"key": new, "audience": ISSUER_URL, "now": moment[0], "nonce": statement_digest(statement)}
            body = {"statement": statement, "possession": present_jwt([], **answer)}
            shown = proof(old, now=moment[0])
            done = await http.post(f"/agents/{agent['agent_id']}/keys", json=body, headers=shown)
            old = new if done.status_code == 201 else old
            return int(done.status_code)

        assert {await turn() for _ in range(MAX_ROTATIONS)} == {201}
        assert await turn() == 429
        moment[0] += timedelta(days=1, seconds=1)
        assert await turn() == 201
