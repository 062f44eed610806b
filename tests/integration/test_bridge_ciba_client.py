"""The agent's side of asking people, against a real bridge; time passes when the agent sleeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from did_agent.agent import Agent
from did_agent.client import backchannel
from did_agent.client.backchannel import PersonElsewhere
from did_agent.client.dpop import DPoPSigner
from did_agent.client.errors import ServerRefused
from did_agent.errors import ConsentDenied, RequestExpired
from did_agent.wallet import Wallet
from tests.fakes.asking import answer, questions
from tests.fakes.bridge_world import RESOURCE, START, Actor, Browser, World, claims_of, w

__all__ = ["w"]


class Naps:
    """Sleeps by moving the clock; what happens meanwhile is the story."""

    def __init__(self, w: World, *meanwhile: Callable[[], Awaitable[Any]]) -> None:
        self.w, self.meanwhile, self.taken = w, list(meanwhile), list[float]()

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        self.w.clock.forward(seconds)
        if self.meanwhile:
            await self.meanwhile.pop(0)()


async def nothing() -> None:
    """Let the time pass."""


def answering(w: World, decision: str) -> Callable[[], Awaitable[Any]]:
    async def meanwhile() -> None:
        browser = Browser(w)
        (path,) = await questions(browser)
        await answer(browser, path, decision)

    return meanwhile


def asker(w: World, agent: Actor, naps: Naps, **changes: Any) -> PersonElsewhere:
    return PersonElsewhere(w.url, agent.key, clock=w.clock, sleep=naps, **changes)


async def test_an_agent_asks_and_waits_until_the_person_answered(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    naps = Naps(w, nothing, nothing, answering(w, "allow"))
    dpop = DPoPSigner(agent.key, clock=w.clock)
    token = await asker(w, agent, naps, dpop=dpop).ask("smith", resource=RESOURCE, message="For the table at noon")
    claims = claims_of(token)
    assert (claims["sub"], claims["act"]["sub"], "jkt" in claims["cnf"]) == ("smith", agent.did, True)
    assert naps.taken == [5, 5, 5]


async def test_the_agent_waits_longer_when_it_is_told_to(w: World) -> None:
    agent = w.agent("orders", "list_menu")

    async def too_soon() -> None:
        w.clock.now = START

    naps = Naps(w, too_soon, nothing, answering(w, "allow"))
    assert await asker(w, agent, naps).ask("smith", resource=RESOURCE)
    assert naps.taken == [5, 10, 10]


@pytest.mark.req("OAU-17")
async def test_a_no_and_silence_are_told_apart_and_neither_is_a_token(w: World) -> None:
    agent = w.agent("orders", "list_menu")
    with pytest.raises(RequestExpired):
        await asker(w, agent, Naps(w)).ask("nobody", resource=RESOURCE, seconds=60)
    with pytest.raises(ConsentDenied):
        await asker(w, agent, Naps(w, answering(w, "deny"))).ask("smith", resource=RESOURCE)
    with pytest.raises(ServerRefused) as refused:
        await asker(w, agent, Naps(w)).ask("smith", resource=RESOURCE)
    assert refused.value.server_code == "quota_exceeded"


async def test_the_agent_of_a_wallet_asks_for_what_it_details(
    w: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = w.agent("orders", "list_menu", "create_order")
    naps = Naps(w, answering(w, "allow"))
    made = backchannel.PersonElsewhere
    monkeypatch.setattr("did_agent.agent.PersonElsewhere", lambda *place, **how: made(*place, **how, sleep=naps))
    held = Agent("orders", actor.key, Wallet(tmp_path / "wallet"), clock=w.clock)
    wanted = {"type": "attenuating_agent_token", "locations": [RESOURCE], "tools": {"list_menu": {}}}
    token = await held.ask_person("smith", bridge=w.url, resource=RESOURCE, details=[wanted])
    assert claims_of(token)["authorization_details"] == [wanted]
