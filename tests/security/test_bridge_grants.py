"""Attacks on client assertions and presentations: replay, wrong audience, strangers, silence."""

from __future__ import annotations

import asyncio
import json

import pytest

from did_agent.clock import numeric_date
from did_agent.did.key import verification_method
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.jwt import sign_jwt
from tests.fakes.bridge_world import (
    ASSERTION,
    RESOURCE,
    World,
    capability,
    claims_of,
    w,
)

__all__ = ["w"]


async def refused(answer: object, status: int, error: str) -> dict[str, str]:
    body = answer.json()  # type: ignore[attr-defined]
    assert (answer.status_code, body.get("error")) == (status, error), body  # type: ignore[attr-defined]
    assert body["code"]
    assert body["request_id"] == answer.headers["x-request-id"]  # type: ignore[attr-defined]
    return dict(body)


# ---- client assertions


@pytest.mark.req("OAU-07", "TOK-14")
async def test_a_client_assertion_counts_once(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    form = {"grant_type": "client_credentials", "resource": RESOURCE, **w.assertion(agent.key)}
    assert (await w.token(form)).status_code == 200
    await refused(await w.token(form), 401, "invalid_client")


@pytest.mark.req("OAU-07")
async def test_a_client_assertion_is_spent_by_a_refusal_too(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    form = {"grant_type": "client_credentials", "resource": RESOURCE, **w.assertion(agent.key)}
    await refused(await w.token({**form, "scope": "tool:delete_order"}), 400, "invalid_scope")
    await refused(await w.token(form), 401, "invalid_client")


@pytest.mark.req("OAU-07", "TOK-06", "TOK-07", "TOK-08")
async def test_only_an_honest_assertion_authenticates(w: World) -> None:
    agent, other = w.agent("stock", "list_menu"), w.agent("other", "list_menu")
    now = numeric_date(w.clock())
    honest = {"iss": agent.did, "sub": agent.did, "aud": w.url, "iat": now, "exp": now + 60, "jti": "j"}
    spoilt: list[tuple[dict[str, object], str, str | None]] = [
        ({"aud": f"{w.url}/token"}, "jwt", None),
        ({"aud": [w.url, "https://other.example"]}, "jwt", None),
        ({"aud": f"{w.url}/"}, "jwt", None),
        ({"exp": now + 301}, "jwt", None),
        ({"iat": now - 400, "exp": now - 100}, "jwt", None),
        ({"iss": other.did}, "jwt", None),
        ({"sub": other.did}, "jwt", None),
        ({}, "at+jwt", None),
        ({}, "vp+jwt", None),
        ({}, "jwt", verification_method(other.did)),
    ]
    for number, (changes, typ, kid) in enumerate(spoilt):
        claims = {**honest, "jti": f"j{number}", **changes}
        form = {
            "client_assertion_type": ASSERTION,
            "client_assertion": sign_jwt(claims, typ=typ, key=agent.key, kid=kid),
        }
        answer = await w.token({"grant_type": "client_credentials", "resource": RESOURCE, **form})
        await refused(answer, 401, "invalid_client")
    form = {"client_assertion_type": ASSERTION, "client_assertion": sign_jwt(honest, typ="JWT", key=agent.key)}
    assert (await w.token({"grant_type": "client_credentials", "resource": RESOURCE, **form})).status_code == 200


@pytest.mark.req("OAU-06")
async def test_two_ways_to_authenticate_in_one_request_are_refused(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    form = {"grant_type": "client_credentials", "resource": RESOURCE}
    both = await w.post("/token", {**form, **w.assertion(agent.key)}, Authorization="Basic YTpi")
    await refused(both, 400, "invalid_request")
    secret = await w.token({**form, **w.assertion(agent.key), "client_secret": "x"})
    await refused(secret, 400, "invalid_request")
    basic = await w.post("/token", form, Authorization="Basic YTpi")
    await refused(basic, 401, "invalid_client")
    assert basic.headers["www-authenticate"].startswith("Basic")


async def test_an_unknown_a_suspended_and_a_retired_client_are_refused_alike(w: World) -> None:
    stranger = SigningKey.generate()
    answers = [await w.client_credentials(stranger, resource=RESOURCE)]
    for state in ("pending", "suspended", "retired"):
        agent = w.agent(state, "list_menu")
        agent.state = state
        answers.append(await w.client_credentials(agent.key, resource=RESOURCE))
    described = {(await refused(answer, 401, "invalid_client"))["error_description"] for answer in answers}
    assert len(described) == 1


# ---- presentations


@pytest.mark.req("VCX-01", "DEL-01")
async def test_a_presentation_counts_once_in_either_form(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    vp = await w.vp(agent)
    assert (await w.exchange(vp)).status_code == 200
    body = await refused(again := await w.exchange(vp), 400, "use_attestation_challenge")
    assert body["error_description"].startswith("vp_challenge: ")
    assert again.headers["oauth-client-attestation-challenge"]
    compact = w.vp_jwt(agent)
    assert (await w.exchange(compact)).status_code == 200
    body = await refused(await w.exchange(compact), 400, "invalid_request")
    assert body["error_description"].startswith("vp_replayed: ")


@pytest.mark.req("VCX-01")
async def test_one_challenge_is_answered_by_one_agent_once(w: World) -> None:
    first, second = w.agent("first", "list_menu"), w.agent("second", "list_menu")
    challenge = await w.challenge()
    assert (await w.exchange(await w.vp(first, challenge=challenge))).status_code == 200
    await refused(await w.exchange(await w.vp(second, challenge=challenge)), 400, "use_attestation_challenge")


@pytest.mark.req("VCX-01")
async def test_fifty_parallel_exchanges_of_one_presentation_give_one_token(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    vp = await w.vp(agent)
    answers = await asyncio.gather(*(w.exchange(vp) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 49


@pytest.mark.req("VCX-01")
async def test_a_challenge_must_be_ours_and_young_and_the_answer_says_how_to_go_on(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    old = await w.vp(agent)
    w.clock.forward(121)
    for vp in (old, await w.vp(agent, challenge="AAAA"), await w.vp(agent, challenge="not ours at all")):
        answer = await w.exchange(vp)
        await refused(answer, 400, "use_attestation_challenge")
        fresh = answer.headers["oauth-client-attestation-challenge"]
        assert (await w.exchange(await w.vp(agent, challenge=fresh))).status_code == 200


@pytest.mark.req("VCX-02", "VCX-03", "VCX-05", "VCX-11", "TOK-07")
async def test_a_presentation_that_is_not_honest_is_a_bad_request(w: World) -> None:
    agent, thief = w.agent("stock", "list_menu"), w.agent("thief", "list_menu")
    vp = json.loads(await w.vp(agent))
    long_ago = w.enrol("old")
    w.grant(long_ago, capability("list_menu"), valid_until=w.clock())
    spoilt = [
        await w.vp(agent, audience="https://other.example"),
        await w.vp(agent, audience=f"{w.url}/token"),
        w.vp_jwt(agent, audience=RESOURCE),
        w.vp_jwt(agent, lifetime=301),
        await w.vp(thief, *agent.held),
        json.dumps({**vp, "holder": thief.did}),
        await w.vp(long_ago),
        json.dumps({name: value for name, value in vp.items() if name != "proof"}),
        "{",
        "AAAA",
    ]
    for text in spoilt:
        body = await refused(await w.exchange(text), 400, "invalid_request")
        assert "DID" not in body["error_description"]
    assert (await w.exchange(json.dumps(vp))).status_code == 200


@pytest.mark.req("VCX-05")
async def test_a_credential_of_a_stranger_gives_nothing(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    honest, w.issuer.key = w.issuer.key, SigningKey.generate()
    forged = w.grant(agent, capability("delete_order"))
    w.issuer.key = honest
    await refused(await w.exchange(await w.vp(agent, forged)), 400, "invalid_request")
    # The register is believed only as far as the credentials in it are signed.
    answer = await w.client_credentials(agent.key, resource=RESOURCE)
    assert answer.json()["scope"] == "tool:list_menu"


@pytest.mark.req("DEL-10", "VCX-10")
async def test_status_lists_and_register_are_asked_every_time(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    w.issuer.bits["revocation"].add(w.count)
    body = await refused(await w.exchange(await w.vp(agent)), 400, "invalid_request")
    assert body["error_description"].startswith("vp_revoked: ")
    w.issuer.bits = {"revocation": set(), "suspension": {w.count}}
    body = await refused(await w.exchange(await w.vp(agent)), 400, "invalid_request")
    assert body["error_description"].startswith("vp_suspended: ")
    w.issuer.bits["suspension"] = set()
    assert (await w.exchange(await w.vp(agent))).status_code == 200
    agent.state = "suspended"
    await refused(await w.exchange(await w.vp(agent)), 400, "invalid_request")


async def test_not_finding_out_means_no(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    w.issuer.is_away = True
    vp = await w.vp(agent)
    answer = await w.exchange(vp)
    await refused(answer, 503, "temporarily_unavailable")
    assert answer.headers["retry-after"]
    # What could not be judged was not consumed.
    w.issuer.is_away = False
    assert (await w.exchange(vp)).status_code == 200


@pytest.mark.req("TOK-07")
async def test_the_bridge_shows_the_register_a_token_for_the_register_alone(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    await w.client_credentials(agent.key, resource=RESOURCE)
    claims = claims_of(w.issuer.tokens_seen[-1].removeprefix("Bearer "))
    assert (claims["aud"], claims["scope"], claims["iss"]) == (w.issuer.url, "registry:read", w.url)
