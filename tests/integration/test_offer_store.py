"""Offers over real storage: nothing is lost at a restart, and what counts once counts once, however many ask at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx2
import pytest

from did_agent.credential.sd_jwt_vc import verify_sd_jwt_vc
from did_agent.credential.token_status import TokenStatusReference, check_token_status, verify_status_list_token
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from tests.contract.conftest import database_url
from tests.fakes.guard_world import NOW
from tests.fakes.issuer_world import ADMIN, KEY, auth, issuer, onboard, recorded, register
from tests.fakes.wallets import GRANT, ISSUER, REASON, WalletOf, offered

__all__ = ["database_url"]  # every test here runs on SQLite and on PostgreSQL

APPROVER = auth("issuer:admin", subject="did:key:approver", client_id="did:key:approver")
MANY = 8


async def together(*asked: Any) -> Counter[int]:
    return Counter(answer.status_code for answer in await asyncio.gather(*asked))


async def test_an_offer_and_all_it_opened_outlive_a_restart(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        waiting = await register(http, "waiting")
        everything = {
            "configurations": ["agent-identity", "agent-capability"],
            "copies": 2,
            "on_behalf_of": "did:key:x",
        }
        made = await offered(http, waiting, tx_code=True, needs_approval=True, **everything)
        fresh = await offered(http, await register(http, "fresh"))
        wallet = WalletOf(http)
        assert (await wallet.redeem(made, tx_code=made["tx_code"])).status_code == 200
        promised = (await wallet.credential()).json()["transaction_id"]
        before = (await http.get("/offers", headers=ADMIN)).json()
    async with issuer(database_url) as (http, _):
        assert (await http.get("/offers", headers=ADMIN)).json() == before
        wallet.http = http
        assert (await http.post(f"/offers/{made['id']}/approve", json=REASON, headers=APPROVER)).status_code == 200
        done = await wallet.post("/deferred", {"transaction_id": promised})
        assert done.json()["credentials"][0]["credential"]["credentialSubject"]["onBehalfOf"] == "did:key:x"
        other = WalletOf(http, key=SigningKey.from_seed(b"f" * 32))
        assert (await other.redeem(fresh)).status_code == 200
        assert (await other.credential()).status_code == 200


async def test_a_code_is_redeemed_by_one_of_many(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        made = await offered(http, await onboard(http))
        counted = await together(*(WalletOf(http).redeem(made) for _ in range(MANY)))
        assert counted == {200: 1, 400: MANY - 1}


@pytest.mark.req("VCI-02")
async def test_attempts_at_a_transaction_code_are_counted_together(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        made = await offered(http, await onboard(http), tx_code=True)
        await together(*(WalletOf(http).redeem(made, tx_code=f"{number}") for number in range(MANY)))
        late = await WalletOf(http).redeem(made, tx_code=made["tx_code"])
        assert late.json()["error"] == "invalid_grant"


@pytest.mark.req("VCI-01", "VCI-03")
async def test_no_more_is_issued_than_was_offered_and_no_nonce_counts_twice(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        agent = await onboard(http)
        wallet = WalletOf(http)
        await wallet.redeem(await offered(http, agent, copies=3))
        nonce = await wallet.nonce()
        same = {"jwt": [wallet.jwt(nonce)]}
        counted = await together(*(wallet.credential(proofs=same) for _ in range(MANY)))
        assert (counted[200], counted.total()) == (1, MANY)
        counted = await together(*(wallet.credential() for _ in range(MANY)))
        assert 0 < counted[200] <= 2
        while (await wallet.credential()).status_code == 200:
            counted[200] += 1
        assert counted[200] == 2
        listed = await http.get("/credentials", params={"agent": agent["agent_id"]}, headers=ADMIN)
        assert len(listed.json()["credentials"]) == 3
        shown = (await http.get("/offers", headers=ADMIN)).json()["offers"][0]
        assert (shown["issued"], shown["state"]) == ({"agent-capability": 3}, "taken")
    issued = [event for event in await recorded(database_url) if event.action == "credential.issue"]
    assert len([event for event in issued if event.decision == "allow"]) == 3


async def test_a_pending_agent_is_enrolled_by_one_key_of_many(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        agent = await register(http)
        first = WalletOf(http)
        await first.redeem(await offered(http, agent, copies=8))
        keys = [SigningKey.from_seed(bytes([number]) * 32) for number in range(1, 5)]
        wallets = [WalletOf(http, key=key, token=first.token) for key in keys]
        counted = await together(*(wallet.credential() for wallet in wallets))
        assert counted[200] == 1
        shown = (await http.get(f"/agents/{agent['agent_id']}", headers=ADMIN)).json()
        assert shown["did"] in {did_key(key.public) for key in keys}


@pytest.mark.req("VCX-10")
async def test_the_status_of_an_sd_jwt_follows_its_credential_and_its_agent(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        agent = await onboard(http)
        wallet = WalletOf(http)
        offer = await offered(http, agent, configurations=["agent-capability-sd-jwt"])
        text = await wallet.take(offer, "agent-capability-sd-jwt")
        metadata = (await http.get("/.well-known/openid-credential-issuer/oid4vci")).json()
        vct = metadata["credential_configurations_supported"]["agent-capability-sd-jwt"]["vct"]
        assert (await http.get(vct)).json()["vct"] == vct
        verified = verify_sd_jwt_vc(
            text, expected_vct=frozenset({vct}), key_binding="insecure_without_key_binding", now=NOW
        )
        assert (verified.subject, verified.issuer) == (agent["did"], did_key(KEY.public))
        assert verified.disclosed == {"/capability/0"}
        assert verified.status is not None
        assert await value(http, verified.status) == 0
        await http.post(f"/agents/{agent['agent_id']}/suspend", json=REASON, headers=ADMIN)
        assert await value(http, verified.status) == 2
        await http.post(f"/agents/{agent['agent_id']}/resume", json=REASON, headers=ADMIN)
        assert await value(http, verified.status) == 0
        await http.post(f"/credentials/{verified.claims['jti']}/revoke", json=REASON, headers=ADMIN)
        assert await value(http, verified.status) == 1
        kept = (await http.get(f"/credentials/{verified.claims['jti']}", headers=ADMIN)).json()["credential"]
        assert "proof" not in kept
        assert kept["credentialSubject"]["capability"] == verified.claims["capability"]


async def value(http: httpx2.AsyncClient, reference: TokenStatusReference) -> int:
    answer = await http.get(reference.uri)
    assert answer.headers["content-type"] == "application/statuslist+jwt"
    same = await http.get(reference.uri, headers={"If-None-Match": answer.headers["etag"]})
    assert same.status_code == 304
    listed = verify_status_list_token(
        answer.text, expected_uri=reference.uri, expected_issuer=did_key(KEY.public),
        find_key=lambda _header, _claims: KEY.public, now=NOW, fetched_at=NOW,
    )  # fmt: skip
    return check_token_status(reference, listed, now=NOW).value


async def test_what_the_metadata_says_is_true(database_url: str) -> None:
    async with issuer(database_url) as (http, _):
        metadata = (await http.get("/.well-known/openid-credential-issuer/oid4vci")).json()
        assert metadata["credential_issuer"] == ISSUER
        assert metadata["authorization_servers"][0] == ISSUER
        server = (await http.get("/.well-known/oauth-authorization-server/oid4vci")).json()
        assert (server["issuer"], server["grant_types_supported"]) == (ISSUER, [GRANT])
        keys = (await http.get("/.well-known/jwt-vc-issuer")).json()["jwks"]["keys"]
        assert [key["kid"].partition("#")[0] for key in keys] == [did_key(KEY.public)]
        assert "credential_response_encryption" not in metadata
        agent = await onboard(http)
        names = sorted(metadata["credential_configurations_supported"])
        offer = await offered(http, agent, configurations=names)
        wallet = WalletOf(http)
        await wallet.redeem(offer)
        for name in names:
            described = metadata["credential_configurations_supported"][name]
            (issued,) = (await wallet.credential(name)).json()["credentials"]
            if described["format"] == "ldp_vc":
                assert issued["credential"]["type"] == described["credential_definition"]["type"]
                (suite,) = described["credential_signing_alg_values_supported"]
                assert issued["credential"]["proof"]["cryptosuite"] == suite
            else:
                assert issued["credential"].count("~") >= 2
        assert (await http.get(f"{ISSUER}/types/other")).status_code == 404
