"""`jwt-bearer` at a real bridge: presentations, ID-JAGs of an identity provider, and workload tokens of platforms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from did_agent.adapters.party import listen, serving
from did_agent.clock import numeric_date
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import public_jwk
from did_agent.proof.jwt import sign_jwt
from tests.fakes.bridge_world import RESOURCE, Actor, World, claims_of, w

__all__ = ["w"]

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
KUBERNETES = "system:serviceaccount:shop:orders"


@dataclass(slots=True)
class Provider:
    """An issuer of JWTs outside the deployment, with its JWKS on loopback."""

    url: str
    world: World
    key: SigningKey = field(default_factory=SigningKey.generate)
    fetches: int = 0

    async def jwks(self, _request: Request) -> Response:
        self.fetches += 1
        return JSONResponse({"keys": [public_jwk(self.key.public, kid="k1")]})

    async def discovery(self, _request: Request) -> Response:
        return JSONResponse({"issuer": self.url, "jwks_uri": f"{self.url}/jwks"})

    def sign(self, typ: str, *, key: SigningKey | None = None, kid: str | None = "k1", **changes: Any) -> str:
        now = numeric_date(self.world.clock())
        claims = {"iss": self.url, "aud": self.world.url, "iat": now, "exp": now + 300, "jti": str(self.world.count)}
        self.world.count += 1
        merged = {name: value for name, value in (claims | changes).items() if value is not None}
        return sign_jwt(merged, typ=typ, key=key or self.key, kid=kid)

    def id_jag(self, client: Actor, subject: str = "u-1", **changes: Any) -> str:
        return self.sign("oauth-id-jag+jwt", **{"sub": subject, "client_id": client.did, **changes})

    def workload(self, subject: str = KUBERNETES, **changes: Any) -> str:
        return self.sign("JWT", **{"sub": subject, **changes})


@asynccontextmanager
async def provider(world: World) -> AsyncIterator[Provider]:
    listener = listen("127.0.0.1", 0)
    it = Provider(url=f"http://127.0.0.1:{listener.getsockname()[1]}", world=world)
    app = Starlette(routes=[Route("/jwks", it.jwks), Route("/.well-known/openid-configuration", it.discovery)])
    async with serving([(app, listener)]):
        yield it


async def trust(world: World, it: Provider, **changes: Any) -> None:
    body = {"issuer": it.url, "name": "Example IdP", "vouches_for_users": True, "rules": [], **changes}
    answer = await world.http.put("/trusted-issuers", json=body, headers=await world.admin_headers())
    assert answer.status_code == 200, answer.text


async def link(world: World, it: Provider, subject: str = "u-1", username: str = "smith") -> None:
    body = {"issuer": it.url, "subject": subject, "username": username}
    answer = await world.http.put("/identities", json=body, headers=await world.admin_headers())
    assert answer.status_code == 204, answer.text


async def bearer(world: World, assertion: str, agent: Actor | None = None, **form: str) -> httpx2.Response:
    proof = {} if agent is None else world.assertion(agent.key)
    return await world.token({"grant_type": GRANT, "assertion": assertion, **proof, **form})


def refused(answer: httpx2.Response, error: str, status: int = 400) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text


# ---- presentations


async def test_a_presentation_is_a_grant(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    answer = await bearer(w, w.vp_jwt(agent), resource=RESOURCE)
    assert answer.status_code == 200, answer.text
    claims = claims_of(answer.json()["access_token"])
    assert (claims["sub"], claims["client_id"], claims["scope"]) == (agent.did, agent.did, "tool:list_menu")
    assert "act" not in claims
    assert "issued_token_type" not in answer.json()


@pytest.mark.req("VCX-01")
async def test_a_presentation_is_a_grant_once(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    vp = w.vp_jwt(agent)
    assert (await bearer(w, vp, resource=RESOURCE)).status_code == 200
    refused(await bearer(w, vp, resource=RESOURCE), "invalid_grant")


# ---- identity assertions


async def test_an_agent_acts_for_a_user_the_provider_vouches_for(w: World) -> None:
    agent = w.agent("orders", "list_menu", "update_stock")
    async with provider(w) as idp:
        await trust(w, idp)
        await link(w, idp)
        answer = await bearer(w, idp.id_jag(agent, resource=RESOURCE), agent)
        assert answer.status_code == 200, answer.text
        claims = claims_of(answer.json()["access_token"])
        # smith may not update the stock, whatever the agent holds
        assert (claims["sub"], claims["act"]["sub"], claims["scope"]) == ("smith", agent.did, "tool:list_menu")
        assert "refresh_token" not in answer.json()


async def test_what_the_provider_said_narrows_the_grant(w: World) -> None:
    agent = w.agent("orders", "list_menu", "create_order")
    async with provider(w) as idp:
        await trust(w, idp)
        await link(w, idp)
        answer = await bearer(w, idp.id_jag(agent, scope="tool:create_order", resource=RESOURCE), agent)
        assert claims_of(answer.json()["access_token"])["scope"] == "tool:create_order"


@pytest.mark.req("TOK-07", "TOK-08", "TOK-06")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"aud": "https://elsewhere.example"}, "invalid_grant"),
        ({"aud": ["{bridge}", "https://elsewhere.example"]}, "invalid_grant"),
        ({"client_id": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"}, "invalid_grant"),
        ({"client_id": None}, "invalid_grant"),
        ({"jti": None}, "invalid_grant"),
        ({"exp": 1}, "invalid_grant"),
        ({"sub": "u-2"}, "invalid_grant"),
        ({"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
        ({"scope": "chat.read"}, "invalid_scope"),
        ({"authorization_details": []}, "invalid_grant"),
        ({"cnf": {"jkt": "0" * 43}}, "invalid_grant"),
        ({"cnf": {"kid": "k"}}, "invalid_grant"),
        ({"kid": "k2"}, "invalid_grant"),
        ({"kid": None}, None),  # one key, no doubt about it
        ({"typ": "JWT"}, "invalid_grant"),
        ({"typ": "at+jwt"}, "invalid_grant"),
    ],
)
async def test_an_identity_assertion_is_believed_only_as_it_must_be(
    w: World, changes: dict[str, Any], error: str | None
) -> None:
    agent = w.agent("orders", "list_menu")
    async with provider(w) as idp:
        await trust(w, idp)
        await link(w, idp)
        said = {"sub": "u-1", "client_id": agent.did, "typ": "oauth-id-jag+jwt", **changes}
        if isinstance(said.get("aud"), list):
            said["aud"] = [w.url if one == "{bridge}" else one for one in said["aud"]]
        answer = await bearer(w, idp.sign(said.pop("typ"), **said), agent)
        if error is None:
            assert answer.status_code == 200, answer.text
        else:
            refused(answer, error)


@pytest.mark.req("OAU-07")
async def test_an_identity_assertion_is_taken_once(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    async with provider(w) as idp:
        await trust(w, idp)
        await link(w, idp)
        assertion = idp.id_jag(agent)
        assert (await bearer(w, assertion, agent)).status_code == 200
        refused(await bearer(w, assertion, agent), "invalid_grant")


@pytest.mark.req("DEL-01")
async def test_an_identity_assertion_needs_the_client_it_names(w: World) -> None:
    one, other = w.agent("orders", "list_menu"), w.agent("menus", "list_menu")
    async with provider(w) as idp:
        await trust(w, idp)
        await link(w, idp)
        refused(await bearer(w, idp.id_jag(one)), "invalid_client", 401)
        refused(await bearer(w, idp.id_jag(one), other), "invalid_grant")


@pytest.mark.req("NET-10")
async def test_nobody_is_asked_about_a_stranger(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    async with provider(w) as idp:
        refused(await bearer(w, idp.id_jag(agent), agent), "invalid_grant")
        assert idp.fetches == 0
        await trust(w, idp, vouches_for_users=False)
        refused(await bearer(w, idp.id_jag(agent), agent), "invalid_grant")


async def test_a_forged_signature_is_refused(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    async with provider(w) as idp:
        await trust(w, idp)
        await link(w, idp)
        refused(await bearer(w, idp.id_jag(agent, key=SigningKey.generate()), agent), "invalid_grant")


@pytest.mark.req("DEL-10")
async def test_trust_withdrawn_ends_what_came_of_it(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    async with provider(w) as idp:
        await trust(w, idp)
        await link(w, idp)
        token = claims_of((await bearer(w, idp.id_jag(agent), agent)).json()["access_token"])["jti"]
        headers = await w.admin_headers()
        gone = await w.http.request("DELETE", "/trusted-issuers", json={"issuer": idp.url}, headers=headers)
        assert gone.status_code == 204
        feed = (await w.http.get("/revocations", params={"after": "0"})).json()["sets"]
        assert [claims_of(item["set"])["sub_id"]["uri"] for item in feed] == [token]
        refused(await bearer(w, idp.id_jag(agent), agent), "invalid_grant")


# ---- workloads


async def test_a_workload_is_the_agent_its_rule_names(w: World) -> None:
    agent = w.agent("orders", "list_menu", "create_order")
    rule = {"subject": "system:serviceaccount:*:orders", "agent": agent.did, "scopes": ["tool:list_menu"]}
    async with provider(w) as platform:
        await trust(w, platform, vouches_for_users=False, rules=[rule], jwks_uri=f"{platform.url}/jwks")
        answer = await bearer(w, platform.workload(aud=[w.url, "https://kubernetes.default"]), resource=RESOURCE)
        assert answer.status_code == 200, answer.text
        claims = claims_of(answer.json()["access_token"])
        assert (claims["sub"], claims["client_id"], claims["scope"]) == (agent.did, agent.did, "tool:list_menu")
        assert (await bearer(w, platform.workload(aud=f"{w.url}/token"), resource=RESOURCE)).status_code == 200


async def test_claims_of_a_rule_look_into_objects(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    rule = {"subject": "*", "claims": {"kubernetes.io.namespace": "shop"}, "agent": agent.did}
    async with provider(w) as platform:
        await trust(w, platform, rules=[rule])
        good = platform.workload("orders", **{"kubernetes.io": {"namespace": "shop"}})
        assert (await bearer(w, good)).status_code == 200
        bad = platform.workload("orders", **{"kubernetes.io": {"namespace": "other"}})
        refused(await bearer(w, bad), "invalid_grant")


@pytest.mark.parametrize(
    "subject",
    ["system:serviceaccount:shop:orders2", "system:serviceaccount:shop:x:orders", "x" + KUBERNETES, KUBERNETES + "\n"],
)
async def test_a_pattern_fits_the_whole_subject_and_one_part(w: World, subject: str) -> None:
    agent = w.agent("orders", "list_menu")
    rule = {"subject": "system:serviceaccount:*:orders", "agent": agent.did}
    async with provider(w) as platform:
        await trust(w, platform, rules=[rule])
        refused(await bearer(w, platform.workload(subject)), "invalid_grant")


async def test_only_a_rule_lets_a_workload_token_be_used_again(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    async with provider(w) as platform:
        await trust(w, platform, rules=[{"subject": KUBERNETES, "agent": agent.did}])
        once = platform.workload()
        assert (await bearer(w, once)).status_code == 200
        refused(await bearer(w, once), "invalid_grant")
        refused(await bearer(w, platform.workload(jti=None)), "invalid_grant")
        await trust(w, platform, rules=[{"subject": KUBERNETES, "agent": agent.did, "reusable": True}])
        again = platform.workload(jti=None)
        assert [(await bearer(w, again)).status_code for _ in range(2)] == [200, 200]


@pytest.mark.req("DEL-10")
async def test_a_suspended_agent_gets_nothing_from_its_platform(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    async with provider(w) as platform:
        await trust(w, platform, rules=[{"subject": KUBERNETES, "agent": agent.did}])
        agent.state = "suspended"
        refused(await bearer(w, platform.workload()), "invalid_grant")


@pytest.mark.req("TOK-03")
async def test_random_kids_ask_the_provider_at_most_once(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    async with provider(w) as platform:
        await trust(w, platform, rules=[{"subject": KUBERNETES, "agent": agent.did}])
        assert (await bearer(w, platform.workload())).status_code == 200
        for number in range(20):
            refused(await bearer(w, platform.workload(kid=f"x{number}")), "invalid_grant")
        assert platform.fetches == 1
        w.clock.now += timedelta(seconds=31)
        refused(await bearer(w, platform.workload(kid="y")), "invalid_grant")
        assert platform.fetches == 2


# ---- operators


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": ""},
        {"jwks_uri": "http://elsewhere.example/jwks"},
        {"issuer": "spiffe://shop.example"},  # nothing to discover from
        {"rules": [{"subject": "*", "agent": "orders"}]},
        {"rules": [{"subject": "*", "agent": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK", "x": 1}]},
        {"name": "a\u202eb"},
        {"unknown": 1},
    ],
)
@pytest.mark.req("WEB-03")
async def test_trust_is_written_in_its_form_or_not_at_all(w: World, changes: dict[str, Any]) -> None:
    body = {"issuer": "https://idp.example", "name": "IdP", **changes}
    answer = await w.http.put("/trusted-issuers", json=body, headers=await w.admin_headers())
    assert answer.status_code == 400, answer.text
    found = (await w.http.get("/trusted-issuers", headers=await w.admin_headers())).json()
    assert found == {"trusted_issuers": []}


@pytest.mark.req("WEB-01")
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/trusted-issuers"), ("PUT", "/trusted-issuers"), ("DELETE", "/trusted-issuers"), ("PUT", "/identities")],
)
async def test_only_operators_change_trust(w: World, method: str, path: str) -> None:
    assert (await w.http.request(method, path, json={})).status_code == 401
    agent = w.agent("orders", "list_menu")
    token = (await w.client_credentials(agent.key, resource=RESOURCE)).json()["access_token"]
    answer = await w.http.request(method, path, json={}, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
