"""49 agents in four levels act through three guards; when their root credential is revoked, all of them stop.

Every party and every guard is a process of its own.  How long it took is printed (`pytest -s`).
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.adapters.trust import FILE
from did_agent.cli.deployment import Deployment, Urls, initialise
from did_agent.client.bridge import BridgeClient
from did_agent.client.errors import ServerRefused
from did_agent.client.issuer import IssuerClient
from did_agent.clock import system_clock
from did_agent.credential.capability import parse_capability
from did_agent.credential.issuance import attenuate
from did_agent.did.key import did_key
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present, present_jwt
from tests.fakes.guard_replica import PARTY, GuardReplica, Process
from tests.fakes.replica import free_port

RESOURCE = "http://127.0.0.1:9/mcp"  # what the guards are called, wherever they listen
PARTY_NAME = "urban-bites"
LEVELS = (1, 4, 12, 32)
PUSH_SECONDS = 2.0  # after which nobody is admitted where the feed is heard
PULL_SECONDS = 3  # s a status list is believed by the guard that hears no feed
PAUSE = 0.5  # s between the calls of one agent
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_menu", "arguments": {}}}


@dataclass
class Member:
    """One agent: it shows presentations, or a token that was made from one."""

    key: SigningKey = field(default_factory=SigningKey.generate)
    chain: list[dict[str, Any]] = field(default_factory=list)  # leaf first
    token: str | None = None

    @property
    def did(self) -> str:
        return did_key(self.key.public)

    def shown(self, *, presented: bool = False) -> str:
        if self.token is not None and not presented:
            return self.token
        return present_jwt(self.chain, key=self.key, audience=RESOURCE, now=system_clock())


@dataclass
class Log:
    """What each call met: when it was sent, who called where, and the status."""

    calls: list[tuple[float, Member, str, int]] = field(default_factory=list)

    def statuses(self, members: Sequence[Member], urls: Sequence[str], *, since: float) -> set[int]:
        return {status for sent, who, url, status in self.calls if sent >= since and who in members and url in urls}

    def last_accepted(self, members: Sequence[Member], urls: Sequence[str]) -> float:
        return max(sent for sent, who, url, status in self.calls if status == 200 and who in members and url in urls)


@dataclass
class Stage:
    """All processes, and the operator."""

    operator: Deployment
    bridge: Process
    guards: list[GuardReplica]  # they hear the feed
    pulling: GuardReplica  # it hears no feed
    log: Log = field(default_factory=Log)
    issuer: IssuerClient = field(init=False)

    def __post_init__(self) -> None:
        self.issuer = self.operator.issuer  # one, so that its token is fetched once

    async def enrol(self, member: Member, name: str) -> str:
        made = await self.issuer.create_agent(name=name, sponsor="Operations")
        challenge = made["enrolment"]["challenge"]
        issuer = self.operator.urls.issuer_url
        proof = present([], key=member.key, audience=issuer, challenge=challenge, now=system_clock())
        await self.issuer.enrol(made["agent_id"], proof)
        return str(made["agent_id"])

    async def grant(self, agent_id: str) -> dict[str, Any]:
        capability = {"resource": [RESOURCE], "tools": {"list_menu": {}}}
        answer = await self.issuer.issue_credential(agent_id, capabilities=[capability], max_depth=3)
        document: dict[str, Any] = answer["credential"]
        return document

    async def token(self, member: Member) -> str:
        bridge = BridgeClient(self.operator.urls.bridge_url)
        challenge = await bridge.challenge()
        shown = present(member.chain, key=member.key, audience=bridge.url, challenge=challenge, now=system_clock())
        return await bridge.exchange(shown, resource=RESOURCE)

    async def call(self, http: httpx2.AsyncClient, member: Member, guard: GuardReplica, *, presented: bool) -> None:
        sent = time.monotonic()
        headers = {"Authorization": f"Bearer {member.shown(presented=presented)}"}
        try:
            status = (await http.post(guard.url, json=CALL, headers=headers)).status_code
        except httpx2.HTTPError:
            status = 0  # the guard is being started again
        self.log.calls.append((sent, member, guard.url, status))

    async def listen(self, member: Member, guard: GuardReplica) -> float:
        """Listen to a stream until it ends in order; return when that was."""
        headers = {"Authorization": f"Bearer {member.shown()}"}
        async with (
            httpx2.AsyncClient(trust_env=False, timeout=10) as http,
            http.stream("GET", guard.url, headers=headers) as answer,
        ):
            assert answer.status_code == 200
            async for _ in answer.aiter_bytes():
                pass
        return time.monotonic()

    async def live(self, members: Sequence[Member]) -> None:
        """Have every agent call in a loop, at one guard after the other."""

        async def one(number: int, member: Member) -> None:
            await asyncio.sleep(PAUSE * number / len(members))
            async with httpx2.AsyncClient(trust_env=False, timeout=10) as http:
                for turn in range(1_000_000):
                    guard = self.guards[(turn + number) % len(self.guards)]
                    await self.call(http, member, guard, presented=False)
                    if turn % 2:
                        await self.call(http, member, self.pulling, presented=True)
                    await asyncio.sleep(PAUSE)

        await asyncio.gather(*(one(number, member) for number, member in enumerate(members)))


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    data = folder / "parties"
    initialise(data)
    host = "http://127.0.0.1"
    urls = Urls(
        bridge_url=f"{host}:{free_port()}", issuer_url=f"{host}:{free_port()}", ledger_url=f"{host}:{free_port()}"
    )
    environment = {**urls.environment(), "DID_AGENT_DATA": str(data)}
    bridge, issuer = (Process([*PARTY, name], environment) for name in ("bridge", "issuer"))
    guards = [guard(folder, data, f"guard-{number}", bridge=urls.bridge_url) for number in range(3)]
    pulling = guard(folder, data, "pulling", status=PULL_SECONDS)
    processes = [bridge, issuer, *(one.process for one in (*guards, pulling))]
    try:
        for process in processes:
            process.start()
        await bridge.await_answer(f"{urls.bridge_url}/readyz")
        await issuer.await_answer(f"{urls.issuer_url}/readyz")
        for one in (*guards, pulling):
            await asyncio.to_thread(one.process.await_ready)
        yield Stage(Deployment(urls=urls, data=data), bridge, guards, pulling)
    finally:
        for process in processes:
            process.kill()


def guard(
    folder: Path, parties: Path, name: str, *, bridge: str | None = None, status: int | None = None
) -> GuardReplica:
    own = folder / name
    (own / "keys").mkdir(parents=True, mode=0o700)
    shutil.copy(parties / FILE, own)
    # One party in several processes: the bridge gives its policy to parties it knows.
    shutil.copy(parties / "keys" / f"{PARTY_NAME}.jwk", own / "keys")
    found = GuardReplica({"resource": RESOURCE, "bridge": bridge, "data": str(own)})
    found.process.environment["DID_AGENT_GUARD_NAME"] = PARTY_NAME
    if status is not None:
        found.process.environment["DID_AGENT_STATUS_MAX_AGE"] = str(status)
    return found


async def grown(at: Stage) -> list[Member]:
    """Return 49 agents: each level holds what the one above handed on, by its own signature."""
    levels = [[Member() for _ in range(count)] for count in LEVELS]
    everyone = [member for level in levels for member in level]
    everyone[0].chain = [await at.grant(await at.enrol(everyone[0], "root"))]
    for above, below in zip(levels, levels[1:], strict=False):
        for number, member in enumerate(below):
            member.chain = handed_on(above[number % len(above)], member)
    for number, member in enumerate(everyone[::2]):  # only who wants tokens must be known to anybody
        if number:
            await at.enrol(member, f"agent-{number}")
        member.token = await at.token(member)
    return everyone


def handed_on(giver: Member, taker: Member) -> list[dict[str, Any]]:
    now = system_clock()
    parent: Mapping[str, Any] = giver.chain[0]
    capabilities = [parse_capability(entry) for entry in parent["credentialSubject"]["capability"]]
    end = min(now + timedelta(minutes=10), parse_timestamp(parent["validUntil"]))
    child = attenuate(parent, key=giver.key, subject=taker.did, capabilities=capabilities, valid_until=end, now=now)
    return [child, *giver.chain]


@pytest.mark.req("REV-01", "REV-02", "DEL-08")
async def test_all_49_agents_stop_when_the_root_is_revoked_and_stay_stopped(
    tmp_path: Path, record_property: Any
) -> None:
    async with stage(tmp_path) as at:
        await at.operator.bridge.put_resource(RESOURCE, name="Tools", tools={"list_menu": "See the menu"})
        tree = await grown(at)
        other = Member()  # of another root: whatever happens, it goes on
        other.chain = [await at.grant(await at.enrol(other, "other"))]
        other.token = await at.token(other)
        pushed, pulled = [one.url for one in at.guards], [at.pulling.url]
        living = asyncio.create_task(at.live([*tree, other]))
        streams = [asyncio.create_task(at.listen(member, at.guards[2])) for member in [*tree[::8], other]]
        try:
            await all_called(at, [*tree, other], pushed + pulled)
            assert not any(stream.done() for stream in streams)
            assert at.log.statuses([*tree, other], pushed + pulled, since=0) == {200}

            revoked = time.monotonic()
            done = await at.issuer.revoke_credential(tree[0].chain[0]["id"], reason="test")
            assert done["propagated"]
            await asyncio.sleep(PULL_SECONDS + 1)
            since = time.monotonic()
            await all_called(at, [*tree, other], pushed + pulled)
            push = max(at.log.last_accepted(tree, pushed) - revoked, 0)
            pull = max(at.log.last_accepted(tree, pulled) - revoked, 0)
            assert not streams[-1].done()
            cut = max([stream.result() for stream in streams[:-1]]) - revoked
            record_property("seconds", {"push": push, "pull": pull, "streams": cut})
            print(
                f"\nlast accepted call of {len(tree)} agents after revocation: {push:.2f} s by push, {pull:.2f} by pull"
            )
            print(f"last of {len(streams) - 1} open streams cut after {cut:.2f} s")
            assert cut <= PUSH_SECONDS
            assert push <= PUSH_SECONDS
            assert pull <= PULL_SECONDS + 1
            assert at.log.statuses(tree, pushed + pulled, since=since) == {401}

            # Neither a guard nor the bridge forgets, however they end.
            first = at.guards[0].process
            first.kill()
            first.start()
            await asyncio.to_thread(first.await_ready)
            await all_called(at, tree, [at.guards[0].url])
            at.bridge.kill()
            at.guards[1].process.kill()
            await asyncio.sleep(1)
            at.bridge.start()
            at.guards[1].process.start()
            await at.bridge.await_answer(f"{at.operator.urls.bridge_url}/readyz")
            await asyncio.to_thread(at.guards[1].process.await_ready)
            await all_called(at, tree, pushed)
            # 503: a guard that has not heard its bridge for too long judges nobody.
            assert at.log.statuses(tree, pushed + pulled, since=since) <= {401, 503, 0}
            for member in (tree[1], tree[-1]):
                with pytest.raises(ServerRefused):
                    await at.token(member)

            # It was not that nobody was let in.
            await all_called(at, [other], pushed, accepted=True)
            assert at.log.statuses([other], pushed + pulled, since=0) <= {200, 503, 0}
            assert at.log.last_accepted([other], pushed) > at.log.last_accepted(tree, pushed) + PULL_SECONDS
        finally:
            for task in (living, *streams):
                task.cancel()
            await asyncio.gather(living, *streams, return_exceptions=True)


async def all_called(at: Stage, members: Sequence[Member], urls: Sequence[str], *, accepted: bool = False) -> None:
    """Wait until every agent has had an answer, or been let in, by every one of these guards."""
    since, named = time.monotonic(), {(who.did, url) for who in members for url in urls}
    async with asyncio.timeout(20):
        while True:
            wanted = {200} if accepted else {status for *_, status in at.log.calls if status}
            answered = {(who.did, url) for sent, who, url, status in at.log.calls if sent >= since and status in wanted}
            if named <= answered:
                return
            await asyncio.sleep(0.1)
