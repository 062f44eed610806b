"""Long-lived tokens of the bridge in its Token Status Lists: ended there by what ends them, in one transaction."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from bridge.adapters import sql_token_status, tables
from bridge.adapters.sql import KEEP_SECONDS, SQLStore
from bridge.model.token_status import BLOCK, CAPACITY, LIST_SIZE, TokenPlace
from did_agent.adapters.http import GuardedFetcher
from did_agent.adapters.sql import open_database
from did_agent.credential.token_status import TokenStatusReference, parse_reference
from did_agent.errors import Revoked, StatusNotVerified, StatusUnavailable, Suspended
from did_agent.policy.caller import VerifiedCaller
from did_agent.proof.jose import MAX_TOKEN, parse_compact
from did_agent.tokens.security_event import SecurityEvent
from tests.fakes.bridge_world import RESOURCE, Actor, World, cheap_passwords, claims_of, world
from verifier.adapters.keys import IssuerKeys
from verifier.adapters.token_status import IssuerStatusLists
from verifier.doors.token import TokenDoor
from verifier.http import bearer_alone

_POSTGRES = os.environ.get("DID_AGENT_TEST_POSTGRES")


@pytest.fixture(params=[None, *([_POSTGRES] if _POSTGRES else [])], ids=lambda url: "postgres" if url else "sqlite")
async def listed(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """A bridge all of whose tokens have a status."""
    cheap_passwords(monkeypatch)
    async with world(tmp_path, database=request.param, token_status_above=0) as running:
        await running.put_resource()
        yield running


async def issued(w: World, agent: Actor, *credentials: dict[str, Any]) -> str:
    answer = await w.exchange(await w.vp(agent, *credentials))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def reference(token: str) -> TokenStatusReference:
    found = parse_reference(claims_of(token))
    assert found is not None
    return found


class Checker:
    """What any resource server does that knows the draft."""

    def __init__(self, w: World) -> None:
        self.w, self.fetcher = w, GuardedFetcher(allow_loopback=True)
        keys = IssuerKeys(w.url, self.fetcher, clock=w.clock)
        self.lists = IssuerStatusLists(w.url, self.fetcher, keys=keys, max_age=timedelta(0), clock=w.clock)
        self.door = TokenDoor(resource=RESOURCE, issuer=w.url, keys=keys, statuses=self.lists)

    async def says(self, token: str) -> str:
        try:
            await self.lists.require_valid(reference(token), self.w.clock())
        except (Revoked, Suspended) as error:
            return error.code
        return "valid"

    async def admits(self, token: str) -> VerifiedCaller:
        jws = parse_compact(token, max_bytes=MAX_TOKEN)
        return (await self.door.admit(bearer_alone(token), jws, self.w.clock())).admission.caller


@pytest.mark.req("REV-01", "VCX-10")
async def test_a_token_ends_in_its_list_when_its_client_ends_it(listed: World) -> None:
    agent = listed.agent("stock", "list_menu")
    token, other = await issued(listed, agent), await issued(listed, agent)
    check = Checker(listed)
    assert reference(token).uri == f"{listed.url}/status-lists/tokens/1"
    assert reference(token).index != reference(other).index
    assert [await check.says(one) for one in (token, other)] == ["valid", "valid"]
    assert (await check.admits(token)).client_id == agent.did
    ended = await listed.post("/revoke", {"token": token, **listed.assertion(agent.key)})
    assert ended.status_code == 200
    assert [await check.says(one) for one in (token, other)] == ["revoked", "valid"]
    with pytest.raises(Revoked):
        await check.admits(token)
    await check.admits(other)


@pytest.mark.req("DEL-10", "REV-03")
async def test_a_token_ends_with_whatever_it_was_made_from_and_comes_back_with_its_agent(listed: World) -> None:
    alice, bob = listed.agent("alice", "list_menu"), listed.enrol("bob")
    child = listed.hand_on(alice.held[0], alice, bob, "list_menu")
    check = Checker(listed)
    lone = await issued(listed, alice)
    handed = await issued(listed, bob, child, alice.held[0])
    tokens = (lone, handed)

    async def states() -> list[str]:
        return [await check.says(one) for one in tokens]

    assert await states() == ["valid", "valid"]
    await listed.push("agent-suspended", bob.did)
    assert await states() == ["valid", "suspended"]
    await listed.push("agent-suspended", alice.did)
    assert await states() == ["suspended", "suspended"]
    listed.clock.forward(1)
    await listed.push("agent-resumed", bob.did)
    assert (await states())[0] == "suspended"
    listed.clock.forward(1)
    await listed.push("agent-resumed", alice.did)
    assert await states() == ["valid", "valid"]
    await listed.push("agent-suspended", bob.did, issued_at=listed.clock() - timedelta(seconds=30))  # news of before
    assert await states() == ["valid", "valid"]
    await listed.push("credential-revoked", child["id"])
    assert await states() == ["valid", "revoked"]
    await listed.push("agent-suspended", bob.did)
    listed.clock.forward(1)
    await listed.push("agent-resumed", bob.did)
    assert await states() == ["valid", "revoked"]
    await listed.push("agent-retired", alice.did)
    assert await states() == ["revoked", "revoked"]


@pytest.mark.req("DEL-10")
async def test_what_depends_on_two_that_are_suspended_comes_back_with_the_second(listed: World) -> None:
    alice, bob = listed.agent("alice", "list_menu"), listed.enrol("bob")
    child = listed.hand_on(alice.held[0], alice, bob, "list_menu")
    first = await issued(listed, alice)
    hop = await listed.next_hop(first, await listed.vp(bob, child, alice.held[0]))
    assert hop.status_code == 200, hop.text
    second, check = str(hop.json()["access_token"]), Checker(listed)
    for agent in (alice, bob):
        await listed.push("agent-suspended", agent.did)
    assert [await check.says(one) for one in (first, second)] == ["suspended", "suspended"]
    listed.clock.forward(1)
    await listed.push("agent-resumed", alice.did)
    assert [await check.says(one) for one in (first, second)] == ["valid", "suspended"]
    listed.clock.forward(1)
    await listed.push("agent-resumed", bob.did)
    assert [await check.says(one) for one in (first, second)] == ["valid", "valid"]
    assert (await listed.post("/revoke", {"token": first, **listed.assertion(alice.key)})).status_code == 200
    assert [await check.says(one) for one in (first, second)] == ["revoked", "revoked"]


async def test_a_list_is_cached_by_its_tag_and_signed_for_half_of_its_time(listed: World) -> None:
    token = await issued(listed, listed.agent("stock", "list_menu"))
    path = "/status-lists/tokens/1"
    first = await listed.http.get(path)
    assert first.headers["content-type"] == "application/statuslist+jwt"
    assert first.headers["cache-control"] == "public, max-age=30"
    claims = claims_of(first.text)
    assert (claims["sub"], claims["iss"], claims["ttl"]) == (reference(token).uri, listed.url, 30)
    tag = {"If-None-Match": first.headers["etag"]}
    assert (await listed.http.get(path, headers=tag)).status_code == 304
    listed.clock.forward(15)
    assert (await listed.http.get(path, headers=tag)).status_code == 200
    for unknown in ("2", "0", "x", "01", "99999999999"):
        assert (await listed.http.get(f"/status-lists/tokens/{unknown}")).status_code == 404


@pytest.mark.req("VCX-10", "FCL")
async def test_a_guard_that_cannot_ask_the_list_refuses(listed: World) -> None:
    token = await issued(listed, listed.agent("stock", "list_menu"))
    check = Checker(listed)
    await check.admits(token)
    outside = TokenStatusReference(index=LIST_SIZE, uri=reference(token).uri)
    with pytest.raises(StatusNotVerified):
        await check.lists.require_valid(outside, listed.clock())
    for uri in (f"{listed.url}/status-lists/tokens/7", f"{listed.url}/livez", "http://127.0.0.1:9/x"):
        with pytest.raises(StatusUnavailable):
            await check.lists.require_valid(TokenStatusReference(index=1, uri=uri), listed.clock())


async def test_short_lived_tokens_have_no_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_passwords(monkeypatch)
    async with world(tmp_path) as w:
        await w.put_resource()
        token = await issued(w, w.agent("stock", "list_menu"))
        assert "status" not in claims_of(token)
        assert (await w.http.get("/status-lists/tokens/1")).status_code == 404
        await w.push("token-revoked", claims_of(token)["jti"])


async def test_places_come_once_and_full_lists_retire_with_their_last_token(listed: World) -> None:
    engine = open_database(listed.database)
    store = SQLStore(engine, recorded=lambda: None)
    token = await issued(listed, listed.agent("stock", "list_menu"))
    seen = {TokenPlace(1, reference(token).index)}
    lists, places = sql_token_status.lists, sql_token_status.places
    async with store.transaction() as work:
        for count in (1, 40, BLOCK):
            (lease,) = await work.lease_places(count)
            found = set(lease.places())
            assert len(found) == count
            assert not found & seen
            seen |= found
        await work._do.execute(update(lists).values(handed=CAPACITY - 1))
        assert [(one.list_number, one.end - one.begin) for one in await work.lease_places(2)] == [(2, 2)]
        late = listed.clock() + timedelta(hours=1)
        await work.add_place("some", TokenPlace(2, 5), expires=late)
        assert [await work.has_list(number) for number in (1, 2, 3)] == [True, True, False]
        await work._do.execute(update(lists).where(lists.c.number == 2).values(open=None))
    await store.forget(listed.clock() + timedelta(seconds=KEEP_SECONDS + 600))
    async with store.transaction() as work:
        assert [await work.has_list(number) for number in (1, 2)] == [False, True]
        kept = select(func.count()).select_from(places)
        assert (await work._do.execute(kept)).scalar_one() == 1
        assert (await work._do.execute(select(func.count()).select_from(tables.tokens))).scalar_one() == 0
    await engine.dispose()


@pytest.mark.req("DEL-10", "REV-03")
async def test_many_ends_told_at_once_are_in_the_list_too(listed: World) -> None:
    agents = [listed.agent(name, "list_menu") for name in ("one", "two", "three")]
    tokens, check = [await issued(listed, agent) for agent in agents], Checker(listed)
    engine = open_database(listed.database)
    store = SQLStore(engine, recorded=lambda: None)

    async def tell(*kinds: Any) -> list[str]:
        told = [
            SecurityEvent(
                id=f"{kind} {agent.did} {listed.clock()}",
                kind=kind,
                subject=agent.did,
                issued_at=listed.clock(),
                reason="",
                issuer=listed.url,
                audience=listed.url,
            )
            for agent, kind in zip(agents, kinds, strict=False)
        ]
        async with store.transaction() as work:
            assert await work.announce_all([(event, "signed", event.id) for event in told]) == told
        listed.clock.forward(1)  # the bridge under test is another process: it looks once a second
        return [await check.says(token) for token in tokens]

    assert await tell("agent-suspended", "agent-retired") == ["suspended", "revoked", "valid"]
    assert await tell("agent-resumed", "agent-resumed", "agent-suspended") == ["valid", "revoked", "suspended"]
    await engine.dispose()


@pytest.mark.req("KEY-03", "DEL-10")
async def test_a_revoked_signing_key_ends_its_tokens_in_the_list_too(listed: World) -> None:
    token, check = await issued(listed, listed.agent("stock", "list_menu")), Checker(listed)
    headers = await listed.admin_headers()
    kid = parse_compact(token, max_bytes=MAX_TOKEN).header["kid"]
    assert await check.says(token) == "valid"
    ended = await listed.http.post(f"/signing-keys/{kid}/revoke", json={"reason": "leaked"}, headers=headers)
    assert ended.status_code in (200, 204), ended.text
    assert await Checker(listed).says(token) == "revoked"
