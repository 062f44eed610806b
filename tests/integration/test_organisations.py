"""Organisations of one deployment: each signs with its own key, and what takes two people takes two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from tests.contract.conftest import database_url
from tests.fakes.issuer_world import ADMIN, AGENT_KEY, CAPABILITIES, KEY, answer_to, auth, issuer, recorded

__all__ = ["database_url"]  # every test that names it runs on SQLite and on PostgreSQL

ACME = auth("issuer:admin", organisation="acme", subject="did:key:acme-1", client_id="did:key:acme-1")
SECOND = auth("issuer:admin", organisation="acme", subject="did:key:acme-2", client_id="did:key:acme-2")
GLOBEX = auth("issuer:admin", organisation="globex", subject="did:key:globex", client_id="did:key:globex")
LINE = {"issuer": did_key(SigningKey.from_seed(b"f" * 32).public), "resources": ["https://mcp.example/mcp"]}


async def made(http: httpx2.AsyncClient, name: str = "acme") -> dict[str, Any]:
    answer = await http.post("/organisations", json={"name": name, "title": name.title()}, headers=ADMIN)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.mark.req("WEB-02", "WEB-04")
async def test_an_organisation_is_made_before_anybody_operates_it(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        unknown = await http.get("/agents", headers=ACME)
        assert (unknown.status_code, unknown.json()["code"]) == (403, "unauthorized_client")
        await made(http)
        assert (await http.get("/agents", headers=ACME)).status_code == 200
        twice = await http.post("/organisations", json={"name": "acme"}, headers=ADMIN)
        assert (twice.status_code, twice.json()["code"]) == (409, "state_conflict")
        for body in ({"name": "home"}, {"name": "No"}, {"name": "x", "dual_control": []}):
            assert (await http.post("/organisations", json=body, headers=ADMIN)).status_code == 400, body
        assert (await http.post("/organisations", json={"name": "own"}, headers=ACME)).status_code == 403
        await made(http, "globex")
        seen = [one["name"] for one in (await http.get("/organisations", headers=ADMIN)).json()["organisations"]]
        assert seen == ["acme", "globex"]
        alone = (await http.get("/organisations", headers=ACME)).json()["organisations"]
        assert [one["name"] for one in alone] == ["acme"]


@pytest.mark.req("KEY-04")
async def test_each_organisation_signs_with_its_own_key(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        acme, globex = await made(http), await made(http, "globex")
        assert len({acme["did"], globex["did"], did_key(KEY.public)}) == 3
        agent = (await http.post("/agents", json={"name": "one", "sponsor": "Ops"}, headers=ACME)).json()
        enrolled = await http.post(f"/agents/{agent['agent_id']}/enrolment", json=answer_to(agent, AGENT_KEY))
        assert enrolled.json()["identity_credential"]["issuer"] == acme["did"]
        path = f"/agents/{agent['agent_id']}/credentials"
        document = (await http.post(path, json=CAPABILITIES, headers=ACME)).json()["credential"]
        assert document["issuer"] == acme["did"]
        listed = await http.get(document["credentialStatus"][0]["statusListCredential"])
        assert listed.json()["issuer"] == acme["did"]
        held = (await http.get(f"/credentials/{document['id']}", headers=GLOBEX)).status_code
        assert held == 404
    async with issuer(tmp_path) as (http, _):  # the same keys, though none of them lies anywhere (KEY-01)
        again = (await http.get("/organisations", headers=ADMIN)).json()["organisations"]
        assert [one["did"] for one in again] == [acme["did"], globex["did"]]
    for file in tmp_path.iterdir():
        assert KEY.seed() not in file.read_bytes()


@pytest.mark.req("WEB-04")
async def test_what_takes_two_people_waits_for_the_second(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        await made(http)
        said = await http.put("/dual-control", json={"dual_control": ["trust"]}, headers=ACME)
        assert said.json()["dual_control"] == ["control", "trust"]
        waits = await http.post("/trust", json=LINE, headers=ACME)
        assert waits.status_code == 202, waits.text
        assert (await http.get("/trust", headers=ACME)).json()["trust"] == []
        path = f"/proposals/{waits.json()['proposal']}"
        for who, status in ((ACME, 403), (GLOBEX, 403), (auth("issuer:manage", organisation="acme"), 403)):
            assert (await http.post(f"{path}/approve", headers=who)).status_code == status
        (shown,) = (await http.get("/proposals", headers=SECOND)).json()["proposals"]
        assert (shown["action"], shown["by"], shown["verdict"]) == ("trust.add", "did:key:acme-1", "open")
        done = await http.post(f"{path}/approve", headers=SECOND)
        assert done.status_code == 201, done.text
        assert [one["issuer"] for one in (await http.get("/trust", headers=ACME)).json()["trust"]] == [LINE["issuer"]]
        again = await http.post(f"{path}/approve", headers=SECOND)
        assert (again.status_code, again.json()["code"]) == (409, "state_conflict")
        # Home has set nothing: there one person is enough.
        assert (await http.post("/trust", json=LINE, headers=ADMIN)).status_code == 201
    actions = [(event.action, event.principal) for event in await recorded(database_url)]
    assert ("proposal.make", "did:key:acme-1") in actions
    assert ("proposal.approved", "did:key:acme-2") in actions


@pytest.mark.req("WEB-04")
async def test_the_control_itself_is_taken_off_by_two_and_a_rejected_proposal_is_over(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        await made(http)
        await http.put("/dual-control", json={"dual_control": ["switch"]}, headers=ACME)
        waits = await http.put("/dual-control", json={"dual_control": []}, headers=ACME)
        assert waits.status_code == 202
        path = f"/proposals/{waits.json()['proposal']}"
        assert (await http.post(f"{path}/reject", headers=ACME)).json()["verdict"] == "rejected"
        late = await http.post(f"{path}/approve", headers=SECOND)
        assert (late.status_code, late.json()["code"]) == (409, "state_conflict")
        (acme,) = (await http.get("/organisations", headers=ACME)).json()["organisations"]
        assert acme["dual_control"] == ["control", "switch"]
        waits = await http.put("/dual-control", json={"dual_control": []}, headers=ACME)
        done = await http.post(f"/proposals/{waits.json()['proposal']}/approve", headers=SECOND)
        assert (done.status_code, done.json()["dual_control"]) == (200, [])
        assert (await http.post("/proposals/urn:uuid:none/approve", headers=SECOND)).status_code == 404


@pytest.mark.req("WEB-04", "REV-03")
async def test_stopping_the_whole_organisation_takes_two_where_it_says_so_and_a_part_of_it_one(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        await made(http)
        await http.put("/dual-control", json={"dual_control": ["switch"]}, headers=ACME)
        part = {"scope": "sponsor", "target": "Ops", "reason": "odd"}
        assert (await http.post("/kill-switches", json=part, headers=ACME)).status_code == 201
        whole = {"scope": "organisation", "target": "", "reason": "breach"}
        waits = await http.post("/kill-switches", json=whole, headers=ACME)
        assert waits.status_code == 202
        done = await http.post(f"/proposals/{waits.json()['proposal']}/approve", headers=SECOND)
        assert (done.status_code, done.json()["scope"]) == (201, "organisation")
        assert (await http.post("/kill-switches", json=whole, headers=ADMIN)).status_code == 201
