"""What a review of the issuer found: each a way somebody had to more than was given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from did_agent.keys.ed25519 import SigningKey
from tests.contract.conftest import database_url
from tests.fakes.issuer_world import ADMIN, AGENT_KEY, CAPABILITIES, RESOURCE, auth, granted, issuer, named, onboard
from tests.fakes.wallets import WalletOf
from tests.integration.test_issuer_keys import NEXT, change, proof, rotate

__all__ = ["database_url"]  # every test runs on SQLite and on PostgreSQL

BECAUSE = {"reason": "because"}
ONCE = {"capabilities": [{"resource": [RESOURCE], "tools": {"a": {}}, "limits": {"singleUse": True}}]}
SECOND = auth("issuer:admin", subject="did:key:second", client_id="did:key:second")


@pytest.mark.req("WEB-02")
@pytest.mark.parametrize("scopes", [("issuer:sponsor",), ("issuer:sponsor", "issuer:audit")])
async def test_a_sponsor_who_audits_too_changes_its_own_agents_alone(
    database_url: str, scopes: tuple[str, ...]
) -> None:
    by = auth(*scopes, subject="did:key:sponsor", client_id="did:key:sponsor")
    async with issuer(database_url) as (http, _):
        await named(http, "did:key:sponsor", "Ops")
        foreign = await onboard(http)
        own = (await http.post("/agents", json={"name": "mine", "sponsor": "Ops"}, headers=by)).json()
        for verb in ("suspend", "recovery", "retire"):
            refused = await http.post(f"/agents/{foreign['agent_id']}/{verb}", json=BECAUSE, headers=by)
            assert refused.status_code == 404, (verb, refused.text)
        assert (await http.post(f"/agents/{own['agent_id']}/retire", json=BECAUSE, headers=by)).status_code == 200
        seen = await http.get(f"/agents/{foreign['agent_id']}", headers=by)
        assert seen.status_code == (200 if "issuer:audit" in scopes else 404)  # what it audits it reads


@pytest.mark.req("DEL-05")
async def test_a_budget_does_not_begin_anew_with_another_key(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        agent = await onboard(http)
        kept, once = await granted(http, agent), await granted(http, agent, **ONCE)
        done = await rotate(http, agent, change(agent))
        assert done.status_code == 201, done.text
        accounts = {one["credentialSubject"].get("account") for one in done.json()["credentials"]}
        assert accounts == {None, once["id"]}  # what is not limited is not counted
        states = await states_of(http, agent)
        assert [states[one["id"]] for one in (kept, once, *done.json()["credentials"])] == ["revoked"] * 2 + [
            "active"
        ] * 2


@pytest.mark.req("DEL-05")
@pytest.mark.parametrize("limits", [{"singleUse": True}, None])
async def test_a_role_gives_no_second_budget_to_another_key(database_url: str, limits: dict[str, Any] | None) -> None:
    async with issuer(database_url) as (http, _):
        agent = await onboard(http)
        one = {"resource": [RESOURCE], "tools": {"a": {}}} | ({} if limits is None else {"limits": limits})
        template = {"name": "once", "capabilities": [one], "valid_seconds": 3_600}
        for path, body in (
            ("/capabilities", template),
            ("/roles", {"name": "clerk", "templates": ["once"]}),
            ("/roles/clerk/assign", {"kind": "agent", "target": agent["agent_id"]}),
        ):
            made = await http.post(path, json=body, headers=ADMIN)
            assert made.is_success, (path, made.text)
        assert await collected(http, AGENT_KEY) == 1
        done = await rotate(http, agent, change(agent))
        assert len(done.json()["credentials"]) == 1
        assert await collected(http, NEXT) == 0


@pytest.mark.req("WEB-04")
async def test_a_new_organisation_is_trusted_by_two_people_where_trust_takes_two(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        said = await http.put("/dual-control", json={"dual_control": ["trust"]}, headers=ADMIN)
        assert said.status_code == 200, said.text
        plain = await http.post("/organisations", json={"name": "acme"}, headers=ADMIN)
        assert plain.status_code == 201  # nothing is trusted yet
        trusted = await http.post("/organisations", json={"name": "globex", "resources": [RESOURCE]}, headers=ADMIN)
        assert trusted.status_code == 202, trusted.text
        assert "globex" not in (await http.get("/organisations", headers=ADMIN)).text
        done = await http.post(f"/proposals/{trusted.json()['proposal']}/approve", headers=SECOND)
        assert done.status_code == 201, done.text
        assert done.json()["resources"] == [RESOURCE]


@pytest.mark.req("WEB-04")
async def test_an_agent_does_not_approve_for_a_person_what_it_proposed(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        robot = await onboard(http)
        alone = auth("issuer:admin", subject=robot["did"], client_id=robot["did"])
        through = auth(
            "issuer:admin", subject="person", subject_profile="user", client_id=robot["did"], actors=(robot["did"],)
        )
        await http.put("/dual-control", json={"dual_control": ["control"]}, headers=ADMIN)
        made = (await http.put("/dual-control", json={"dual_control": []}, headers=alone)).json()
        path = f"/proposals/{made['proposal']}/approve"
        refused = await http.post(path, headers=through)
        assert refused.status_code == 403, refused.text
        assert (await http.post(path, headers=SECOND)).status_code == 200


@pytest.mark.req("REV-01")
async def test_no_credential_outlives_its_key_however_many_there_are(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        agent = await onboard(http)
        entry = {"agent": agent["agent_id"], "capabilities": [{"resource": [RESOURCE], "tools": {"a": {}}}]}
        bulk = await http.post("/credentials/bulk", json={"entries": [entry] * 300}, headers=ADMIN)
        assert bulk.status_code == 201, bulk.text
        done = await rotate(http, agent, change(agent))
        assert done.status_code == 201, done.text
        assert done.json()["credentials"]  # what goes over is bounded; all that went before is over
        for one in bulk.json()["credentials"]:
            shown = await http.get(f"/credentials/{one['id']}", headers=ADMIN)
            assert shown.json()["state"] == "revoked", shown.text


@pytest.mark.req("REV-01")
@pytest.mark.parametrize("is_withdrawn", [False, True])
async def test_a_withdrawn_template_ends_the_offers_made_from_it(database_url: str, *, is_withdrawn: bool) -> None:
    async with issuer(database_url) as (http, _):
        agent = await onboard(http)
        template = {"name": "book", "valid_seconds": 3_600, **CAPABILITIES}
        assert (await http.post("/capabilities", json=template, headers=ADMIN)).is_success
        wallet = WalletOf(http)
        body = {"agent": agent["agent_id"], "template": "book"}
        made = await http.post("/offers", json=body, headers=ADMIN)
        assert made.status_code == 201, made.text
        assert (await wallet.redeem(dict(made.json()))).status_code == 200
        if is_withdrawn:
            assert (await http.post("/capabilities/book/withdraw", json=BECAUSE, headers=ADMIN)).is_success
        answer = await wallet.credential()
        assert answer.status_code == (400 if is_withdrawn else 200), answer.text


@pytest.mark.req("REV-03")
async def test_a_sponsor_does_not_leave_a_kill_switch_by_another_name(database_url: str) -> None:
    by = auth("issuer:sponsor", subject="did:key:sponsor", client_id="did:key:sponsor")
    async with issuer(database_url) as (http, _):
        await named(http, "did:key:sponsor", "Ops", "Somebody")
        own = (await http.post("/agents", json={"name": "mine", "sponsor": "Ops"}, headers=by)).json()
        path = f"/agents/{own['agent_id']}/transfer"
        renamed = {"owner": "did:key:sponsor", "sponsor": "Somebody", **BECAUSE}
        assert (await http.post(path, json=renamed, headers=by)).status_code == 403
        await named(http, "did:key:next", "Somebody")
        assert (await http.post(path, json=renamed | {"owner": "did:key:next"}, headers=by)).status_code == 200


async def states_of(http: httpx2.AsyncClient, agent: Mapping[str, Any]) -> dict[str, str]:
    return {one["id"]: one["state"] for one in await listed(http, {"agent": agent["agent_id"]})}


async def listed(http: httpx2.AsyncClient, query: dict[str, str]) -> list[dict[str, Any]]:
    found = await http.get("/credentials", params=query, headers=ADMIN)
    assert found.status_code == 200, found.text
    return list(found.json()["credentials"])


async def collected(http: httpx2.AsyncClient, key: SigningKey) -> int:
    made = await http.post("/credentials/collect", headers=proof(key))
    assert made.status_code == 201, made.text
    return len(made.json()["credentials"])
