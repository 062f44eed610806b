"""Workloads that enrol with their platform's word alone, and every way in which it is not believed, on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from did_agent.did.key import did_key
from did_agent.keys import ecdsa
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import public_jwk, thumbprint
from did_agent.tokens.profiles import (
    ACCESS_TOKEN,
    CLIENT_ASSERTION,
    CONTINUITY,
    ID_JAG,
    KEY_PROOF,
    SECURITY_EVENT,
    TRUST_LIST,
)  # fmt: skip
from tests.fakes.issuer_world import (
    ADMIN,
    ISSUER_URL,
    granted,
    issuer,
    other_organisation,
    recorded,
    register,
)
from tests.fakes.platform import CLUSTER, SUBJECT, Platform, possession, rule

BLUEPRINT = {"sponsor": "Shop team", "description": "Counts stock"}
STRANGER = ecdsa.SigningKey.generate("P-256")


def key(number: int = 1) -> SigningKey:
    return SigningKey.from_seed(number.to_bytes(32, "big"))


async def ruled(http: httpx2.AsyncClient, name: str = "cluster", **changes: Any) -> dict[str, Any]:
    await http.put("/templates/stock", json=BLUEPRINT, headers=ADMIN)
    put = await http.put(f"/attestation-rules/{name}", json=rule(**changes), headers=ADMIN)
    assert put.status_code == 200, put.text
    return dict(put.json())


async def attest(http: httpx2.AsyncClient, token: str, by: SigningKey, **changes: Any) -> httpx2.Response:
    body = {"attestation": token, "possession": possession(token, by), **changes}
    return await http.post("/attestations", json=body)


async def test_a_workload_enrols_with_no_secret(database_url: str) -> None:
    platform = Platform()
    async with issuer(database_url, platform=platform) as (http, _):
        await ruled(http)
        enrolled = await attest(http, platform.token(), key())
        assert enrolled.status_code == 201, enrolled.text
        agent = enrolled.json()
        assert (agent["name"], agent["state"], agent["template"]) == ("stock-0", "active", "stock")
        assert (agent["tags"], agent["metadata"]) == (["cluster"], {"namespace": "shop"})
        assert agent["did"] == did_key(key().public)
        assert platform.fetched == [f"{CLUSTER}/.well-known/openid-configuration", f"{CLUSTER}/keys"]
    assert "agent.enrol" in [event.action for event in await recorded(database_url)]


SPIFFE = {
    "issuer": "spiffe://shop.example",
    "claims": {"sub": "spiffe://shop.example/ns/*/sa/stock"},
    "agent_name": "stock of {sub}",
    "metadata": {},
}
CI = {
    "issuer": "https://ci.example",
    "claims": {"repository_owner": "acme", "sub": "repo:acme/*:ref:refs/heads/main"},
    "agent_name": "ci {repository}",
    "metadata": {"run": "{run_id}"},
}


async def test_the_platforms_that_people_use_are_understood(database_url: str) -> None:
    spire, ci = Platform(issuer="spiffe://shop.example"), Platform(issuer="https://ci.example", key=STRANGER)
    async with issuer(database_url, platform=ci) as (http, _):
        await ruled(http, "spire", **SPIFFE, jwks=spire.jwks())
        await ruled(http, "ci", **CI)
        svid = spire.token(sub="spiffe://shop.example/ns/eu/sa/stock", aud=ISSUER_URL, jti=None, typ=None)
        assert (await attest(http, svid, key(1))).json()["name"] == "stock of spiffe://shop.example/ns/eu/sa/stock"
        job = ci.token(
            sub="repo:acme/shop:ref:refs/heads/main", repository_owner="acme", repository="acme/shop", run_id="7"
        )
        made = await attest(http, job, key(2))
        assert (made.json()["name"], made.json()["metadata"]) == ("ci acme/shop", {"run": "7"})
        assert spire.fetched == []


@pytest.mark.req("ENR-02", "TOK-07")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": ["https://elsewhere.example"]}, "wrong_audience"),
        ({"aud": [ISSUER_URL + "/"]}, "wrong_audience"),
        ({"aud": [ISSUER_URL, "https://elsewhere.example"]}, "wrong_audience"),
        ({"aud": None}, "bad_jose"),
        ({"iss": CLUSTER + "/"}, "issuer_not_trusted"),
        ({"iss": "https://elsewhere.example"}, "issuer_not_trusted"),
        ({"sub": "system:serviceaccount:shop:other"}, "bad_grant"),
        ({"sub": "system:serviceaccount:shop:stock:more"}, "bad_grant"),
        ({"kubernetes.io": {"namespace": "other", "pod": {"name": "stock-0"}}}, "bad_grant"),
        ({"kubernetes.io": {"namespace": "shop"}}, "bad_grant"),
        ({"exp": 1}, "expired"),
        ({"iat": 4_102_444_800, "exp": 4_102_444_900}, "not_yet_valid"),
        ({"cnf": {"jkt": thumbprint(key(2).public)}}, "wrong_key"),
        ({"key": STRANGER}, "bad_signature"),
    ],
)
async def test_a_token_that_is_not_for_us_lets_nobody_in(tmp_path: Any, changes: dict[str, Any], code: str) -> None:
    platform = Platform()
    async with issuer(tmp_path, platform=platform) as (http, _):
        await ruled(http)
        refused = await attest(http, platform.token(**changes), key())
        assert (refused.status_code in (400, 401), refused.json()["code"]) == (True, code), refused.text
        assert (await attest(http, platform.token(cnf={"jkt": thumbprint(key().public)}), key())).status_code == 201


@pytest.mark.req("TOK-08")
@pytest.mark.parametrize(
    "typ",
    sorted({*(
        typ
        for profile in (ACCESS_TOKEN, CLIENT_ASSERTION, CONTINUITY, ID_JAG, KEY_PROOF, SECURITY_EVENT, TRUST_LIST)
        for typ in profile.types
        if typ not in ("", "jwt")
    ), "vp+jwt", "vc+jwt", "dpop+jwt", "statuslist+jwt"}),
)  # fmt: skip
async def test_no_other_kind_of_token_attests(tmp_path: Any, typ: str) -> None:
    platform = Platform()
    async with issuer(tmp_path, platform=platform) as (http, _):
        await ruled(http)
        refused = await attest(http, platform.token(typ=typ), key())
        assert refused.json()["code"] == "wrong_type", refused.text
        assert (await attest(http, platform.token(typ=None), key())).status_code == 201


@pytest.mark.req("TOK-08")
@pytest.mark.parametrize("claim", ["nonce", "at_hash", "events", "vp"])
async def test_what_only_other_kinds_of_tokens_carry_is_refused(tmp_path: Any, claim: str) -> None:
    platform = Platform()
    async with issuer(tmp_path, platform=platform) as (http, _):
        await ruled(http)
        assert (await attest(http, platform.token(**{claim: "x"}), key())).json()["code"] == "wrong_type"


@pytest.mark.req("ENR-02", "TOK-14")
@pytest.mark.parametrize("numbered", [True, False])
async def test_a_token_is_worth_nothing_to_another_key(database_url: str, numbered: bool) -> None:
    platform = Platform()
    async with issuer(database_url, platform=platform) as (http, _):
        await ruled(http)
        token = platform.token() if numbered else platform.token(jti=None)
        # Another key's proof for this token, and the right key's proof for another one.
        for proof in (possession(platform.token(), key(2)), possession(token, key(2), audience="https://x.example")):
            refused = await http.post("/attestations", json={"attestation": token, "possession": proof})
            assert refused.status_code == 401, refused.text
        assert (await attest(http, token, key(1))).status_code == 201
        stolen = await attest(http, token, key(2))
        assert (stolen.status_code, stolen.json()["code"]) == (401, "replayed"), stolen.text
    assert ("agent.attest", "deny", "replayed") in [
        (event.action, event.decision, event.reason) for event in await recorded(database_url)
    ]


@pytest.mark.req("ENR-02")
async def test_of_many_at_once_with_one_token_one_comes_in(database_url: str) -> None:
    platform = Platform()
    async with issuer(database_url, platform=platform) as (http, _):
        await ruled(http)
        token = platform.token()
        answers = await asyncio.gather(*(attest(http, token, key(number)) for number in range(1, 21)))
        assert [answer.status_code for answer in answers].count(201) == 1
        assert len((await http.get("/agents", headers=ADMIN)).json()["agents"]) == 1


async def test_a_workload_that_restarts_gets_its_new_key_bound(database_url: str) -> None:
    platform = Platform()
    async with issuer(database_url, platform=platform) as (http, _):
        await ruled(http)
        first = (await attest(http, platform.token(), key(1))).json()
        before = await granted(http, first)
        again = await attest(http, platform.token(), key(2))
        assert again.status_code == 201, again.text
        assert (again.json()["agent_id"], again.json()["did"]) == (first["agent_id"], did_key(key(2).public))
        keys = (await http.get(f"/agents/{first['agent_id']}/keys", headers=ADMIN)).json()["keys"]
        assert {(row["did"], row["why"]) for row in keys} == {
            (did_key(key(1).public), "rebound"), (did_key(key(2).public), None),
        }  # fmt: skip
        held = (await http.get("/credentials", params={"agent": first["agent_id"]}, headers=ADMIN)).json()
        states = {row["id"]: (row["state"], row["agent"]) for row in held["credentials"]}
        assert states.pop(before["id"]) == ("revoked", first["did"])
        assert [*states.values()] == [("active", did_key(key(2).public))]


async def test_a_rule_refuses_another_key_or_asks_for_the_owners_word(database_url: str) -> None:
    platform = Platform()
    async with issuer(database_url, platform=platform) as (http, _):
        await ruled(http, rebind="refuse")
        first = (await attest(http, platform.token(), key(1))).json()
        refused = await attest(http, platform.token(), key(2))
        assert (refused.status_code, refused.json()["code"]) == (409, "state_conflict")
        await ruled(http, rebind="approve")
        waits = await attest(http, platform.token(), key(3))
        assert (waits.status_code, waits.json()["did"]) == (202, first["did"])  # the old key acts meanwhile
        newer = (await attest(http, platform.token(), key(4))).json()
        stale = await http.post(
            f"/enrolments/{waits.json()['application']}/approve", json={"reason": "r"}, headers=ADMIN
        )
        assert stale.json()["code"] == "state_conflict"
        done = await http.post(f"/enrolments/{newer['application']}/approve", json={"reason": "r"}, headers=ADMIN)
        assert done.json()["agent"]["did"] == did_key(key(4).public), done.text


@pytest.mark.req("ENR-02")
async def test_another_workload_is_never_taken_for_one_that_has_its_name(database_url: str) -> None:
    platform = Platform()
    async with issuer(database_url, platform=platform) as (http, _):
        await ruled(http, claims={"sub": "system:serviceaccount:shop:*"}, agent_name="shop agent", metadata={})
        first = await attest(http, platform.token(), key(1))
        other = await attest(http, platform.token(sub="system:serviceaccount:shop:till"), key(2))
        assert (first.status_code, other.status_code) == (201, 409)
        await ruled(http)
        await register(http, "stock-0")
        assert (await attest(http, platform.token(), key(3))).json()["code"] == "state_conflict"


async def test_an_agent_that_was_stopped_does_not_come_back_by_a_restart(database_url: str) -> None:
    platform = Platform()
    async with issuer(database_url, platform=platform) as (http, _):
        await ruled(http)
        agent = (await attest(http, platform.token(), key(1))).json()
        for change in ("suspend", "retire"):
            await http.post(f"/agents/{agent['agent_id']}/{change}", json={"reason": "r"}, headers=ADMIN)
            refused = await attest(http, platform.token(), key(2))
            assert (refused.status_code, refused.json()["code"]) == (409, "state_conflict")


async def test_a_rule_that_is_removed_lets_nobody_in(database_url: str) -> None:
    platform = Platform()
    async with issuer(database_url, platform=platform) as (http, _):
        await ruled(http)
        listed = (await http.get("/attestation-rules", headers=ADMIN)).json()["attestation_rules"]
        assert [(row["name"], row["claims"]["sub"]) for row in listed] == [("cluster", SUBJECT)]
        acme = await other_organisation(http)
        assert (await http.get("/attestation-rules", headers=acme)).json()["attestation_rules"] == []
        assert (await http.delete("/attestation-rules/cluster", headers=acme)).status_code == 404
        assert (await attest(http, platform.token(), key(), organisation="acme")).status_code == 401
        assert (await http.delete("/attestation-rules/cluster", headers=ADMIN)).status_code == 200
        assert (await attest(http, platform.token(), key())).json()["code"] == "issuer_not_trusted"


@pytest.mark.parametrize(
    "change",
    [
        {"claims": {"sub": "*"}},
        {"claims": {"sub": "*:*/*"}},
        {"claims": {}},
        {"claims": {"sub": "a*b*c*d*e*f"}},
        {"issuer": "spiffe://shop.example"},
        {"jwks": {"keys": []}},
        {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
        {"jwks": {"keys": [public_jwk(STRANGER.public)]}, "jwks_uri": "https://kubernetes.example/keys"},
        {"template": "Not A Label"},
        {"rebind": "always"},
        {"agent_name": ""},
    ],
)
async def test_a_rule_that_takes_in_too_much_is_refused(tmp_path: Any, change: dict[str, Any]) -> None:
    async with issuer(tmp_path) as (http, _):
        await ruled(http)
        refused = await http.put("/attestation-rules/cluster", json=rule(**change), headers=ADMIN)
        assert refused.status_code in (400, 404), refused.text


async def test_keys_that_cannot_be_had_let_nobody_in(tmp_path: Any) -> None:
    async with issuer(tmp_path) as (http, _):
        await ruled(http)
        assert (await attest(http, Platform().token(), key())).status_code == 503
