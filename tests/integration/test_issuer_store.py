"""The issuer over real storage: nothing is lost, nothing is given out twice, nothing happens unrecorded."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from did_agent.adapters.sql import open_database, transaction
from did_agent.credential.model import parse_capability_credential
from did_agent.credential.status import is_set, verify_status_list
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from issuer.adapters.sql import SQLStore
from tests.contract.conftest import database_url
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import (
    ADMIN,
    CAPABILITIES,
    KEY,
    OPERATOR,
    READER,
    answer_to,
    auth,
    granted,
    issuer,
    onboard,
    recorded,
    register,
)

__all__ = ["database_url"]  # every test here runs on SQLite and on PostgreSQL

BECAUSE = {"reason": "because"}


async def change(http: httpx2.AsyncClient, verb: str, identifier: str, place: str = "agents") -> int:
    return (await http.post(f"/{place}/{identifier}/{verb}", json=BECAUSE, headers=ADMIN)).status_code


async def bits(http: httpx2.AsyncClient, document: dict[str, Any]) -> dict[str, bool]:
    found = {}
    for entry in parse_capability_credential(document).statuses:
        verified = verify_status_list(
            (await http.get(entry.list_url)).json(),
            expected_url=entry.list_url,
            trusted_issuers=TrustedIssuers.of(did_key(KEY.public)),
            now=NOW,
        )
        found[entry.purpose] = is_set(verified.bits, entry.index)
    return found


async def test_everything_acknowledged_is_there_after_the_database_is_opened_again(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        waiting = await register(http, "waiting")
        active, ended = await onboard(http, "active"), await onboard(http, "ended", SigningKey.from_seed(b"e" * 32))
        kept, revoked = await granted(http, active), await granted(http, active, on_behalf_of="did:key:owner")
        assert await change(http, "revoke", revoked["id"], "credentials") == 200
        assert await change(http, "suspend", ended["agent_id"]) == 200
        before = (await http.get("/agents", headers=ADMIN)).json()
    events = await recorded(database_url)
    async with issuer(database_url) as (http, _):
        assert (await http.get("/agents", headers=ADMIN)).json() == before
        assert {agent["name"]: agent["state"] for agent in before["agents"]} == {
            "waiting": "pending",
            "active": "active",
            "ended": "suspended",
        }
        standing = (await http.get(f"/registry/{active['did']}", headers=READER)).json()
        assert standing["credentials"] == [kept]
        assert (await http.get(f"/credentials/{revoked['id']}", headers=ADMIN)).json()["state"] == "revoked"
        assert await bits(http, kept) == {"revocation": False, "suspension": False}
        assert await bits(http, revoked) == {"revocation": True, "suspension": False}
        enrolled = await http.post(
            f"/agents/{waiting['agent_id']}/enrolment", json=answer_to(waiting, SigningKey.from_seed(b"w" * 32))
        )
        assert enrolled.status_code == 201
        assert await change(http, "resume", ended["agent_id"]) == 200
    assert list(events) == list(await recorded(database_url))[: len(events)]
    engine = open_database(database_url)
    async with SQLStore(engine).work() as work:
        assert [(notice.kind, notice.subject) for notice in await work.notices(10)] == [
            ("credential-revoked", revoked["id"]),
            ("agent-suspended", ended["did"]),
            ("agent-resumed", ended["did"]),
        ]
    await engine.dispose()


@pytest.mark.req("REV-03", "VCX-10")
async def test_suspension_reaches_every_credential_of_the_agent_and_no_other_agents(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        one, other = await onboard(http, "one"), await onboard(http, "other", SigningKey.from_seed(b"o" * 32))
        mine, also_mine, theirs = await granted(http, one), await granted(http, one), await granted(http, other)
        assert await change(http, "suspend", one["did"]) == 200
        assert [(await bits(http, document))["suspension"] for document in (mine, also_mine, theirs)] == [
            True,
            True,
            False,
        ]
        assert await change(http, "retire", one["agent_id"]) == 200
        assert (await bits(http, mine)) == {"revocation": False, "suspension": True}
        for verb in ("resume", "suspend", "retire"):
            assert await change(http, verb, one["agent_id"]) == 409


async def test_forty_credentials_at_once_in_two_workers_get_forty_places(database_url: str) -> None:
    async with issuer(database_url) as (first, _), issuer(database_url) as (second, _):
        agent = await onboard(first)
        issued = await asyncio.gather(*(granted(http, agent) for _ in range(20) for http in (first, second)))
        places = {parse_capability_credential(document).statuses[0].index for document in issued}
        assert len(places) == len({document["id"] for document in issued}) == 40
        listed = (await first.get("/credentials?limit=100", headers=ADMIN)).json()["credentials"]
        assert {row["id"] for row in listed} == {document["id"] for document in issued}


@pytest.mark.req("VCX-01")
async def test_of_twenty_answers_to_one_invitation_exactly_one_enrols(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        made = await register(http)
        keys = [SigningKey.from_seed(bytes([number]) * 32) for number in range(1, 21)]
        answers = await asyncio.gather(
            *(http.post(f"/agents/{made['agent_id']}/enrolment", json=answer_to(made, key)) for key in keys)
        )
        assert Counter(answer.status_code for answer in answers) == {201: 1, 401: 19}
        (winner,) = (answer.json()["did"] for answer in answers if answer.status_code == 201)
        assert (await http.get(f"/agents/{made['agent_id']}", headers=ADMIN)).json()["did"] == winner
    enrolments = [event for event in await recorded(database_url) if event.action == "agent.enrol"]
    assert Counter((event.decision, event.reason) for event in enrolments) == {
        ("allow", "allowed"): 1,
        ("deny", "bad_grant"): 19,
    }


async def test_of_ten_of_the_same_name_or_change_at_once_exactly_one_succeeds(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        body = {"name": "wanted", "sponsor": "Ops"}
        made = await asyncio.gather(*(http.post("/agents", json=body, headers=ADMIN) for _ in range(10)))
        assert Counter(answer.status_code for answer in made) == {201: 1, 409: 9}
        agent = await onboard(http, "other")
        assert Counter(await asyncio.gather(*(change(http, "suspend", agent["agent_id"]) for _ in range(10)))) == {
            200: 1,
            409: 9,
        }


async def test_what_is_in_force_is_found_behind_any_number_of_ended_credentials(database_url: str) -> None:
    moment = [NOW]
    async with issuer(database_url, clock=lambda: moment[0]) as (http, _):
        agent = await onboard(http)
        kept = await granted(http, agent)
        short = await granted(http, agent, valid_seconds=5)
        moment[0] = NOW + timedelta(seconds=10)
        for _ in range(17):
            ended = await granted(http, agent)
            assert await change(http, "revoke", ended["id"], "credentials") == 200

        async def ids(path: str, headers: dict[str, str] = ADMIN) -> list[str]:
            return [row["id"] for row in (await http.get(path, headers=headers)).json()["credentials"]]

        assert await ids(f"/registry/{agent['did']}", READER) == [kept["id"]]
        assert await ids("/credentials?state=active&limit=1") == [kept["id"]]
        assert await ids("/credentials?state=expired") == [short["id"]]
        assert len(await ids(f"/credentials?state=revoked&agent={agent['did']}")) == 17
        assert len(await ids("/credentials")) == 19


async def test_agents_are_listed_page_by_page_by_name_and_by_state(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        names = {f"agent-{number}" for number in range(5)}
        for name in sorted(names):
            await register(http, name)
        seen, query = [], "limit=2"
        while True:
            page = (await http.get(f"/agents?{query}", headers=READER)).json()
            seen += [agent["name"] for agent in page["agents"]]
            if page["next"] is None:
                break
            query = f"limit=2&after={page['next']}"
        assert (len(seen), set(seen)) == (5, names)
        active = await onboard(http, "active")
        by_state = (await http.get("/agents?state=active", headers=READER)).json()["agents"]
        by_name = (await http.get("/agents?name=active", headers=READER)).json()["agents"]
        assert [agent["agent_id"] for agent in by_state] == [agent["agent_id"] for agent in by_name]
        assert by_state[0]["did"] == active["did"]


@pytest.mark.req("AUD-01", "FCL")
async def test_without_a_place_for_the_record_nothing_happens_at_all(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        agent, made = await onboard(http), await register(http, "second")
        document = await granted(http, agent)

        async def rename(old: str, new: str) -> None:
            engine = open_database(database_url)
            async with transaction(engine) as connection:
                await connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
            await engine.dispose()

        attempts: list[tuple[str, dict[str, Any]]] = [
            ("/agents", {"name": "third", "sponsor": "Ops"}),
            (f"/agents/{made['agent_id']}/enrolment", answer_to(made, SigningKey.from_seed(b"2" * 32))),
            (f"/agents/{agent['agent_id']}/suspend", BECAUSE),
            (f"/agents/{agent['agent_id']}/credentials", CAPABILITIES),
            (f"/credentials/{document['id']}/revoke", BECAUSE),
        ]
        await rename("issuer_outbox", "issuer_outbox_away")
        for path, body in attempts:
            answer = await http.post(path, json=body, headers=ADMIN)
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable"), path
        # A refusal that cannot be recorded is no softer: still no, and no detail of the store.
        refused = await http.post("/agents", json={"name": "third"}, headers=ADMIN)
        assert refused.status_code == 503
        assert "outbox" not in refused.text
        await rename("issuer_outbox_away", "issuer_outbox")
        for path, body in attempts:
            answer = await http.post(path, json=body, headers=ADMIN)
            assert answer.status_code in ((201, 409) if path.endswith("/credentials") else (200, 201)), path


@pytest.mark.req("AUD-01", "AUD-02")
async def test_every_change_and_every_refusal_is_recorded_with_who_what_and_why(database_url: str) -> None:
    delegated = auth("registry:read", subject="smith", subject_profile="user", actors=("did:key:helper",))
    async with issuer(database_url) as (http, _):
        agent = await onboard(http)
        document = await granted(http, agent)
        path = f"/agents/{agent['agent_id']}"
        await http.post(f"{path}/suspend", json={"reason": "laptop lost"}, headers=ADMIN)
        await http.post(f"{path}/suspend", json=BECAUSE, headers=ADMIN)
        await http.post(f"{path}/retire", json=BECAUSE, headers=delegated)
        await http.post(f"{path}/retire", json=BECAUSE)
        for _ in range(2):
            await http.post(f"/credentials/{document['id']}/revoke", json=BECAUSE, headers=ADMIN)
        await http.get(path, headers=auth("audit:read"))
        named = await http.post(f"{path}/resume", json={}, headers={**ADMIN, "X-Request-Id": "request-of-mine"})
        assert named.json()["request_id"] == "request-of-mine"
    events = await recorded(database_url)
    assert [(event.action, event.decision, event.reason) for event in events] == [
        ("agent.create", "allow", "allowed"),
        ("agent.enrol", "allow", "allowed"),
        ("credential.issue", "allow", "allowed"),
        ("agent.suspend", "allow", "allowed"),
        ("agent.suspend", "deny", "state_conflict"),
        ("agent.retire", "deny", "insufficient_scope"),
        ("agent.retire", "deny", "not_authenticated"),
        ("credential.revoke", "allow", "allowed"),
        ("credential.revoke", "allow", "allowed"),
        ("agent.show", "deny", "insufficient_scope"),
        ("agent.resume", "deny", "invalid_parameter"),
    ]
    suspended = events[3]
    assert (suspended.principal, suspended.target, suspended.explanation) == (OPERATOR, agent["did"], "laptop lost")
    assert suspended.token_id is not None
    assert events[2].credential_ids == events[7].credential_ids == (document["id"],)
    assert events[1].principal == agent["did"]
    assert (events[5].principal, events[5].actors) == ("smith", ("did:key:helper",))
    assert events[6].principal is None
    assert events[-1].request_id == "request-of-mine"
    assert {event.source for event in events} == {did_key(KEY.public)}


async def test_a_status_list_is_public_cacheable_and_changes_at_once(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        agent = await onboard(http)
        document = await granted(http, agent)
        url = parse_capability_credential(document).statuses[0].list_url
        first = await http.get(url)
        assert first.headers["content-type"].startswith("application/vc")
        assert first.headers["cache-control"] == "public, max-age=30"
        known = {"If-None-Match": first.headers["etag"]}
        same = await http.get(url, headers=known)
        assert (same.status_code, same.content) == (304, b"")
        assert await change(http, "revoke", document["id"], "credentials") == 200
        changed = await http.get(url, headers=known)
        assert (changed.status_code, changed.headers["etag"] != first.headers["etag"]) == (200, True)
