"""Organisations of one deployment: each signs with its own key, and what takes two people takes two."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.jwt import unverified_jws
from did_agent.tokens.profiles import TRUST_LIST
from tests.contract.conftest import database_url
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import ADMIN, AGENT_KEY, CAPABILITIES, KEY, READER, answer_to, auth, issuer, recorded

__all__ = ["database_url"]  # every test that names it runs on SQLite and on PostgreSQL

ACME = auth("issuer:admin", organisation="acme", subject="did:key:acme-1", client_id="did:key:acme-1")
SECOND = auth("issuer:admin", organisation="acme", subject="did:key:acme-2", client_id="did:key:acme-2")
GLOBEX = auth("issuer:admin", organisation="globex", subject="did:key:globex", client_id="did:key:globex")
MANAGING = auth("issuer:manage", organisation="acme", subject="did:key:acme-3", client_id="did:key:acme-3")
WHY, WHOLE = {"reason": "because"}, ("organisation", "")
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


@pytest.mark.req("WEB-04", "REV-03")
async def test_letting_the_whole_organisation_go_takes_two_as_well(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        await made(http)
        part, whole = ({"scope": scope, "target": target, **WHY} for scope, target in (("sponsor", "Ops"), WHOLE))
        switches = [(await http.post("/kill-switches", json=one, headers=ACME)).json()["id"] for one in (part, whole)]
        await http.put("/dual-control", json={"dual_control": ["switch"]}, headers=ACME)
        assert (await http.post(f"/kill-switches/{switches[0]}/lift", json=WHY, headers=ACME)).status_code == 200
        path = f"/kill-switches/{switches[1]}/lift"
        assert (await http.post(path, json=WHY, headers=MANAGING)).status_code == 403
        waits = await http.post(path, json=WHY, headers=ACME)
        assert waits.status_code == 202, waits.text
        (still,) = (await http.get("/kill-switches?on=true", headers=ACME)).json()["switches"]
        assert still["id"] == switches[1]
        approve = f"/proposals/{waits.json()['proposal']}/approve"
        assert (await http.post(approve, headers=ACME)).status_code == 403
        assert (await http.post(approve, headers=SECOND)).status_code == 200
        assert (await http.get("/kill-switches?on=true", headers=ACME)).json()["switches"] == []


@pytest.mark.req("WEB-04", "REV-03")
async def test_what_the_deployments_admins_stopped_is_let_go_by_two_where_they_say_so(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        await made(http)
        await http.put("/dual-control", json={"dual_control": ["switch"]}, headers=ADMIN)
        assert (await http.post("/organisations/acme/suspend", json=WHY, headers=ADMIN)).status_code == 200
        waits = await http.post("/organisations/acme/resume", json=WHY, headers=ADMIN)
        assert waits.status_code == 202, waits.text
        (acme,) = (one for one in (await http.get("/organisations", headers=ADMIN)).json()["organisations"]
                   if one["name"] == "acme")  # fmt: skip
        assert acme["state"] == "suspended"
        second = auth("issuer:admin", subject="did:key:second", client_id="did:key:second")
        done = await http.post(f"/proposals/{waits.json()['proposal']}/approve", headers=second)
        assert (done.status_code, done.json()["state"]) == (200, "active")


@pytest.mark.req("WEB-04")
async def test_what_is_named_in_a_path_is_the_same_when_it_is_done(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        await made(http)
        line = (await http.post("/trust", json=LINE, headers=ACME)).json()
        await http.put("/dual-control", json={"dual_control": ["trust"]}, headers=ACME)
        waits = await http.delete(f"/trust/{line['id'].replace(':', '%3A')}", headers=ACME)
        assert waits.status_code == 202
        with_query = await http.delete(f"/trust/{line['id']}?x=1", headers=ACME)
        assert with_query.status_code == 400
        done = await http.post(f"/proposals/{waits.json()['proposal']}/approve", headers=SECOND)
        assert (done.status_code, done.json()["id"]) == (200, line["id"])
        assert (await http.get("/trust", headers=ACME)).json()["trust"] == []


@pytest.mark.req("VCX-05")
async def test_a_neighbour_is_trusted_for_what_it_was_given_and_for_nothing_else(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        acme = await made(http)
        await made(http, "globex")
        given = {"resources": ["https://acme.example/mcp"]}
        path = "/organisations/acme/resources"
        assert (await http.put(path, json=given, headers=ACME)).status_code == 403
        assert (await http.put(path, json={"resources": ["no url"]}, headers=ADMIN)).status_code == 400
        assert (await http.put("/organisations/none/resources", json=given, headers=ADMIN)).status_code == 404
        assert (await http.put(path, json=given, headers=ADMIN)).json()["resources"] == given["resources"]
        await http.put("/dual-control", json={"dual_control": ["trust"]}, headers=ADMIN)
        text = (await http.get("/.well-known/did-agent-trust-list")).text
        claims = unverified_jws(text, max_bytes=TRUST_LIST.max_bytes)[1]
        assert claims["own"] == [did_key(KEY.public)]
        assert isinstance(claims["entries"], list)
        assert [(one["issuer"], one["resources"]) for one in claims["entries"]] == [
            (acme["did"], ["https://acme.example/mcp"])
        ]


@pytest.mark.req("REV-03", "WEB-04")
async def test_a_suspended_organisation_stands_still_until_the_deployment_lets_it_go(database_url: str) -> None:
    moment = [NOW]
    async with issuer(database_url, clock=lambda: moment[0]) as (http, _):
        for name in ("acme", "globex"):
            await made(http, name)
        agents = {}
        for who, by, key in (("acme", ACME, AGENT_KEY), ("globex", GLOBEX, SigningKey.from_seed(b"g" * 32))):
            agent = (await http.post("/agents", json={"name": "one", "sponsor": "Ops"}, headers=by)).json()
            enrolled = await http.post(f"/agents/{agent['agent_id']}/enrolment", json=answer_to(agent, key))
            agents[who] = enrolled.json()
        waiting = (await http.post("/agents", json={"name": "two", "sponsor": "Ops"}, headers=ACME)).json()

        async def change(verb: str, by: dict[str, str] = ADMIN, name: str = "acme") -> Any:
            return await http.post(f"/organisations/{name}/{verb}", json={"reason": "contract"}, headers=by)

        assert (await change("suspend", ACME)).status_code == 403
        assert (await change("suspend", GLOBEX)).status_code == 403
        assert (await change("suspend", name="unknown")).status_code == 404
        assert (await change("resume")).status_code == 409
        done = await change("suspend")
        assert (done.status_code, done.json()["state"]) == (200, "suspended")
        assert (await change("suspend")).status_code == 409
        moment[0] += timedelta(seconds=1)
        refused = await http.get("/agents", headers=ACME)
        assert (refused.status_code, refused.json()["code"]) == (403, "unauthorized_client")
        states = {}
        for who, agent in agents.items():
            states[who] = (await http.get(f"/registry/{agent['did']}", headers=READER)).json()["state"]
        assert states == {"acme": "suspended", "globex": "active"}
        assert (await http.get("/agents", headers=GLOBEX)).status_code == 200
        other = answer_to(waiting, SigningKey.from_seed(b"w" * 32))
        assert (await http.post(f"/agents/{waiting['agent_id']}/enrolment", json=other)).status_code == 409
        listed = (await http.get("/organisations", headers=ADMIN)).json()["organisations"]
        assert {one["name"]: one["state"] for one in listed} == {"acme": "suspended", "globex": "active"}
        assert (await change("resume")).json()["state"] == "active"
        moment[0] += timedelta(seconds=1)
        back = await http.get(f"/agents/{agents['acme']['agent_id']}", headers=ACME)
        assert (back.status_code, back.json()["state"]) == (200, "active")
    events = [(event.action, event.decision) for event in await recorded(database_url)]
    assert {("organisation.suspend", "allow"), ("organisation.resume", "allow")} <= set(events)
    assert events.count(("organisation.suspend", "deny")) == 4
