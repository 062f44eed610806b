"""Organisations at the bridge: nobody uses, or acts for, what is another one's, unless it was said."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.trust_list import PATH, TrustEntry, neighbour_id
from tests.fakes.bridge_clients import asked, register
from tests.fakes.bridge_world import (
    OTHER_RESOURCE,
    PASSWORD,
    REDIRECT,
    RESOURCE,
    TOOLS,
    Actor,
    Browser,
    Question,
    World,
    answered,
    capability,
    cheap_passwords,
    claims_of,
    code_for,
    question,
    redeem,
    w,
    world,
)

__all__ = ["w"]


async def admin(w: World, method: str, path: str, **content: Any) -> httpx2.Response:
    return await w.http.request(method, path, headers=await w.admin_headers(), **content)


async def resource(w: World, identifier: str = RESOURCE, **changes: Any) -> None:
    body = {"resource": identifier, "name": "Urban Bites", "tools": {tool: f"may {tool}" for tool in TOOLS}, **changes}
    assert (await admin(w, "PUT", "/resources", json=body)).status_code == 200


async def person(w: World, username: str, organisation: str, *operates: str) -> None:
    rights = {place: ["list_menu", "create_order"] for place in (RESOURCE, OTHER_RESOURCE)}
    body = {"name": "Avery", "password": PASSWORD, "rights": rights}
    body |= {"organisation": organisation, "operates": list(operates)}
    put = await admin(w, "PUT", f"/users/{username}", json=body)
    assert (put.status_code, put.json()["organisation"]) == (200, organisation), put.text


def agent_of(w: World, organisation: str, name: str = "orders") -> Actor:
    made = w.agent(name, "list_menu")
    made.organisation = organisation
    return made


async def asking(w: World, agent: Actor, username: str, **changes: str | None) -> httpx2.Response:
    """Return what a person sees after their login."""
    return await Browser(w).login(question(agent, **changes).path, username=username)


@pytest.mark.req("WEB-02", "OAU-10")
async def test_a_person_is_not_asked_about_another_organisations_agent(w: World) -> None:
    await person(w, "avery", "acme")
    await resource(w, organisation="acme")
    own, foreign, home = agent_of(w, "acme"), agent_of(w, "globex", "other"), agent_of(w, "home", "third")
    page = await asking(w, own, "avery")
    assert page.status_code == 200
    for agent in (foreign, home):
        refused = answered(await asking(w, agent, "avery"))
        assert (refused["error"], refused["error_description"]) == (
            "invalid_request",
            "requested_actor is not an active agent",
        )
    denied = [event for event in await w.events() if event["action"] == "consent.give"]
    assert {(event["decision"], event["reason"]) for event in denied} == {("deny", "unknown_agent")}


@pytest.mark.req("WEB-02")
async def test_what_is_foreign_and_what_does_not_exist_look_alike(w: World) -> None:
    await person(w, "avery", "acme")
    agent = agent_of(w, "acme")
    foreign = answered(await asking(w, agent, "avery"))  # the resource is of home, and not shared
    unknown = answered(await Browser(w).get(question(agent, resource="https://nowhere.example/mcp").path))
    assert {**foreign, "iss": ""} == {**unknown, "iss": ""}
    assert foreign["error"] == "invalid_target"


@pytest.mark.req("WEB-02", "REV-01")
async def test_a_shared_resource_is_usable_until_it_is_taken_back(w: World) -> None:
    await person(w, "smith", "acme")
    await resource(w, shared_with=["acme"])
    agent = agent_of(w, "acme")
    answer = await redeem(w, agent, *await code_for(w, agent))
    assert answer.status_code == 200, answer.text
    token = str(answer.json()["access_token"])
    assert claims_of(token)["org"] == "acme"
    value, verifier = await code_for(w, agent)
    await resource(w)  # not shared any more
    introspected = await w.post("/introspect", {"token": token, **w.assertion(agent.key)})
    assert introspected.json() == {"active": False}
    late = await redeem(w, agent, value, verifier)
    assert (late.status_code, late.json()["error"]) == (400, "invalid_target")


@pytest.mark.req("WEB-02", "DEL-10")
async def test_agents_act_for_another_organisation_while_they_are_lent(w: World) -> None:
    await person(w, "smith", "acme")
    await resource(w, organisation="acme")
    lent = agent_of(w, "globex")
    assert (await admin(w, "PUT", "/lendings/globex/acme")).status_code == 200
    answer = await redeem(w, lent, *await code_for(w, lent))
    assert answer.status_code == 200, answer.text
    token = str(answer.json()["access_token"])
    assert claims_of(token)["org"] == "acme"  # whom the person belongs to
    # It goes one way: globex' people are not lent the agents of acme.
    await person(w, "jordan", "globex")
    await resource(w, OTHER_RESOURCE, organisation="globex")
    own = agent_of(w, "acme", "own")
    w.grant(own, capability("list_menu", resource=OTHER_RESOURCE))
    other = answered(await asking(w, own, "jordan", resource=OTHER_RESOURCE))
    assert other["error"] == "invalid_request"
    assert [(one["giver"], one["taker"]) for one in (await admin(w, "GET", "/lendings")).json()["lendings"]] == [
        ("globex", "acme")
    ]
    assert (await admin(w, "DELETE", "/lendings/globex/acme")).status_code == 204
    assert (await admin(w, "DELETE", "/lendings/globex/acme")).status_code == 404
    ended = await w.post("/introspect", {"token": token, **w.assertion(lent.key)})
    assert ended.json() == {"active": False}
    for names in ("acme/acme", "Acme/globex", "acme/a%20b"):
        assert (await admin(w, "PUT", f"/lendings/{names}")).status_code == 400, names


@pytest.mark.req("WEB-02")
async def test_an_agents_own_token_says_whose_it_is_and_stays_within_that(w: World) -> None:
    ours, theirs = agent_of(w, "acme"), agent_of(w, "globex", "other")
    for agent in (ours, theirs):
        w.grant(agent, capability("list_menu", resource=OTHER_RESOURCE))
    await resource(w, OTHER_RESOURCE, organisation="acme")
    answer = await w.client_credentials(ours.key, resource=OTHER_RESOURCE)
    assert claims_of(str(answer.json()["access_token"]))["org"] == "acme"
    refused = await w.client_credentials(theirs.key, resource=OTHER_RESOURCE)
    unknown = await w.client_credentials(theirs.key, resource="https://nowhere.example/mcp")
    assert refused.status_code == unknown.status_code == 400
    said = [one.json()["error_description"].split(" ", 1)[1] for one in (refused, unknown)]
    assert (said[0], refused.json()["error"]) == (said[1], unknown.json()["error"])
    # At the deployment's own resource its trust list decides, not the name.
    for agent in (ours, theirs):
        at_home = await w.client_credentials(agent.key, resource=RESOURCE)
        assert claims_of(str(at_home.json()["access_token"]))["org"] == agent.organisation
    issued = [event for event in await w.events() if event["action"] == "token.issue" and event["decision"] == "allow"]
    assert [event["details"].get("organisation") for event in issued if event["principal_kind"] == "agent"] == [
        "acme",
        "acme",
        "globex",
    ]


@pytest.mark.req("WEB-02", "DEL-03")
async def test_a_next_actor_is_of_the_same_organisation_or_lent(w: World) -> None:
    first, second = agent_of(w, "acme"), agent_of(w, "globex", "other")
    handed = w.hand_on(first.held[0], first, second, "list_menu")
    token = str((await w.client_credentials(first.key, resource=RESOURCE)).json()["access_token"])
    refused = await w.next_hop(token, await w.vp(second, first.held[0], handed))
    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_request"
    assert (await admin(w, "PUT", "/lendings/globex/acme")).status_code == 200
    done = await w.next_hop(token, await w.vp(second, first.held[0], handed))
    assert done.status_code == 200, done.text
    claims = claims_of(str(done.json()["access_token"]))
    assert (claims["sub"], claims["act"]["sub"], claims["org"]) == (first.did, second.did, "acme")


@pytest.mark.req("WEB-02", "DEL-11")
async def test_an_organisations_issuer_speaks_for_its_own_people_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_passwords(monkeypatch)
    avery, smith = "mailto:avery@acme.example", "mailto:smith@home.example"
    async with world(tmp_path, trust_refresh=1) as w:
        theirs = SigningKey.generate()
        entry = TrustEntry(
            id=neighbour_id("acme"),
            issuer=did_key(theirs.public),
            url=w.issuer.url,
            kinds=frozenset({"capability", "identity", "status"}),
            resources=frozenset({RESOURCE}),
        )
        w.issuer.trust, w.issuer.version = [entry], 1
        await resource(w, shared_with=["acme"])
        await person(w, avery, "acme")
        await person(w, smith, "home")
        agent = agent_of(w, "acme")

        async def shown(username: str) -> httpx2.Response:
            home, w.issuer.key = w.issuer.key, theirs
            try:
                said = w.grant(
                    agent,
                    capability("list_menu"),
                    register=False,
                    on_behalf_of=username,
                    statuses=(),
                    valid_until=w.clock() + timedelta(minutes=10),
                )
            finally:
                w.issuer.key = home
            return await w.exchange(await w.vp(agent, said))

        async with asyncio.timeout(20):
            while (await w.http.get(PATH)).status_code != 200:
                await asyncio.sleep(0.05)
        own, foreign = await shown(avery), await shown(smith)
        assert own.status_code == 200, own.text
        assert claims_of(str(own.json()["access_token"]))["org"] == "acme"
        assert (foreign.status_code, foreign.json()["error"]) == (400, "invalid_request"), foreign.text


@pytest.mark.req("WEB-08", "OAU-08")
async def test_the_page_says_whose_the_agent_is_and_who_is_asked(w: World) -> None:
    await person(w, "smith", "acme")
    await resource(w, organisation="acme")
    assert (await admin(w, "PUT", "/lendings/globex/acme")).status_code == 200
    own, lent = agent_of(w, "acme"), agent_of(w, "globex", "other")
    page = (await asking(w, own, "smith")).text
    assert "the agent is of <strong><bdi>acme</bdi></strong>" in page
    assert ", of <strong>" not in page
    page = (await asking(w, lent, "smith")).text
    assert "the agent is of <strong><bdi>globex</bdi></strong>" in page
    assert ", of <strong><bdi>acme</bdi></strong>" in page
    # One that could be read as anything else is none: the register is not believed then.
    for hostile in ("<b>home</b>", "home\u202e", "Home", "", "a" * 64):
        odd = agent_of(w, hostile, f"odd-{len(hostile)}")
        answer = await Browser(w).get(question(odd).path)
        assert answer.status_code == 503
        assert "<b>home" not in answer.text
    # Where there is but one organisation nobody is told of any.
    await person(w, "jones", "home")
    await resource(w)
    plain = (await asking(w, agent_of(w, "home", "plain"), "jones")).text
    assert "Organisation" not in plain


# ---- people who operate


async def console(w: World, **changes: Any) -> None:
    await register(w, "console", **{"name": "Console", "auth_method": "none", "operates": True, **changes})


def at_issuer(w: World, client: str = "console", **changes: str | None) -> Question:
    return asked(client, resource=w.issuer.url, **changes)


async def operating(w: World, username: str, **changes: str | None) -> httpx2.Response:
    """Return the answer of the token endpoint to the console, or the refusal; it needs no page of consent."""
    wanted = at_issuer(w, **changes)
    sent = await Browser(w).login(wanted.path, username=username)
    if "code" not in answered(sent):
        return sent
    fields = {
        "grant_type": "authorization_code",
        "code": answered(sent)["code"],
        "code_verifier": wanted.verifier,
        "redirect_uri": REDIRECT,
        "client_id": "console",
    }
    return await w.token(fields)


@pytest.mark.req("WEB-04")
@pytest.mark.parametrize(
    ("roles", "scopes"),
    [
        (["admin"], "issuer:admin"),
        (["auditor"], "issuer:audit"),
        (["manager", "sponsor"], "issuer:manage issuer:sponsor"),
    ],
)
async def test_a_person_who_operates_gets_exactly_their_role(w: World, roles: list[str], scopes: str) -> None:
    await console(w)
    await person(w, "avery", "acme", *roles)
    every = "issuer:admin issuer:manage issuer:audit issuer:sponsor registry:read"
    for asked_for in (None, every):
        answer = await operating(w, "avery", scope=asked_for)
        assert answer.status_code == 200, answer.text
        claims = claims_of(str(answer.json()["access_token"]))
        assert (claims["scope"], claims["org"], claims["aud"]) == (scopes, "acme", w.issuer.url)
        assert (claims["sub"], claims["sub_profile"], claims["client_id"]) == ("avery", "user", "console")
        assert not {"act", "authorization_details", "entitlements", "vc"} & claims.keys()


@pytest.mark.req("WEB-04")
async def test_a_person_without_a_role_gets_nothing_at_the_deployments_parties(w: World) -> None:
    await console(w)
    await person(w, "avery", "acme")
    refused = answered(await operating(w, "avery"))
    assert refused["error"] == "invalid_scope"
    await person(w, "avery", "acme", "sponsor")
    beyond = answered(await operating(w, "avery", scope="issuer:admin"))
    assert beyond["error"] == "invalid_scope"
    for party in (w.url, "http://127.0.0.1:9"):  # the bridge is nobody's; a sponsor does not read the log
        wanted = asked("console", resource=party)
        assert answered(await Browser(w).login(wanted.path, username="avery"))["error"] == "invalid_scope"
    await person(w, "avery", "acme", "auditor")
    log = asked("console", resource="http://127.0.0.1:9")
    assert "code" in answered(await Browser(w).login(log.path, username="avery"))


@pytest.mark.req("WEB-04", "OAU-08")
async def test_a_role_is_brought_to_a_console_alone(w: World) -> None:
    await console(w, operates=False)
    await person(w, "avery", "acme", "admin")
    assert answered(await Browser(w).get(at_issuer(w).path))["error"] == "invalid_target"
    await console(w)
    agent = agent_of(w, "acme")
    acting = await Browser(w).get(at_issuer(w, requested_actor=agent.did).path)
    assert answered(acting)["error"] == "invalid_target"
    own = await Browser(w).get(question(agent, resource=w.issuer.url).path)
    assert answered(own)["error"] == "invalid_target"
    assert "code" in answered(await Browser(w).login(at_issuer(w).path, username="avery"))
    as_agent = {"name": "X", "redirect_uris": [REDIRECT], "auth_method": "client_secret_basic", "operates": True}
    refused = await admin(w, "PUT", "/clients/odd", json={**as_agent, "agent": agent.did})
    assert refused.status_code == 400


@pytest.mark.req("REV-01", "WEB-06")
async def test_what_a_person_operates_with_ends_with_their_role(w: World) -> None:
    await console(w)
    await person(w, "avery", "acme", "admin")
    answer = await operating(w, "avery", scope="issuer:admin offline_access")
    refresh = str(answer.json()["refresh_token"])
    fields = {"grant_type": "refresh_token", "client_id": "console"}
    again = await w.token({**fields, "refresh_token": refresh})
    assert claims_of(str(again.json()["access_token"]))["org"] == "acme"
    put = await admin(w, "PUT", "/user-organisations", json={"username": "avery", "organisation": "acme"})
    assert put.json()["operates"] == []
    late = await w.token({**fields, "refresh_token": str(again.json()["refresh_token"])})
    assert (late.status_code, late.json()["error"]) == (400, "invalid_grant")
    events = [event["subject"] if "subject" in event else event["action"] for event in await w.events()]
    assert "user.place" in events
    # The console itself is another program from now on: nobody's role goes with it.
    await person(w, "avery", "acme", "admin")
    answer = await operating(w, "avery", scope="issuer:admin offline_access")
    await console(w, operates=False)
    late = await w.token({**fields, "refresh_token": str(answer.json()["refresh_token"])})
    assert late.status_code in (400, 401, 403)


@pytest.mark.req("WEB-03", "WEB-04")
async def test_a_place_that_makes_no_sense_is_refused(w: World) -> None:
    for spoilt in (
        {"organisation": "No Spaces"}, {"organisation": ""}, {"operates": ["root"]}, {"extra": 1},
        {"organisation": "acme\n"}, {"operates": "admin"},
    ):  # fmt: skip
        body = {"username": "smith", "organisation": "acme", **spoilt}
        assert (await admin(w, "PUT", "/user-organisations", json=body)).status_code == 400, spoilt
    missing = await admin(w, "PUT", "/user-organisations", json={"username": "nobody", "organisation": "acme"})
    assert missing.status_code == 404
    nobody = await w.http.put("/user-organisations", json={"username": "smith", "organisation": "acme"})
    assert nobody.status_code == 401
    (smith,) = [one for one in (await admin(w, "GET", "/users")).json()["users"] if one["username"] == "smith"]
    assert (smith["organisation"], smith["operates"]) == ("home", [])
