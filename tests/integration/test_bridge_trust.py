"""An agent of another deployment at a real bridge: it gets a token while its issuer is listed, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bridge.service import trust as watching
from did_agent.adapters import trust_list as pulling
from did_agent.adapters.party import listen, serving
from did_agent.credential.issuance import build_capability_credential, issue, new_id
from did_agent.credential.status import StatusEntry
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.trust_list import PATH, TrustEntry, verify_trust_list
from tests.fakes.bridge_world import (
    _DATABASES,
    RESOURCE,
    Actor,
    Clock,
    FakeIssuer,
    World,
    capability,
    cheap_passwords,
    claims_of,
    world,
)

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass
class Abroad:
    """Another deployment: its issuer with its status lists, and an agent that only that one knows."""

    here: World
    issuer: FakeIssuer
    agent: Actor

    def line(self, **changes: Any) -> TrustEntry:
        said: dict[str, Any] = {
            "id": "1",
            "issuer": did_key(self.issuer.key.public),
            "url": self.issuer.url,
            "resources": frozenset({RESOURCE}),
            "tools": frozenset({"list_menu"}),
        }
        return TrustEntry(**(said | changes))

    def granted(self, *tools: str, **changes: Any) -> dict[str, Any]:
        now, self.here.count = self.here.clock(), self.here.count + 1
        entry = StatusEntry(
            list_url=f"{self.issuer.url}/status-lists/revocation/1", index=self.here.count, purpose="revocation"
        )
        said: dict[str, Any] = {
            "id": new_id(),
            "issuer": did_key(self.issuer.key.public),
            "subject": self.agent.did,
            "capabilities": [capability(*tools)],
            "valid_from": now - timedelta(minutes=1),
            "valid_until": now + timedelta(hours=1),
            "max_depth": 0,
            "statuses": (entry,),
        }
        return issue(build_capability_credential(**(said | changes)), self.issuer.key, now=now)

    async def lists(self, *entries: TrustEntry) -> None:
        """Have our issuer list these, and wait until the bridge has heard."""
        self.here.issuer.trust, self.here.issuer.version = list(entries), self.here.issuer.version + 1
        for _ in range(200):
            text = (await self.here.http.get(PATH)).text
            if text.count(".") == 2 and claims_of(text)["version"] == self.here.issuer.version:
                await asyncio.sleep(0.1)  # and has ended what there was to end
                return
            await asyncio.sleep(0.02)
        raise AssertionError("the bridge did not hear of it")

    async def asks(self, document: dict[str, Any] | None = None, *, agent: Actor | None = None) -> httpx2.Response:
        vp = self.here.vp_jwt(agent or self.agent, document or self.granted("list_menu"))
        return await self.here.token({"grant_type": GRANT, "assertion": vp, "resource": RESOURCE})

    async def ended(self) -> set[str]:
        """Return the ids of tokens that guards are told have ended."""
        sets = (await self.here.http.get("/revocations")).json()["sets"]
        return {str(claims_of(one["set"])["sub_id"]["uri"]) for one in sets}


@asynccontextmanager
async def abroad(here: World) -> AsyncIterator[Abroad]:
    listener = listen("127.0.0.1", 0)
    issuer = FakeIssuer(url=f"http://127.0.0.1:{listener.getsockname()[1]}", clock=here.clock)
    async with serving([(issuer.app(), listener)]):
        yield Abroad(here=here, issuer=issuer, agent=Actor(key=SigningKey.generate(), name="traveller"))


@pytest.fixture(params=_DATABASES, ids=lambda url: "postgres" if url else "sqlite")
async def a(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Abroad]:
    """Both deployments, and a bridge that asks for news all the time."""
    cheap_passwords(monkeypatch)
    monkeypatch.setattr(pulling, "RETRY", 0.05)
    monkeypatch.setattr(watching, "LOOK_EVERY", 0.05)
    async with world(tmp_path, database=request.param, clock=Clock(), trust_refresh=1) as here:
        await here.put_resource()
        await here.put_user("smith", "list_menu")
        async with abroad(here) as there:
            yield there


@pytest.mark.req("VCX-05", "REV-01", "DEL-10")
async def test_a_listed_issuers_agent_gets_a_token_that_ends_with_the_line(a: Abroad) -> None:
    refused = await a.asks()
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    await a.lists(a.line())
    granted = await a.asks()
    assert granted.status_code == 200, granted.text
    claims = claims_of(granted.json()["access_token"])
    assert (claims["iss"], claims["sub"], claims["client_id"]) == (a.here.url, a.agent.did, a.agent.did)
    assert (claims["scope"], claims.get("act")) == ("tool:list_menu", None)
    exchanged = await a.here.exchange(a.here.vp_jwt(a.agent, a.granted("list_menu")))
    assert exchanged.status_code == 200, exchanged.text

    await a.lists()
    ids = {claims["jti"], claims_of(exchanged.json()["access_token"])["jti"]}
    assert ids <= await a.ended()
    assert (await a.asks()).status_code == 400
    events = [one["target"] for one in await a.here.events() if one["action"] == "trust.lost"]
    assert events.count(did_key(a.issuer.key.public)) == 1


@pytest.mark.req("VCX-05", "DEL-11")
async def test_it_is_trusted_for_its_line_alone_and_speaks_for_nobody_here(a: Abroad) -> None:
    await a.lists(a.line(kinds=frozenset({"capability", "status", "identity"})))
    assert (await a.asks()).status_code == 200
    assert (await a.asks(a.granted("delete_order"))).status_code == 400
    named = await a.asks(a.granted("list_menu", on_behalf_of="https://people.example/smith"))
    assert named.status_code == 400
    moved = StatusEntry(list_url=f"{a.here.issuer.url}/status-lists/revocation/1", index=1, purpose="revocation")
    assert (await a.asks(a.granted("list_menu", statuses=(moved,)))).status_code == 400


@pytest.mark.req("DEL-10")
async def test_what_our_register_says_of_an_agent_holds_whoever_granted(a: Abroad) -> None:
    await a.lists(a.line())
    a.here.issuer.agents[a.agent.did] = a.agent
    assert (await a.asks()).status_code == 200
    a.agent.state = "suspended"
    assert (await a.asks()).status_code == 400


@pytest.mark.req("REV-01", "VCX-10")
async def test_what_is_taken_back_abroad_ends_the_token_here(a: Abroad) -> None:
    await a.lists(a.line())
    document = a.granted("list_menu")
    index = a.here.count
    claims = claims_of((await a.asks(document)).json()["access_token"])
    await asyncio.sleep(0.2)
    assert not await a.ended()
    a.issuer.bits["revocation"].add(index)
    assert (await a.asks(document)).status_code == 400
    for _ in range(100):
        if claims["jti"] in await a.ended():
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("the token did not end")
    assert "credential.ended" in {one["action"] for one in await a.here.events()}


@pytest.mark.req("REV-01")
async def test_tokens_of_an_issuer_that_was_taken_out_meanwhile_end_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_passwords(monkeypatch)
    monkeypatch.setattr(pulling, "RETRY", 0.05)
    monkeypatch.setattr(watching, "LOOK_EVERY", 0.05)
    clock = Clock()
    async with world(tmp_path, clock=clock, trust_refresh=1) as here, abroad(here) as a:
        await here.put_resource()
        await a.lists(a.line())
        token = claims_of((await a.asks()).json()["access_token"])["jti"]
        port = int(here.url.rsplit(":", 1)[1])
    # Another anchor than before, so that nothing is left of the list.
    async with world(tmp_path, clock=clock, trust_refresh=1, port=port) as again, abroad(again) as a:
        await a.lists()
        assert token in await a.ended()


@pytest.mark.req("VCX-05")
async def test_the_list_is_passed_on_as_it_was_signed(a: Abroad) -> None:
    assert (await a.here.http.get(PATH)).status_code == 404
    await a.lists(a.line())
    answer = await a.here.http.get(PATH)
    anchors = frozenset({did_key(a.here.issuer.key.public)})
    found = verify_trust_list(answer.text, anchors=anchors, after=None, now=a.here.clock())
    assert found.entries == (a.line(),)
    same = await a.here.http.get(PATH, headers={"If-None-Match": answer.headers["etag"]})
    assert same.status_code == 304
