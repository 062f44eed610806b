"""Tokens of other issuers at the guard: what they give, and everything about them that is refused."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from did_agent.clock import numeric_date
from did_agent.encoding import base64url
from did_agent.keys.jwk import public_jwk, thumbprint
from did_agent.policy.caller import Principal
from tests.fakes.foreign_issuer import AuthorizationServer, signing_key
from tests.fakes.forms_world import SCOPES, FormsWorld
from tests.fakes.guard_world import AGENT, AGENT_KEY, BRIDGE, BRIDGE_KEY, NOW, OTHER_KEY, RESOURCE, call, token
from verifier.doors.foreign import ForeignDoor

ISSUER = "https://login.example.com"
KEYS = {"one": signing_key("RSA"), "curve": signing_key("P-256"), "edwards": signing_key("Ed25519")}
METADATA = "https://mcp.example/.well-known/oauth-protected-resource/mcp"


def server() -> AuthorizationServer:
    return AuthorizationServer(issuer=ISSUER, clock=lambda: NOW, keys=KEYS)


def configured(**changes: Any) -> dict[str, Any]:
    jwks = {"keys": [{**public_jwk(key.public), "kid": kid} for kid, key in KEYS.items()]}
    entry = {"issuer": ISSUER, "subject": "user", "scopes": SCOPES, "jwks": jwks, **changes}
    return {name: value for name, value in entry.items() if value is not None}


def world(tmp_path: Path, **changes: Any) -> FormsWorld:
    return FormsWorld(data=tmp_path, issuers=[configured(**changes)])


def honest(**changes: Any) -> str:
    return server().token(**{"aud": RESOURCE, "scope": "menu", **changes})


async def refused(world: FormsWorld, text: str, reason: str, *, scheme: str = "Bearer", headers: Any = None) -> None:
    response = await world.send(text, call("list_menu"), scheme=scheme, headers=headers)
    assert response.status_code == 401
    assert world.events[-1].reason == reason, world.events[-1].explanation
    assert world.received == []


@pytest.mark.parametrize("kid", KEYS)
async def test_a_token_of_each_kind_of_key_counts_and_its_scopes_are_all_its_rights(tmp_path: Path, kid: str) -> None:
    there = world(tmp_path)
    text = honest(kid=kid)
    for _ in range(2):  # the second time it is known
        response = await there.send(text, call("list_menu"))
        assert response.status_code == 200
        assert response.json()["result"] == {"ok": True}
    caller = there.callers[0]
    assert there.callers[1] == caller
    assert caller.principal == Principal(kind="user", id="smith", namespace=ISSUER)
    assert (caller.client_id, caller.actors, caller.scopes) == ("shop", (), {"tool:list_menu"})
    assert caller.entitlements == {"tool:list_menu"}
    assert [dict(held.tools) for held in caller.capabilities] == [{"list_menu": {}}]
    assert there.events[0].details["issuer"] == ISSUER
    assert (there.events[0].principal, there.events[0].token_id) == ("smith", "t1")


async def test_the_bridges_own_tokens_count_beside_and_carry_no_other_issuer(tmp_path: Path) -> None:
    there = world(tmp_path)
    assert (await there.send(token(), call("list_menu"))).status_code == 200
    assert "issuer" not in there.events[-1].details
    assert there.callers[0].principal.id == AGENT


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another resource": ({"aud": "https://other.example/mcp"}, "wrong_audience"),
    "a prefix of ours": ({"aud": RESOURCE + "/"}, "wrong_audience"),
    "us and another": ({"aud": [RESOURCE, "https://other.example"]}, "wrong_audience"),
    "no audience": ({"aud": None}, "bad_jose"),
    "no subject": ({"sub": None}, "bad_jose"),
    "no end": ({"exp": None}, "bad_jose"),
    "no beginning": ({"iat": None}, "bad_jose"),
    "over": ({"exp": numeric_date(NOW) - 31, "iat": numeric_date(NOW) - 300}, "expired"),
    "from the future": ({"iat": numeric_date(NOW) + 31, "exp": numeric_date(NOW) + 300}, "not_yet_valid"),
    "not yet": ({"nbf": numeric_date(NOW) + 31}, "not_yet_valid"),
    "for a day": ({"exp": numeric_date(NOW) + 86_400}, "expired"),
    "time as text": ({"exp": "4000000000"}, "bad_jose"),
    "no client": ({"client_id": None}, "bad_jose"),
    "two clients": ({"azp": "other"}, "bad_jose"),
    "another's key": ({"key": signing_key("P-256", "stranger")}, "wrong_algorithm"),
    "another's key of the same kind": ({"kid": "curve", "key": signing_key("P-256", "stranger")}, "bad_signature"),
    "unknown key": ({"kid": "unknown", "key": KEYS["one"]}, "wrong_key"),
    "no key named of three": ({"kid": None, "key": KEYS["one"]}, "wrong_key"),
    "an ID token": ({"typ": "JWT"}, "wrong_type"),
    "no type": ({"typ": None}, "wrong_type"),
    "a presentation": ({"typ": "vp+jwt"}, "wrong_type"),
    "a proof": ({"typ": "dpop+jwt"}, "wrong_type"),
    "a DID for a subject": ({"sub": AGENT}, "bad_jose"),
    "a DID for a client": ({"client_id": AGENT}, "bad_jose"),
    "a DID for an actor": ({"act": {"sub": AGENT}}, "bad_jose"),
    "an actor of another issuer": ({"act": {"sub": "helper", "iss": BRIDGE}}, "bad_jose"),
    "an actor with more": ({"act": {"sub": "helper", "exp": 1}}, "bad_jose"),
    "an actor without a name": ({"act": {"iss": ISSUER}}, "bad_jose"),
    "itself as actor": ({"act": {"sub": "smith"}}, "bad_jose"),
    "an actor twice": ({"act": {"sub": "a", "act": {"sub": "b", "act": {"sub": "a"}}}}, "bad_jose"),
    "five actors": (
        {"act": {"sub": "1", "act": {"sub": "2", "act": {"sub": "3", "act": {"sub": "4", "act": {"sub": "5"}}}}}},
        "depth_exceeded",
    ),
    "unknown details": ({"authorization_details": [{"type": "payment"}]}, "bad_jose"),
    "unknown confirmation": ({"cnf": {"kid": "x"}}, "bad_jose"),
    "scopes of another kind": ({"scope": {"menu": True}}, "bad_jose"),
    "details of another kind": ({"authorization_details": {"type": "x"}}, "bad_jose"),
    "a number for a name": ({"jti": 7}, "bad_jose"),
    "a long name": ({"jti": "x" * 257}, "bad_jose"),
    "a number for a profile": ({"sub_profile": 7}, "bad_jose"),
}


@pytest.mark.req("TOK-01", "TOK-06", "TOK-07", "TOK-08", "DEL-08", "DEL-11")
@pytest.mark.parametrize("name", WRONG)
async def test_what_is_not_believed_is_refused_for_its_reason(tmp_path: Path, name: str) -> None:
    changes, reason = WRONG[name]
    there = world(tmp_path)
    await refused(there, honest(**changes), reason)
    assert (await there.send(honest(), call("list_menu"))).status_code == 200


@pytest.mark.req("TOK-07")
async def test_an_issuer_that_is_not_configured_is_nobody(tmp_path: Path) -> None:
    there = world(tmp_path)
    for issuer in (ISSUER + "/", "https://evil.example", BRIDGE):
        text = honest(iss=issuer)
        assert (await there.send(text, call("list_menu"))).status_code == 401
    # The bridge's key signs nothing for another issuer, and its tokens are not read by another's rules.
    text = server().token(aud=RESOURCE, scope="everything", key=BRIDGE_KEY, kid=thumbprint(BRIDGE_KEY.public))
    await refused(there, text, "wrong_key")


@pytest.mark.req("TOK-01")
async def test_an_issuer_signs_with_the_algorithms_it_was_configured_with(tmp_path: Path) -> None:
    there = world(tmp_path, algorithms=["ES256"])
    await refused(there, honest(), "wrong_algorithm")
    assert (await there.send(honest(kid="curve"), call("list_menu"))).status_code == 200


@pytest.mark.req("TOK-08")
async def test_plain_jwts_count_where_the_operator_says_so_and_id_tokens_do_not_even_there(tmp_path: Path) -> None:
    there = world(tmp_path, types=["at+jwt", "JWT"])
    for mark in ("nonce", "at_hash", "events"):
        await refused(there, honest(typ="JWT", **{mark: "x"}), "wrong_type")
    await refused(there, honest(typ="JWT", scope=None), "wrong_type")
    assert (await there.send(honest(typ="JWT"), call("list_menu"))).status_code == 200
    assert (await there.send(honest(typ="application/at+jwt"), call("list_menu"))).status_code == 200


@pytest.mark.req("OAU-14", "DEL-04")
async def test_what_the_scopes_do_not_give_is_challenged_for_in_the_issuers_own_words(tmp_path: Path) -> None:
    there = world(tmp_path)
    text = honest(scope="menu stock unknown")

    async def asked(tool: str, **arguments: Any) -> Any:
        response = await there.send(text, call(tool, **arguments))
        return response.status_code, response.headers.get("www-authenticate")

    def challenge(scope: str) -> str:
        return f'Bearer error="insufficient_scope", scope="{scope}", resource_metadata="{METADATA}"'

    assert await asked("list_menu") == (200, None)
    assert await asked("update_stock", quantity=3) == (403, challenge("stock write"))
    assert await asked("update_stock", quantity=30) == (403, challenge("everything"))
    assert await asked("delete_order") == (403, challenge("everything"))
    assert await asked("unheard_of") == (200, None)  # an error the model can read: no scope would help
    assert len(there.received) == 1
    full = honest(scope="menu stock write", jti="t2")
    assert (await there.send(full, call("update_stock", quantity=3))).status_code == 200
    assert (await there.send(full, call("update_stock", quantity=30))).status_code == 403


async def test_the_list_of_tools_shows_what_the_scopes_give(tmp_path: Path) -> None:
    there = world(tmp_path)
    response = await there.send(honest(), {"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert [tool["name"] for tool in response.json()["result"]["tools"]] == ["list_menu"]


@pytest.mark.req("TOK-09", "TOK-10")
async def test_a_bound_token_counts_beside_fresh_proofs_of_its_key_alone(tmp_path: Path) -> None:
    there = world(tmp_path)
    text = honest(cnf={"jkt": thumbprint(AGENT_KEY.public)})
    await refused(there, text, "sender_not_proven")
    await refused(there, text, "sender_not_proven", headers=[there.proof(text)])  # beside Bearer it counts for nothing
    await refused(there, text, "sender_not_proven", scheme="DPoP", headers=[there.proof(text, key=OTHER_KEY)])
    await refused(there, text, "invalid_dpop_proof", scheme="DPoP", headers=[there.proof("another token")])
    await refused(there, honest(), "invalid_dpop_proof", scheme="DPoP", headers=[there.proof(honest())])
    proof = there.proof(text)
    assert (await there.send(text, call("list_menu"), scheme="DPoP", headers=[proof])).status_code == 200
    again = await there.send(text, call("list_menu"), scheme="DPoP", headers=[proof])
    assert (again.status_code, there.events[-1].reason) == (401, "invalid_dpop_proof")
    assert (await there.send(text, call("list_menu"), scheme="DPoP", headers=[there.proof(text)])).status_code == 200
    bearer = await there.send(text, call("list_menu"))  # known by now, and bound all the same
    assert (bearer.status_code, there.events[-1].reason) == (401, "sender_not_proven")


@pytest.mark.req("TOK-09")
async def test_a_token_bound_to_a_certificate_counts_on_its_connection_alone(tmp_path: Path) -> None:
    there = world(tmp_path, require_bound=True)
    digest = base64url.encode(hashlib.sha256(b"its certificate").digest())
    text = honest(cnf={"x5t#S256": digest})
    await refused(there, text, "sender_not_proven")
    other = await there.send(text, call("list_menu"), guard=there.with_certificate(b"another"))
    assert (other.status_code, there.events[-1].reason) == (401, "sender_not_proven")
    own = await there.send(text, call("list_menu"), guard=there.with_certificate(b"its certificate"))
    assert own.status_code == 200


@pytest.mark.req("TOK-09")
async def test_an_issuer_can_be_held_to_bound_tokens(tmp_path: Path) -> None:
    there = world(tmp_path, require_bound=True)
    await refused(there, honest(), "sender_not_proven")
    text = honest(cnf={"jkt": thumbprint(AGENT_KEY.public)})
    assert (await there.send(text, call("list_menu"), scheme="DPoP", headers=[there.proof(text)])).status_code == 200


async def test_actors_are_a_chain_and_their_depth_is_the_operators(tmp_path: Path) -> None:
    there = world(tmp_path, max_actors=2)
    text = honest(act={"sub": "helper", "iss": ISSUER, "act": {"sub": "planner"}})
    assert (await there.send(text, call("list_menu"))).status_code == 200
    assert there.callers[0].actors == ("helper", "planner")
    assert there.callers[0].principal.id == "smith"
    there.ended.add("planner")
    assert (await there.send(text, call("list_menu"))).status_code == 401
    assert there.events[-1].reason == "revoked"


async def test_where_delegations_must_be_evidenced_the_word_of_another_issuer_is_not_enough(tmp_path: Path) -> None:
    there = FormsWorld(data=tmp_path, issuers=[configured()], settings={"strict_delegation": "agents"})
    await refused(there, honest(act={"sub": "helper"}), "delegation_not_evidenced")
    assert (await there.send(honest(), call("list_menu"))).status_code == 200


@pytest.mark.req("DEL-11")
async def test_agents_and_services_are_no_users_and_dids_count_where_the_operator_says_so(tmp_path: Path) -> None:
    service = world(tmp_path, subject="service")
    assert (await service.send(honest(client_id=None), call("list_menu"))).status_code == 200
    assert service.callers[0].principal == Principal(kind="service", id="smith", namespace=ISSUER)
    assert (service.callers[0].entitlements, service.callers[0].client_id) == (None, "smith")

    bridge = world(tmp_path, subject="sub_profile", dids=True)
    text = honest(sub=AGENT, client_id=AGENT, sub_profile="ai_agent")
    assert (await bridge.send(text, call("list_menu"))).status_code == 200
    assert bridge.callers[0].principal == Principal(kind="agent", id=AGENT, namespace="did")
    bridge.ended.add(AGENT)
    assert (await bridge.send(text, call("list_menu"))).status_code == 401
    odd = await bridge.send(honest(sub_profile="robot"), call("list_menu"))
    assert (odd.status_code, bridge.events[-1].reason) == (401, "bad_jose")


@pytest.mark.req("DEL-05")
async def test_details_narrow_what_the_scopes_give_and_never_add_to_it(tmp_path: Path) -> None:
    there = world(tmp_path)

    def detail(**tools: Any) -> list[dict[str, Any]]:
        return [{"type": "attenuating_agent_token", "locations": [RESOURCE], "tools": tools}]

    exact = {"quantity": {"constraint_type": "exact", "value": 3}}
    text = honest(scope="stock write", authorization_details=detail(update_stock=exact, delete_order={}))
    assert (await there.send(text, call("update_stock", quantity=3))).status_code == 200
    assert {tool for held in there.callers[0].capabilities for tool in held.tools} == {"update_stock"}
    assert (await there.send(text, call("update_stock", quantity=4))).status_code == 403
    assert (await there.send(text, call("delete_order"))).status_code == 403
    assert len(there.received) == 1
    wider = honest(scope="stock write", authorization_details=detail(update_stock={}), jti="t2")
    assert (await there.send(wider, call("update_stock", quantity=3))).status_code == 403
    elsewhere = [{**detail(update_stock=exact)[0], "locations": ["https://other.example"]}]
    assert (await there.send(honest(authorization_details=elsewhere), call("list_menu"))).status_code == 401


async def test_a_known_token_ends_when_it_ends_and_when_it_is_revoked(tmp_path: Path) -> None:
    there = world(tmp_path)
    text = honest()
    assert (await there.send(text, call("list_menu"))).status_code == 200
    there.ended.add("t1")
    assert (await there.send(text, call("list_menu"))).status_code == 401
    there.ended.clear()
    there.now = NOW + timedelta(seconds=329)
    assert (await there.send(text, call("list_menu"))).status_code == 200
    there.now = NOW + timedelta(seconds=330)
    assert (await there.send(text, call("list_menu"))).status_code == 401
    assert there.events[-1].reason == "expired"


@pytest.mark.req("KEY-03")
async def test_a_known_token_ends_with_the_key_that_signed_it(tmp_path: Path) -> None:
    there = world(tmp_path)
    door = next(door for door in there.guard()._parts.verifier.doors if isinstance(door, ForeignDoor))
    source = door.issuers[ISSUER]
    keys: Any = source.keys
    assert (await there.send(honest(kid="curve"), call("list_menu"))).status_code == 200
    keys._keys["curve"] = signing_key("P-256", "the next").public
    assert (await there.send(honest(kid="curve"), call("list_menu"))).status_code == 401
    text = honest(kid="edwards")
    assert (await there.send(text, call("list_menu"))).status_code == 200
    keys._keys["edwards"] = signing_key("Ed25519", "the next").public
    assert (await there.send(text, call("list_menu"))).status_code == 401
    assert there.events[-1].reason == "wrong_key"


async def test_a_token_whose_claims_cannot_be_read_is_of_no_issuer(tmp_path: Path) -> None:
    there = world(tmp_path)
    head, _, tail = honest().split(".")
    for claims in (b"[]", b'{"iss":1}', b'{"iss":"' + ISSUER.encode() + b'","iss":"x"}'):
        await refused(there, f"{head}.{base64url.encode(claims)}.{tail}", "wrong_key")  # the bridge has no such key


async def test_other_audiences_are_accepted_where_the_operator_says_so(tmp_path: Path) -> None:
    there = world(tmp_path, several_audiences=True)
    both = honest(aud=["https://login.example.com/userinfo", RESOURCE])
    assert (await there.send(both, call("list_menu"))).status_code == 200
    others = honest(aud=["https://a.example", "https://b.example"])
    assert (await there.send(others, call("list_menu"))).status_code == 401


async def test_scopes_may_have_another_name_and_be_a_list(tmp_path: Path) -> None:
    there = world(tmp_path, scope_claim="scp")
    assert (await there.send(honest(scp=["menu"], scope=None), call("list_menu"))).status_code == 200
    assert (await there.send(honest(scope="menu", jti="t2"), call("list_menu"))).status_code == 403


async def test_the_metadata_names_every_issuer(tmp_path: Path) -> None:
    there = world(tmp_path)
    document = (await there.send(None, method="GET", path="/.well-known/oauth-protected-resource/mcp")).json()
    assert document["authorization_servers"] == [BRIDGE, ISSUER]
