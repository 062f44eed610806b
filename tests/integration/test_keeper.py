"""An agent that looks after itself, against real parties: rights arrive, keys change, and a kill costs nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.agent import Agent
from did_agent.client.errors import ServerRefused
from did_agent.client.issuer import IssuerClient
from did_agent.keeper import LOOK_AT_LEAST, Keeper
from did_agent.wallet import Wallet
from tests.fakes.bridge_world import START
from tests.fakes.deployment import Deployed, deployed

RESOURCE = "https://shop.example/mcp"
CAPABILITY = {"resource": [RESOURCE], "tools": {"list_menu": {}}}


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployed(tmp_path_factory.mktemp("keeper")) as running:
        yield running


class Bearer(httpx2.Auth):
    def __init__(self, token: str) -> None:
        self.token = token

    def auth_flow(self, request: httpx2.Request) -> Any:
        request.headers["Authorization"] = f"Bearer {self.token}"
        yield request


def operator(parties: Deployed) -> IssuerClient:
    return IssuerClient(parties.urls["issuer"], auth=Bearer(parties.token("issuer")))


async def enrolled(parties: Deployed, folder: Path, name: str) -> tuple[Agent, str]:
    wallet = Wallet(folder)
    agent = Agent(name, wallet.create(name), wallet, clock=lambda: START)
    made = await operator(parties).create_agent(name=name, sponsor="Ops")
    await agent.enrol(parties.urls["issuer"], made["agent_id"], made["enrolment"]["challenge"])
    return agent, str(made["agent_id"])


def again(folder: Path, name: str) -> Agent:
    """Return the agent as another process finds it."""
    wallet = Wallet(folder)
    return Agent(name, wallet.key(name), wallet, clock=lambda: START)


async def test_what_an_operator_grants_arrives(parties: Deployed, tmp_path: Path) -> None:
    agent, agent_id = await enrolled(parties, tmp_path, "receives")
    keeper = Keeper(agent, parties.urls["issuer"], clock=lambda: START)
    assert await keeper.tend() == LOOK_AT_LEAST
    await operator(parties).issue_credential(agent_id, capabilities=[CAPABILITY], valid_seconds=300)
    assert await keeper.tend() == 200, "renewed when a third of its life is left"
    assert agent.chain_for(RESOURCE)[0]["credentialSubject"]["id"] == agent.did


async def test_a_key_is_replaced_by_its_age_and_the_agent_goes_on(parties: Deployed, tmp_path: Path) -> None:
    agent, agent_id = await enrolled(parties, tmp_path, "turns")
    await operator(parties).issue_credential(agent_id, capabilities=[CAPABILITY])
    issuer, before = parties.urls["issuer"], agent.did
    young = Keeper(agent, issuer, rotate_after=timedelta(seconds=100), clock=lambda: START)
    assert await young.tend() == 100
    assert agent.did == before
    old = Keeper(agent, issuer, rotate_after=timedelta(0), clock=lambda: START)
    await old.tend()
    assert agent.did != before
    assert again(tmp_path, "turns").did == agent.did
    assert agent.chain_for(RESOURCE)[0]["credentialSubject"]["id"] == agent.did
    await old.agent.own_record(issuer).standing()


@pytest.mark.parametrize("heard", [False, True], ids=["before the issuer knew", "after the issuer knew"])
async def test_a_kill_in_the_middle_of_a_change_never_loses_the_good_key(
    parties: Deployed, tmp_path: Path, heard: bool
) -> None:
    name, issuer = f"killed-{heard}".lower(), parties.urls["issuer"]
    agent, _ = await enrolled(parties, tmp_path, name)
    successor = Wallet(tmp_path).next_key(name)  # as far as it came
    if heard:
        await agent.own_record(issuer).rotate(successor)
    found = again(tmp_path, name)
    assert (found.did, found.is_changing_keys) == (agent.did, True)
    await Keeper(found, issuer, clock=lambda: START).tend()
    assert not found.is_changing_keys
    assert found.did != agent.did
    assert (await found.own_record(issuer).standing())["did"] == found.did
    with pytest.raises(ServerRefused, match="unknown_agent"):
        await agent.own_record(issuer).standing()


async def test_an_issuer_that_is_away_or_says_no_is_asked_again_later(parties: Deployed, tmp_path: Path) -> None:
    agent, agent_id = await enrolled(parties, tmp_path, "patient")
    waits: list[float] = []
    enough = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 4:
            enough.set()
            await asyncio.sleep(60)

    await operator(parties).change_agent(agent_id, "suspend", reason="looks odd")
    async with Keeper(agent, parties.urls["issuer"], clock=lambda: START, sleep=sleep):
        await asyncio.wait_for(enough.wait(), 20)
    assert [0.9 <= wait / expected <= 1 for wait, expected in zip(waits, (1, 2, 4, 8), strict=True)] == [True] * 4


def test_a_program_without_an_event_loop_is_looked_after_too(parties: Deployed, tmp_path: Path) -> None:
    agent, agent_id = asyncio.run(enrolled(parties, tmp_path, "threaded"))
    asyncio.run(operator(parties).issue_credential(agent_id, capabilities=[CAPABILITY]))
    tended = threading.Event()

    async def sleep(_seconds: float) -> None:
        tended.set()
        await asyncio.sleep(60)

    with Keeper(agent, parties.urls["issuer"], clock=lambda: START, sleep=sleep):
        assert tended.wait(20)
    assert agent.chain_for(RESOURCE)
