"""An agent that enrols by itself: by a token, when its owner agrees, by its platform, and through a kill at any step."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from did_agent.agent import Agent
from did_agent.client.enrolment import EnrolmentClient
from did_agent.client.errors import ServerRefused
from did_agent.client.wire import send
from did_agent.errors import AuthorizationPending
from did_agent.keeper import Keeper
from did_agent.wallet import Wallet
from tests.fakes.bridge_world import START
from tests.fakes.deployment import Deployed, deployed
from tests.fakes.platform import Platform, rule
from tests.integration.test_keeper import Bearer, again, enrolled


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployed(tmp_path_factory.mktemp("enrols")) as running:
        auth = Bearer(running.token("issuer"))
        asyncio.run(blueprint(running.urls["issuer"], auth))
        yield running


async def blueprint(url: str, auth: Bearer) -> None:
    await send("issuer", url, "PUT", "/templates/stock", auth=auth, json={"sponsor": "Shop team", "description": ""})


def operator(parties: Deployed) -> EnrolmentClient:
    return EnrolmentClient(parties.urls["issuer"], auth=Bearer(parties.token("issuer")))


def fresh(folder: Path, name: str) -> Agent:
    wallet = Wallet(folder)
    return Agent(name, wallet.create(name), wallet, clock=lambda: START)


async def test_the_keeper_enrols_an_agent_by_its_token(parties: Deployed, tmp_path: Path) -> None:
    agent, issuer = fresh(tmp_path, "comes-by-token"), parties.urls["issuer"]
    token = (await operator(parties).create_token("stock"))["token"]
    calls = []

    async def enrol() -> Any:
        calls.append(1)
        return await agent.enrol_with(issuer, token)

    keeper = Keeper(agent, issuer, enrol=enrol, clock=lambda: START)
    await keeper.tend()
    await keeper.tend()
    assert len(calls) == 1
    assert agent.credentials[0]["credentialSubject"]["id"] == agent.did
    with pytest.raises(ServerRefused, match="bad_grant"):
        await fresh(tmp_path, "comes-late").enrol_with(issuer, token)


async def test_the_keeper_waits_for_the_owner_and_asks_once(parties: Deployed, tmp_path: Path) -> None:
    agent, issuer, client = fresh(tmp_path, "waits"), parties.urls["issuer"], operator(parties)
    token = (await client.create_token("stock", uses=2, needs_approval=True))["token"]
    keeper = Keeper(agent, issuer, enrol=lambda: agent.enrol_with(issuer, token), clock=lambda: START)
    assert [await keeper.tend() for _ in range(3)] == [10, 10, 10]
    (waiting,) = await client.enrolments()
    assert waiting["did"] == agent.did
    assert [one["left"] for one in await client.tokens() if one["needs_approval"]] == [1]
    await client.decide(waiting["id"], "approve", reason="expected")
    await keeper.tend()
    assert agent.credentials[0]["credentialSubject"]["id"] == agent.did


async def test_an_agent_that_is_rejected_hears_of_it(parties: Deployed, tmp_path: Path) -> None:
    agent, issuer, client = fresh(tmp_path, "unwanted"), parties.urls["issuer"], operator(parties)
    token = (await client.create_token("stock", needs_approval=True))["token"]
    with pytest.raises(AuthorizationPending):
        await agent.enrol_with(issuer, token)
    (waiting,) = await client.enrolments()
    await client.decide(waiting["id"], "reject", reason="nobody knows it")
    assert (await agent.enrolling(issuer).state())["verdict"] == "rejected"


async def test_a_workload_comes_with_its_platforms_word_and_again_after_a_restart(
    parties: Deployed, tmp_path: Path
) -> None:
    issuer, platform = parties.urls["issuer"], Platform(issuer="spiffe://shop.example")
    await operator(parties).put_rule("pods", rule(issuer=platform.issuer, jwks=platform.jwks()))
    dids = []
    for number in range(2):  # a pod has no disk that stays
        agent = fresh(tmp_path / str(number), "stock-0")

        async def enrol(agent: Agent = agent) -> Any:
            return await agent.attest(issuer, platform.token(aud=issuer, now=START))

        await Keeper(agent, issuer, enrol=enrol, clock=lambda: START).tend()
        dids.append(agent.did)
    (found,) = [row for row in await operator(parties).keys(dids[1]) if row["did"] == dids[0]]
    assert found["why"] == "rebound"


KILLED = """
import asyncio, os, signal, sys
from datetime import datetime
from pathlib import Path
from did_agent.agent import Agent
from did_agent.client.own import OwnRecord
from did_agent.wallet import Wallet
step, folder, name, issuer, now = sys.argv[1:]

def ending(holder, method, *, after):
    call = getattr(holder, method)
    def kill(*args, **kwargs):
        if after:
            call(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    async def kill_async(*args, **kwargs):
        if after:
            await call(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(holder, method, kill_async if asyncio.iscoroutinefunction(call) else kill)

steps = {
    "key made": (Wallet, "next_key", True),
    "before asking": (OwnRecord, "rotate", False),
    "answered": (OwnRecord, "rotate", True),
    "kept": (Agent, "add_credential", True),
    "before promoting": (Wallet, "promote", False),
    "promoted": (Wallet, "promote", True),
}
holder, method, after = steps[step]
ending(holder, method, after=after)
wallet = Wallet(Path(folder))
agent = Agent(name, wallet.key(name), wallet, clock=lambda: datetime.fromisoformat(now))
asyncio.run(agent.rotate(issuer))
"""


@pytest.mark.req("KEY-01")
@pytest.mark.parametrize("step", ["key made", "before asking", "answered", "kept", "before promoting", "promoted"])
async def test_a_kill_at_any_step_of_a_rotation_leaves_a_key_that_works(
    parties: Deployed, tmp_path: Path, step: str
) -> None:
    name, issuer = step.replace(" ", "-"), parties.urls["issuer"]
    agent, _ = await enrolled(parties, tmp_path, name)
    command = [sys.executable, "-c", KILLED, step, str(tmp_path), name, issuer, START.isoformat()]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False, env={**os.environ})
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    found = again(tmp_path, name)
    await Keeper(found, issuer, clock=lambda: START).tend()
    assert found.did != agent.did
    assert not found.is_changing_keys
    assert (await found.own_record(issuer).standing())["did"] == found.did
    assert any(held["credentialSubject"]["id"] == found.did for held in found.credentials)
    keys = await operator(parties).keys(found.did)
    assert sorted((key["did"] == found.did, key["ended"] is None) for key in keys) == [(False, False), (True, True)]
