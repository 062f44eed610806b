"""The endpoints behind an offer: whose token, whose approval, whose notification, and how much (OpenID4VCI 1.0)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from tests.fakes.issuer_world import ADMIN, AGENT_KEY, auth, issuer, onboard, recorded, register
from tests.fakes.wallets import INVALID_TRANSACTION, ISSUER, REASON, WalletOf, offered, refused

OTHER_KEY = SigningKey.from_seed(b"O" * 32)
APPROVER = auth("issuer:admin", subject="did:key:approver", client_id="did:key:approver")
pytestmark = pytest.mark.req("VCI-01")


# ---- the door of the credential endpoint


@pytest.mark.req("TOK-09")
async def test_a_token_for_a_key_is_shown_with_its_proof_alone(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        wallet = WalletOf(http, dpop=OTHER_KEY)
        assert (await wallet.redeem(await offered(http, agent))).json()["token_type"] == "DPoP"
        bearer = WalletOf(http, token=wallet.token)
        refused(await bearer.credential(), "invalid_token", 401)
        stranger = WalletOf(http, token=wallet.token, dpop=AGENT_KEY)
        answer = await stranger.credential()
        refused(answer, "invalid_token", 401)
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        once = {"Authorization": f"DPoP {wallet.token}", "DPoP": wallet.proof("/credential")}
        body = {"credential_configuration_id": "agent-capability", "proofs": {}}
        refused(await http.post(f"{ISSUER}/credential", json=body, headers=once), "invalid_proof")
        refused(await http.post(f"{ISSUER}/credential", json=body, headers=once), "invalid_dpop_proof", 401)
        assert (await wallet.credential()).status_code == 200


async def test_a_bearer_token_is_not_shown_as_bound(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        wallet = WalletOf(http)
        assert (await wallet.redeem(await offered(http, await onboard(http)))).json()["token_type"] == "Bearer"
        dressed = WalletOf(http, token=wallet.token, dpop=AGENT_KEY)
        refused(await dressed.credential(), "invalid_dpop_proof", 401)
        assert (await wallet.credential()).status_code == 200


async def test_whoever_shows_no_token_is_told_how(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        answer = await http.post(f"{ISSUER}/credential", json={})
        refused(answer, "invalid_token", 401)
        assert answer.headers["www-authenticate"].startswith("DPoP algs=")
        assert "error" not in answer.headers["www-authenticate"]
        for made_up in ("made-up", "a.b.c", "eyJhbGciOiJub25lIn0.e30.AA"):
            refused(await WalletOf(http, token=made_up).credential(), "invalid_token", 401)
        twice = [("Authorization", "Bearer x"), ("Authorization", "Bearer y")]
        refused(await http.post(f"{ISSUER}/credential", json={}, headers=twice), "invalid_request")
        operator = WalletOf(http, token=ADMIN["Authorization"].removeprefix("Bearer "))
        refused(await operator.credential(), "invalid_token", 401)  # its audience is the issuer's API, not this


# ---- a person's token of the bridge


async def test_a_person_takes_what_was_offered_to_them_alone(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        await offered(http, agent, person="smith", configurations=["agent-capability", "agent-identity"])

        def signed_in(person: str, *scopes: str, **changes: Any) -> WalletOf:
            said: dict[str, Any] = {"subject": person, "subject_profile": "user", "client_id": "wallet"}
            said |= {"audience": ISSUER, "entitlements": frozenset(scopes), **changes}
            return WalletOf(http, token=auth(*scopes, **said)["Authorization"].removeprefix("Bearer "))

        scope = "tool:agent-capability"
        refused(await signed_in("jones", scope).credential(), "credential_request_denied")
        refused(await signed_in("smith", "tool:agent-identity").credential(), "insufficient_scope", 403)
        refused(await signed_in("smith", scope, audience="https://issuer.example").credential(), "invalid_token", 401)
        alone = {"subject_profile": "ai_agent", "entitlements": None}
        refused(await signed_in(agent["did"], scope, **alone).credential(), "insufficient_scope", 403)
        stranger = signed_in("smith", scope)
        stranger.key = OTHER_KEY
        refused(await stranger.credential(), "credential_request_denied")
        assert (await signed_in("smith", scope).credential()).status_code == 200
        refused(await signed_in("smith", scope).credential(), "credential_request_denied")
    issued = [event for event in await recorded(tmp_path) if event.action == "credential.issue"]
    assert [(event.principal, event.decision) for event in issued][-2:] == [("smith", "allow"), ("smith", "deny")]


# ---- approvals, notifications, limits


async def test_nothing_is_issued_before_somebody_else_said_yes(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await register(http)
        offer = await offered(http, agent, needs_approval=True)
        wallet = WalletOf(http)
        assert (await wallet.redeem(offer)).status_code == 200
        answer = await wallet.credential()
        assert answer.status_code == 202
        promise = {"transaction_id": answer.json()["transaction_id"]}
        refused(await wallet.credential(), "credential_request_denied")  # one was offered, and one waits
        pending = await wallet.post("/deferred", promise)
        assert (pending.status_code, pending.json()) == (202, answer.json())
        assert (await http.get(f"/agents/{agent['agent_id']}", headers=ADMIN)).json()["state"] == "pending"
        own = await http.post(f"/offers/{offer['id']}/approve", json=REASON, headers=ADMIN)
        assert (own.status_code, own.json()["code"]) == (403, "insufficient_scope")
        other = await http.post(f"/offers/{offer['id']}/approve", json=REASON, headers=APPROVER)
        assert other.json()["verdict"] == "approved"
        refused(
            await WalletOf(http, token=wallet.token).post("/deferred", {"transaction_id": "x"}), INVALID_TRANSACTION
        )
        done = await wallet.post("/deferred", promise)
        assert done.status_code == 200
        assert done.json()["credentials"][0]["credential"]["credentialSubject"]["id"] == did_key(AGENT_KEY.public)
        refused(await wallet.post("/deferred", promise), INVALID_TRANSACTION)


async def test_a_no_ends_what_waits(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        offer = await offered(http, agent, needs_approval=True)
        wallet, other = WalletOf(http), WalletOf(http)
        await wallet.redeem(offer)
        await other.redeem(await offered(http, agent, needs_approval=True))
        promise = {"transaction_id": (await wallet.credential()).json()["transaction_id"]}
        refused(await other.post("/deferred", promise), INVALID_TRANSACTION)  # of another offer's token
        assert (await wallet.post("/deferred", promise)).status_code == 202
        said = await http.post(f"/offers/{offer['id']}/deny", json=REASON, headers=ADMIN)
        assert said.json()["state"] == "denied"
        refused(await wallet.post("/deferred", promise), "credential_request_denied")
        twice = await http.post(f"/offers/{offer['id']}/approve", json=REASON, headers=APPROVER)
        assert twice.status_code == 409


async def test_a_withdrawn_offer_gives_nothing(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        offer, open_one = await offered(http, agent), await offered(http, agent)
        wallet = WalletOf(http)
        await wallet.redeem(offer)
        done = await http.post(f"/offers/{offer['id']}/withdraw", json=REASON, headers=ADMIN)
        assert done.json()["state"] == "withdrawn"
        refused(await wallet.credential(), "invalid_token", 401)
        await http.post(f"/offers/{open_one['id']}/withdraw", json=REASON, headers=ADMIN)
        refused(await WalletOf(http).redeem(open_one), "invalid_grant")
        assert (await http.post(f"/offers/{offer['id']}/withdraw", json=REASON, headers=ADMIN)).status_code == 409


async def test_a_notification_is_taken_for_ones_own_credentials(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        agent = await onboard(http)
        mine, theirs = WalletOf(http), WalletOf(http)
        await mine.redeem(await offered(http, agent))
        await theirs.redeem(await offered(http, agent))
        issued = (await mine.credential()).json()
        said = {"notification_id": issued["notification_id"], "event": "credential_accepted"}
        refused(await theirs.post("/notification", said), "invalid_notification_id")
        refused(await mine.post("/notification", {**said, "notification_id": "x"}), "invalid_notification_id")
        for spoiled in ({"event": "other"}, {"event_description": 1}, {"event_description": "x" * 257}, {"event": []}):
            refused(await mine.post("/notification", {**said, **spoiled}), "invalid_notification_request")
        for _ in range(2):  # the same one again is the same answer (11.1)
            assert (await mine.post("/notification", {**said, "event_description": "kept"})).status_code == 204
    told = [event for event in await recorded(tmp_path) if event.action == "offer.notify" and event.decision == "allow"]
    assert [(event.credential_ids, event.explanation) for event in told] == [
        ((issued["credentials"][0]["credential"]["id"],), "credential_accepted: kept")
    ] * 2


async def test_a_request_is_bounded(tmp_path: Path) -> None:
    async with issuer(tmp_path) as (http, _):
        wallet = WalletOf(http)
        await wallet.redeem(await offered(http, await onboard(http), copies=8))
        nonce = await wallet.nonce()
        refused(await wallet.credential(proofs={"jwt": [wallet.jwt(nonce)] * 9}), "invalid_credential_request")
        refused(await wallet.credential(proofs={"jwt": ["x" * 9_000]}), "invalid_proof")
        huge = await wallet.credential(proofs={"jwt": ["x" * 2_000_000]})
        assert huge.status_code == 413
        deep: Any = []
        for _ in range(200):
            deep = [deep]
        refused(await wallet.credential(extra=deep), "invalid_credential_request")
        refused(await wallet.credential(credential_response_encryption={}), "invalid_encryption_parameters")
        whole = await wallet.credential(proofs={"jwt": [wallet.jwt(nonce)] * 8})
        assert len(whole.json()["credentials"]) == 8
        assert len({one["credential"]["id"] for one in whole.json()["credentials"]}) == 8
