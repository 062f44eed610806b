"""Publishing policies at a real bridge: approval, saved decisions, history, rollback, and the signed bundle."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from did_agent.did.key import did_key
from did_agent.errors import BadSignature, Expired, Replayed, WrongAudience, WrongType
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import parse_public_jwk
from did_agent.policy.document import PolicyDocument, parse_policy
from did_agent.tokens.access_token import verify_access_token
from did_agent.tokens.client_assertion import make_client_assertion
from did_agent.tokens.policy_bundle import verify_bundle
from tests.fakes.bridge_clients import basic, register
from tests.fakes.bridge_policy import PERMIT, approve, at, last_event, publish, put_policy, staff
from tests.fakes.bridge_world import RESOURCE, World, w

__all__ = ["w"]


def conflict(answer: httpx2.Response, words: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (409, "state_conflict"), answer.text
    assert words in answer.json()["detail"]


async def get(w: World, path: str) -> Any:
    answer = await w.http.get(path, headers=await w.admin_headers())
    assert answer.status_code == 200, answer.text
    return answer.json()


# ---- publishing


async def test_before_the_first_publication_there_is_an_empty_policy(w: World) -> None:
    found = await get(w, "/policy")
    assert (found["version"], found["policy"]["roles"], found["policy"]["rules"]) == (0, {}, "")
    assert (await get(w, "/policy/versions")) == {"versions": []}


@pytest.mark.req("POL-04", "AUD-01")
async def test_each_publication_is_a_version_with_its_digest_and_its_record(w: World) -> None:
    policy = {"roles": staff("list_menu"), "rules": PERMIT}
    first = await publish(w, policy, note="the beginning")
    assert (first["version"], first["note"], first["by"]) == (1, "the beginning", did_key(w.operator.public))
    assert first["digest"] == parse_policy(policy).digest
    second = await publish(w, {"roles": staff("create_order")})
    assert [one["version"] for one in (await get(w, "/policy/versions"))["versions"]] == [2, 1]
    assert (await get(w, "/policy"))["digest"] == second["digest"]
    assert (await get(w, "/policy/versions/1"))["policy"]["roles"]["waiter"]["tools"] == {RESOURCE: ["list_menu"]}
    event = await last_event(w, "policy.publish")
    assert (event["target"], event["details"]["version"]) == (second["digest"], "2")
    assert event["principal"] == did_key(w.operator.public)


@pytest.mark.req("POL-01")
async def test_what_is_not_sound_is_not_published(w: World) -> None:
    unsound: list[tuple[dict[str, Any], str]] = [
        ({"roles": staff("fly")}, "unknown tool fly"),
        ({"resources": {"https://nowhere.example": {}}}, "no such resource"),
        ({"rules": "permit("}, "rules"),
        ({"rules": 'permit(principal, action == Action::"fly", resource);'}, "unrecognized action"),
        ({"rules": PERMIT + "forbid(principal, action, resource) when { context.risk > 1 };"}, "risk"),
        ({"rights": {}}, "unknown members"),
    ]
    for policy, words in unsound:
        answer = await put_policy(w, policy)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_policy"), answer.text
        assert words in answer.text
    assert (await get(w, "/policy"))["version"] == 0
    await publish(w, {"roles": staff("list_menu"), "rules": PERMIT})


@pytest.mark.req("WEB-04")
async def test_policy_is_for_operators_alone(w: World) -> None:
    await publish(w, {})
    agent = w.agent("orders", "list_menu")
    token = (await w.client_credentials(agent.key, resource=RESOURCE)).json()["access_token"]
    body = {"policy": {}}
    for headers in ({}, {"Authorization": f"Bearer {token}"}):
        for method, path in (
            ("GET", "/policy"),
            ("PUT", "/policy"),
            ("GET", "/policy/versions"),
            ("GET", "/policy/versions/1"),
            ("POST", "/policy/approvals"),
            ("POST", "/policy/rollback"),
            ("PUT", "/user-groups"),
            ("GET", "/policy/bundle"),
        ):
            answer = await w.http.request(method, path, json=body, headers=headers)
            assert answer.status_code in (401, 403), f"{method} {path}: {answer.status_code}"
    assert (await w.http.get("/policy/versions/x", headers=await w.admin_headers())).status_code == 400
    assert (await w.http.get("/policy/versions/7", headers=await w.admin_headers())).status_code == 404


async def test_of_two_who_publish_at_once_one_succeeds_and_numbers_have_no_gap(w: World) -> None:
    follows = [
        put_policy(w, {"roles": staff(tool)}, follows=0) for tool in ("list_menu", "create_order", "delete_order")
    ]
    answers = await asyncio.gather(*follows)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    await publish(w, {}, follows=1)
    conflict(await put_policy(w, {}, follows=1), "policy 2 is in force")
    assert [one["version"] for one in (await get(w, "/policy/versions"))["versions"]] == [2, 1]


def saved(name: str, decision: str, tool: str) -> dict[str, Any]:
    facts = {"resource": RESOURCE, "user": "ann", "groups": ["staff"], "agent": "did:key:zA", "agent_tools": [tool]}
    return {"name": name, "facts": facts, "expect": decision}


@pytest.mark.req("POL-05")
async def test_saved_decisions_must_hold_and_change_only_when_acknowledged(w: World) -> None:
    cases = [saved("staff reads", "allow", "list_menu"), saved("staff never deletes", "deny", "delete_order")]
    conflict(await put_policy(w, {}, cases=cases), "staff reads")
    refused = await last_event(w, "policy.publish")
    assert (refused["decision"], refused["reason"]) == ("deny", "state_conflict")
    assert "staff reads: expected allow, found deny" in refused["explanation"]
    await publish(w, {"roles": staff("list_menu")}, cases=cases)
    wider = {"roles": staff("list_menu", "delete_order")}
    conflict(await put_policy(w, wider), "staff never deletes")
    # Not even by leaving the saved decisions out, or by writing others.
    conflict(await put_policy(w, wider, cases=[]), "staff never deletes")
    conflict(await put_policy(w, wider, cases=[saved("staff never deletes", "allow", "delete_order")]), "never")
    await publish(w, wider, acknowledge=True)
    kept = (await get(w, "/policy"))["cases"]
    assert [case["name"] for case in kept] == ["staff reads"]
    await publish(w, wider)


# ---- union


@pytest.mark.req("WEB-04", "DEL-04")
async def test_a_union_takes_two_different_operators(w: World) -> None:
    policy = at("union")
    conflict(await put_policy(w, policy), "needs the approval")
    first = await approve(w, policy)
    again = await approve(w, policy)
    assert first == again == {"digest": parse_policy(policy).digest, "approvers": [did_key(w.operator.public)]}
    conflict(await put_policy(w, policy), "1 approved")
    both = await approve(w, policy, w.colleague)
    assert sorted(both["approvers"]) == sorted(did_key(key.public) for key in (w.operator, w.colleague))
    # What was approved is this policy, and no other with a union in it.
    conflict(await put_policy(w, at("union", rules=PERMIT)), "0 approved")
    published = await publish(w, policy)
    assert len(published["approvers"]) == 2
    event = await last_event(w, "policy.publish")
    assert len(event["details"]["approvers"].split()) == 2
    approvals = [one for one in await w.events() if one["action"] == "policy.approve"]
    assert {one["principal"] for one in approvals} == set(both["approvers"])


# ---- rollback


@pytest.mark.req("POL-04")
async def test_a_rollback_is_a_new_version_of_the_old_policy(w: World) -> None:
    first = await publish(w, {"roles": staff("list_menu")})
    await publish(w, {"roles": staff("create_order")})
    headers = await w.admin_headers()
    answer = await w.http.post("/policy/rollback", json={"version": 1, "note": "too much"}, headers=headers)
    assert answer.status_code == 200, answer.text
    back = answer.json()
    assert (back["version"], back["restores"], back["digest"]) == (3, 1, first["digest"])
    assert (await get(w, "/policy"))["policy"]["roles"]["waiter"]["tools"] == {RESOURCE: ["list_menu"]}
    event = await last_event(w, "policy.rollback")
    assert (event["details"]["restores"], event["details"]["note"]) == ("1", "too much")
    for number in (3, 9):
        answer = await w.http.post("/policy/rollback", json={"version": number}, headers=headers)
        assert answer.status_code == 404


# ---- the bundle


async def key_of(w: World) -> Any:
    (jwk,) = (await w.http.get("/.well-known/jwks.json")).json()["keys"]
    public = parse_public_jwk({name: jwk[name] for name in ("kty", "crv", "x")})
    return lambda _header, _claims: public


async def fetch(w: World, **headers: str) -> httpx2.Response:
    return await w.http.get("/policy/bundle", headers={**await w.admin_headers(), **headers})


async def test_that_nothing_was_published_is_no_secret(w: World) -> None:
    answer = await w.http.get("/policy/bundle")
    assert answer.status_code == 200
    found = verify_bundle(answer.text, find_key=await key_of(w), expected_issuer=w.url, known_version=0, now=w.clock())
    assert (found.version, parse_policy(found.policy)) == (0, PolicyDocument())
    await publish(w, {})
    assert (await w.http.get("/policy/bundle")).status_code == 401


async def test_a_bundle_carries_the_policy_under_the_bridges_signature(w: World) -> None:
    policy = {"roles": staff("list_menu"), "rules": PERMIT}
    published = await publish(w, policy)
    answer = await fetch(w)
    assert answer.headers["content-type"] == "application/policy-bundle+jwt"
    found = verify_bundle(answer.text, find_key=await key_of(w), expected_issuer=w.url, known_version=0, now=w.clock())
    assert (found.version, found.digest) == (1, published["digest"])
    assert parse_policy(found.policy).digest == published["digest"]
    same = await fetch(w, **{"If-None-Match": answer.headers["etag"]})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", answer.headers["etag"])
    await publish(w, {})
    newer = await fetch(w, **{"If-None-Match": answer.headers["etag"]})
    assert newer.status_code == 200
    assert newer.headers["etag"] != answer.headers["etag"]


@pytest.mark.req("FCL", "TOK-08")
async def test_a_bundle_ends_is_never_taken_for_something_else_and_never_goes_back(w: World) -> None:
    find_key = await key_of(w)
    await publish(w, {})
    old = (await fetch(w)).text
    await publish(w, {"rules": PERMIT})
    new = (await fetch(w)).text

    def verify(text: str, **changes: Any) -> int:
        options = {"find_key": find_key, "expected_issuer": w.url, "known_version": 0, "now": w.clock(), **changes}
        return verify_bundle(text, **options).version

    assert (verify(old), verify(new), verify(new, known_version=2)) == (1, 2, 2)
    with pytest.raises(Replayed):
        verify(old, known_version=2)
    stranger = SigningKey.generate().public
    with pytest.raises(BadSignature):
        verify(new, find_key=lambda _header, _claims: stranger)
    with pytest.raises((WrongAudience, WrongType)):
        verify_access_token(
            new, find_key=find_key, expected_issuer=w.url, expected_audience=w.url, proven=frozenset(), now=w.clock()
        )
    w.clock.forward(3_700)
    with pytest.raises(Expired):
        verify(new)
    assert verify((await fetch(w)).text) == 2  # fetched again, it is good for another hour


async def test_verifiers_and_resource_servers_fetch_the_bundle_by_their_own_proof(w: World) -> None:
    await publish(w, {})
    server = basic("tools", await register(w, "tools", redirect_uris=[], resources=[RESOURCE]))
    assert (await w.http.get("/policy/bundle", headers=server)).status_code == 200
    assertion = make_client_assertion(w.colleague, audience=w.url, now=w.clock())
    first = await w.http.get("/policy/bundle", headers={"Authorization": f"Bearer {assertion}"})
    assert first.status_code == 200
    replayed = await w.http.get("/policy/bundle", headers={"Authorization": f"Bearer {assertion}"})
    assert (replayed.status_code, replayed.json()["code"]) == (401, "client_not_authenticated")
    agent = w.agent("orders", "list_menu")
    assertion = make_client_assertion(agent.key, audience=w.url, now=w.clock())
    answer = await w.http.get("/policy/bundle", headers={"Authorization": f"Bearer {assertion}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    other = basic("notebook", await register(w, "notebook", redirect_uris=["https://n.example/cb"]))
    assert (await w.http.get("/policy/bundle", headers=other)).status_code == 403
    assert (await w.http.get("/policy/bundle", headers={"Authorization": "Bearer x"})).status_code == 401
