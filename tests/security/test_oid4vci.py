"""Credential offers: only the offer's agent, only what was offered, only as often, only in time (OpenID4VCI 1.0)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.credential.chain import verify_chain
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import (
    ADMIN,
    AGENT_KEY,
    CAPABILITIES,
    KEY,
    OPERATOR,
    answer_to,
    auth,
    issuer,
    onboard,
    recorded,
    register,
)
from tests.fakes.wallets import GRANT, ISSUER, REASON, Clock, WalletOf, offered, refused

OTHER_KEY = SigningKey.from_seed(b"O" * 32)
pytestmark = pytest.mark.req("VCI-01")


async def test_an_offer_gives_its_agent_what_was_offered_and_no_more(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        wallet = WalletOf(http)
        credential = await wallet.take(await offered(http, agent))
        trusted = TrustedIssuers.of(did_key(KEY.public))
        chain = verify_chain([credential], holder=agent["did"], now=NOW, trusted=trusted, max_depth=0)
        assert [held.to_json()["tools"] for held in chain.capabilities] == [{"a": {}}]
        refused(await wallet.credential(), "credential_request_denied")
        refused(await wallet.credential("agent-identity"), "unknown_credential_configuration")
        refused(await wallet.credential("nonsense"), "unknown_credential_configuration")
        listed = await http.get("/credentials", params={"agent": agent["agent_id"]}, headers=ADMIN)
        assert [one["credential"] for one in listed.json()["credentials"]] == [credential]
    events = [(event.action, event.decision) for event in await recorded(tmp_path)]
    assert events[-6:] == [
        ("offer.create", "allow"),
        ("offer.redeem", "allow"),
        ("credential.issue", "allow"),
        ("credential.issue", "deny"),
        ("credential.issue", "deny"),
        ("credential.issue", "deny"),
    ]


async def test_what_an_offer_gave_is_revoked_like_any_other(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        credential = await WalletOf(http).take(await offered(http, await onboard(http)))
        done = await http.post(f"/credentials/{credential['id']}/revoke", json=REASON, headers=ADMIN)
        assert done.json()["state"] == "revoked"


@pytest.mark.parametrize("state", ["suspend", "retire"])
async def test_an_agent_that_is_not_active_gets_nothing(tmp_path: Path, state: str) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        wallet = WalletOf(http)
        assert (await wallet.redeem(await offered(http, agent))).status_code == 200
        await http.post(f"/agents/{agent['agent_id']}/{state}", json=REASON, headers=ADMIN)
        refused(await wallet.credential(), "credential_request_denied")
        made = await http.post("/offers", json={"agent": agent["agent_id"], **CAPABILITIES}, headers=ADMIN)
        assert made.status_code == 409
        if state == "suspend":
            await http.post(f"/agents/{agent['agent_id']}/resume", json=REASON, headers=ADMIN)
            assert (await wallet.credential()).status_code == 200


async def test_a_pending_agent_is_enrolled_by_the_key_that_takes_its_offer(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await register(http)
        offer = await offered(http, agent, configurations=["agent-identity", "agent-capability"])
        assert offer["enrols"] is True
        wallet = WalletOf(http)
        identity = await wallet.take(offer, "agent-identity")
        assert identity["credentialSubject"]["agentId"] == agent["agent_id"]
        shown = (await http.get(f"/agents/{agent['agent_id']}", headers=ADMIN)).json()
        assert (shown["state"], shown["did"]) == ("active", did_key(AGENT_KEY.public))
        # From now on it is this key's alone, whoever else has the token.
        refused(await WalletOf(http, key=OTHER_KEY, token=wallet.token).credential(), "invalid_proof")
        assert (await wallet.credential()).status_code == 200
    assert [event.action for event in await recorded(tmp_path)].count("agent.enrol") == 1


async def test_an_offer_is_no_way_around_the_recovery_of_a_lost_key(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await register(http)
        old = await offered(http, agent)
        enrolled = await http.post(f"/agents/{agent['agent_id']}/enrolment", json=answer_to(agent))
        assert enrolled.status_code == 201
        lost = await http.post(f"/agents/{agent['agent_id']}/recovery", json=REASON, headers=ADMIN)
        assert lost.is_success, lost.text
        shown = (await http.get(f"/agents/{agent['agent_id']}", headers=ADMIN)).json()
        assert (shown["state"], shown["did"]) == ("pending", None)
        thief = WalletOf(http, key=OTHER_KEY)
        assert (await thief.redeem(old)).status_code == 200
        refused(await thief.credential(), "credential_request_denied")
        made = await http.post("/offers", json={"agent": agent["agent_id"], **CAPABILITIES}, headers=ADMIN)
        assert made.status_code == 409


async def test_the_key_of_another_agent_enrols_nobody(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        await onboard(http, "first", AGENT_KEY)
        agent = await register(http, "second")
        wallet = WalletOf(http)
        assert (await wallet.redeem(await offered(http, agent))).status_code == 200
        refused(await wallet.credential(), "credential_request_denied")
        assert (await http.get(f"/agents/{agent['agent_id']}", headers=ADMIN)).json()["state"] == "pending"
        wallet.key = OTHER_KEY
        assert (await wallet.credential()).status_code == 200


async def test_an_offer_to_an_enrolled_agent_binds_no_other_key(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        wallet = WalletOf(http, key=OTHER_KEY)
        assert (await wallet.redeem(await offered(http, await onboard(http)))).status_code == 200
        refused(await wallet.credential(), "invalid_proof")
        wallet.key = AGENT_KEY
        assert (await wallet.credential()).status_code == 200


# ---- codes


async def test_a_code_is_redeemed_once_and_its_reuse_ends_the_token(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        offer = await offered(http, agent, copies=2)
        wallet, thief = WalletOf(http), WalletOf(http)
        assert (await wallet.redeem(offer)).status_code == 200
        assert (await wallet.credential()).status_code == 200
        refused(await thief.redeem(offer), "invalid_grant")
        refused(await wallet.credential(), "invalid_token", 401)
    denied = [event for event in await recorded(tmp_path) if event.decision == "deny"]
    assert [(event.action, event.reason) for event in denied] == [
        ("offer.redeem", "bad_grant"),
        ("credential.issue", "not_authenticated"),
    ]


async def test_a_code_and_a_token_end_in_time(tmp_path: Path) -> None:
    clock = Clock()
    async with issuer(tmp_path, clock) as (http, _):
        agent = await onboard(http)
        late = await offered(http, agent, offer_seconds=60)
        clock.forward(59)
        headers = auth("issuer:admin", issued_at=clock.now, expires=clock.now + timedelta(seconds=300))
        assert (await http.get(f"/offers/{late['id']}", headers=headers)).json()["state"] == "open"
        wallet = WalletOf(http, now=clock.now)
        assert (await wallet.redeem(late)).json()["expires_in"] == 300
        clock.forward(299)
        wallet.now = clock.now
        assert (await wallet.credential()).status_code == 200
        clock.forward(1)
        refused(await wallet.credential(), "invalid_token", 401)


async def test_a_code_that_is_over_or_unknown_is_worth_nothing(tmp_path: Path) -> None:
    clock = Clock()
    async with issuer(tmp_path, clock) as (http, _):
        agent = await onboard(http)
        offer = await offered(http, agent, offer_seconds=60)
        known = await http.get(httpx2.URL(offer["uri_by_reference"]).params["credential_offer_uri"])
        assert known.json() == offer["credential_offer"]
        clock.forward(60)
        refused(await WalletOf(http).redeem(offer), "invalid_grant")
        refused(await WalletOf(http).redeem(offer, **{"pre-authorized_code": "made up"}), "invalid_grant")
        gone = await http.get(httpx2.URL(offer["uri_by_reference"]).params["credential_offer_uri"])
        assert gone.status_code == 404


@pytest.mark.req("VCI-02")
async def test_a_transaction_code_is_needed_and_cannot_be_tried_for_long(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        offer = await offered(http, agent, tx_code=True)
        asked = offer["credential_offer"]["grants"][GRANT]["tx_code"]
        assert (asked["input_mode"], asked["length"], len(offer["tx_code"])) == ("numeric", 8, 8)
        assert offer["tx_code"] not in offer["uri"]
        wrong = f"{(int(offer['tx_code']) + 1) % 10**8:08}"
        for _ in range(9):
            refused(await WalletOf(http).redeem(offer), "invalid_request")  # costs no attempt
        for _ in range(5):
            refused(await WalletOf(http).redeem(offer, tx_code=wrong), "invalid_grant")
        refused(await WalletOf(http).redeem(offer, tx_code=offer["tx_code"]), "invalid_grant")
        again = await offered(http, agent, tx_code=True)
        for _ in range(4):
            refused(await WalletOf(http).redeem(again, tx_code="x"), "invalid_grant")
        assert (await WalletOf(http).redeem(again, tx_code=again["tx_code"])).status_code == 200
        plain = await offered(http, agent)
        refused(await WalletOf(http).redeem(plain, tx_code="1"), "invalid_request")
        assert (await WalletOf(http).redeem(plain)).status_code == 200
    denied = [event for event in await recorded(tmp_path) if event.decision == "deny"]
    assert len(denied) == 9 + 5 + 1 + 4 + 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"pre-authorized_code": ""}, "invalid_request"),
        ({"client_id": "x" * 257}, "invalid_request"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"authorization_details": "no json"}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type":"other"}]'}, "invalid_authorization_details"),
        (
            {"authorization_details": '[{"type":"openid_credential","credential_configuration_id":"agent-identity"}]'},
            "invalid_authorization_details",
        ),
    ],
)
async def test_a_token_request_is_read_strictly(tmp_path: Path, changes: dict[str, str], error: str) -> None:
    async with issuer(tmp_path) as (http, _):
        offer = await offered(http, await onboard(http))
        refused(await WalletOf(http).redeem(offer, **changes), error)
        assert (await WalletOf(http).redeem(offer, resource=ISSUER, client_id="me")).status_code == 200


async def test_credential_identifiers_bind_the_request(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        offer = await offered(http, await onboard(http))
        wallet = WalletOf(http)
        details = '[{"type":"openid_credential","credential_configuration_id":"agent-capability"}]'
        given = (await wallet.redeem(offer, authorization_details=details)).json()["authorization_details"][0]
        (name,) = given["credential_identifiers"]
        refused(await wallet.credential(), "unknown_credential_configuration")
        other = {"credential_configuration_id": None, "credential_identifier": "other"}
        refused(await wallet.credential(**{**other, "configuration": None}), "unknown_credential_identifier")
        named = {**other, "credential_identifier": name, "configuration": None}
        refused(await wallet.credential(**{**named, "credential_configuration_id": name}), "invalid_credential_request")
        assert (await wallet.credential(**named)).status_code == 200


# ---- making offers


@pytest.mark.parametrize(
    "changes",
    [
        {"configurations": ["agent-identity"]},  # capabilities that nothing would carry
        {"capabilities": []},
        {"configurations": ["agent-capability", "agent-capability"]},
        {"configurations": ["other"]},
        {"copies": 0},
        {"copies": 9},
        {"offer_seconds": 29},
        {"offer_seconds": 86_401},
        {"valid_seconds": 86_401},
        {"max_depth": 9},
        {"person": "smith", "tx_code": True},
        {"unknown": 1},
    ],
)
async def test_an_offer_that_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        body = {"agent": agent["agent_id"], **CAPABILITIES}
        answer = await http.post("/offers", json=body | changes, headers=ADMIN)
        assert answer.status_code == 400, answer.text
        assert (await http.post("/offers", json=body, headers=ADMIN)).status_code == 201


@pytest.mark.req("WEB-01", "WEB-02")
async def test_offers_are_for_operators_of_their_organisation(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        offer = await offered(http, agent)
        for method, path in (("POST", "/offers"), ("GET", "/offers"), ("GET", f"/offers/{offer['id']}")):
            assert (await http.request(method, path, json={})).status_code == 401
            assert (await http.request(method, path, json={}, headers=auth("registry:read"))).status_code == 403
        auditor = auth("issuer:audit")
        assert (await http.get(f"/offers/{offer['id']}", headers=auditor)).json()["made_by"] == OPERATOR
        assert (await http.post(f"/offers/{offer['id']}/withdraw", json=REASON, headers=auditor)).status_code == 403
        assert (await http.get("/offers/x", headers=ADMIN)).status_code == 404
        found = (await http.get("/offers", params={"agent": agent["agent_id"]}, headers=auditor)).json()
        assert [one["id"] for one in found["offers"]] == [offer["id"]]
        text = str(found)
        code = offer["credential_offer"]["grants"][GRANT]["pre-authorized_code"]
        assert code not in text


async def test_offers_are_listed_page_by_page(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        made = {(await offered(http, agent))["id"] for _ in range(5)}
        found: list[str] = []
        query: dict[str, Any] = {"limit": 2}
        while True:
            page = (await http.get("/offers", params=query, headers=ADMIN)).json()
            found += [one["id"] for one in page["offers"]]
            if page["next"] is None:
                break
            query["after"] = page["next"]
        assert (len(found), set(found)) == (5, made)
        assert (await http.get("/offers", params={"after": "x"}, headers=ADMIN)).status_code == 400
