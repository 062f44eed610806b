"""An issuer that is killed and started again, beside a bridge and a ledger that go on: real processes, real SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from did_agent.adapters.failpoints import VARIABLE
from did_agent.agent import Agent
from did_agent.cli.deployment import Deployment, Urls, initialise
from did_agent.errors import DidAgentError, Unavailable

COMMAND = (sys.executable, "-c", "from did_agent.cli.main import main; main()")
LIVENESS = 30.0  # s a start may take on a busy machine before something is wrong
RESOURCE = "http://127.0.0.1:9/mcp"
CAPABILITY = {"resource": [RESOURCE], "tools": {"list_menu": {}}}


class Died(Exception):
    """The issuer did not answer: it is dead."""


@dataclass
class Killed:
    """Three processes; the issuer keeps its records in `database`, the others in files."""

    data: Path
    base: int
    database: str | None
    started: list[float] = field(default_factory=list)  # s from start to ready, of each start after a kill
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.deployment = Deployment(urls=Urls.on_ports_from(self.base), data=self.data)
        initialise(self.data)
        self.issuer = self.deployment.issuer  # one client, which keeps its token

    def open(self) -> None:
        for party in ("bridge", "ledger"):
            self._start(party)

    def start(self, failpoints: str = "") -> None:
        begun = time.monotonic()
        extra = {VARIABLE: failpoints} if failpoints else {}
        if self.database is not None:
            extra["DID_AGENT_DATABASE_URL"] = self.database
        self._start("issuer", **extra)
        self.started.append(time.monotonic() - begun)

    def kill(self) -> None:
        """End the issuer as a power cut would."""
        process = self._running.pop("issuer", None)
        if process is None:
            return
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=LIVENESS)

    def dies_within(self, seconds: float) -> bool:
        if "issuer" not in self._running:
            return True
        try:
            ended = self._running["issuer"].wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        assert ended == -signal.SIGKILL
        del self._running["issuer"]
        return True

    def close(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait(timeout=LIVENESS)

    def log(self) -> str:
        return (self.data.parent / "issuer.log").read_text()

    def _start(self, party: str, **extra: str) -> None:
        own = {key: value for key, value in os.environ.items() if not key.startswith("DID_AGENT_")}
        environment = {**own, **self.deployment.urls.environment(), "DID_AGENT_DATA": str(self.data), **extra}
        with (self.data.parent / f"{party}.log").open("ab") as log:
            process = subprocess.Popen([*COMMAND, party], env=environment, stdout=log, stderr=log)
        self._running[party] = process
        url, deadline = getattr(self.deployment.urls, f"{party}_url"), time.monotonic() + LIVENESS
        while time.monotonic() < deadline:
            if process.poll() == -signal.SIGKILL:
                return  # at a point that its first steps reach
            if process.poll() is not None:
                raise RuntimeError((self.data.parent / f"{party}.log").read_text())
            try:
                if httpx2.get(f"{url}/readyz", trust_env=False, timeout=2).is_success:
                    return
            except httpx2.HTTPError:
                time.sleep(0.01)
        raise RuntimeError(f"{party} did not start")

    async def events(self) -> Counter[tuple[str, str]]:
        """Return how often each action was recorded for each target, when the ledger has all of it."""
        chunks = [chunk async for chunk in self.deployment.ledger.export()]
        rows = [json.loads(line) for line in b"".join(chunks).splitlines()]
        seen = [row["event"] for row in rows if isinstance(row.get("event"), dict)]
        assert len({event["id"] for event in seen}) == len(seen)
        allowed = [one for one in seen if one["party"] == "issuer" and one["decision"] == "allow"]
        return Counter((one["action"], one["target"]) for one in allowed)


@dataclass
class Life:
    """What one agent went through: what was acknowledged, and what a dead issuer may or may not have done."""

    name: str
    killed: Killed
    expected: Counter[tuple[str, str]] = field(default_factory=Counter)
    agent: dict[str, Any] = field(default_factory=dict)
    credential: str = ""
    state: str = "none"
    revoked: bool = False

    async def live(self) -> None:
        """Go on with what is left of this life.  Raises: Died."""
        for step in (self.create, self.enrol, self.issue, self.suspend, self.resume, self.revoke, self.retire):
            try:
                await step()
            except (Unavailable, httpx2.HTTPError) as error:
                raise Died from error

    async def create(self) -> None:
        if self.state == "none":
            made = await self.killed.issuer.create_agent(name=self.name, sponsor="Operations")
            self.agent, self.state = made, "pending"
            self.expected["agent.create", made["agent_id"]] = 1

    async def enrol(self) -> None:
        if self.state == "pending" and "enrolment" in self.agent:
            held = Agent.create(self.name, path=self.killed.data / "wallet") if not self._held() else self._load()
            url = self.killed.deployment.urls.issuer_url
            await held.enrol(url, self.agent["agent_id"], self.agent["enrolment"]["challenge"])
            self.state = "active"
            await self._look()

    async def issue(self) -> None:
        if self.state == "active" and not self.credential:
            issuer = self.killed.issuer
            self.credential = (await issuer.issue_credential(self.agent["agent_id"], capabilities=[CAPABILITY]))[
                "credential"
            ]["id"]
            self.expected["credential.issue", self.credential] = 1

    async def suspend(self) -> None:
        if self.state == "active" and not self._done("suspend"):
            await self._change("suspend", "suspended")

    async def resume(self) -> None:
        if self.state == "suspended":
            await self._change("resume", "active")

    async def revoke(self) -> None:
        if self.credential and not self.revoked:
            await self.killed.issuer.revoke_credential(self.credential, reason="test")
            self.revoked = True
            self.expected["credential.revoke", self.credential] += 1

    async def retire(self) -> None:
        if self.state == "active":
            await self._change("retire", "retired")

    async def compare(self) -> None:
        """Look what there is after a kill: all that was acknowledged, and of the step that was not all or nothing."""
        found = [one for one in await self.killed.issuer.agents(name=self.name) if one["name"] == self.name]
        if self.state == "none" and not found:
            return
        (there,) = found  # acknowledged, so it is there; once
        if self.state == "none":
            self.agent, self.state = there, "pending"
            self.expected["agent.create", there["agent_id"]] = 1
        assert there["agent_id"] == self.agent["agent_id"]
        if there["state"] != self.state:
            change = STEPS[self.state, there["state"]]  # one step further, never two, never back
            self.state = there["state"]
            target = there["agent_id"] if change == "enrol" else there["did"]
            self.expected[f"agent.{change}", target] += 1
        if there["did"] is not None:
            self.agent["did"] = there["did"]
        await self._compare_credentials()

    async def _compare_credentials(self) -> None:
        held = await self.killed.issuer.credentials(agent=self.agent["agent_id"])
        assert len(held) <= 1
        if self.credential:
            assert [one["id"] for one in held] == [self.credential]
        elif held:
            self.credential = held[0]["id"]
            self.expected["credential.issue", self.credential] = 1
        if held:
            is_revoked = held[0]["state"] == "revoked"
            assert is_revoked or not self.revoked
            if is_revoked and not self.revoked:
                self.revoked = True
                self.expected["credential.revoke", self.credential] += 1

    async def _change(self, change: Any, state: str) -> None:
        await self.killed.issuer.change_agent(self.agent["agent_id"], change, reason="test")
        self.state = state
        self.expected[f"agent.{change}", self.agent["did"]] += 1

    async def _look(self) -> None:
        self.expected["agent.enrol", self.agent["agent_id"]] += 1
        self.agent["did"] = (await self.killed.issuer.agent(self.agent["agent_id"]))["did"]

    def _done(self, change: str) -> bool:
        return self.expected[f"agent.{change}", self.agent.get("did", "")] > 0

    def _held(self) -> bool:
        return self.name in self.killed.deployment.wallet.names() or (self.killed.data / "wallet" / self.name).exists()

    def _load(self) -> Agent:
        return Agent.load(self.name, path=self.killed.data / "wallet")


STEPS: Mapping[tuple[str, str], str] = {
    ("pending", "active"): "enrol",
    ("active", "suspended"): "suspend",
    ("suspended", "active"): "resume",
    ("active", "retired"): "retire",
}


def doubled(lives: Sequence[Life], events: Counter[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, int]]:
    """Return every decision that was recorded less or more often than it was made: (made, recorded)."""
    expected: Counter[tuple[str, str]] = Counter()
    for life in lives:
        expected += life.expected
    return {key: (expected[key], events[key]) for key in expected | events if expected[key] != events[key]}


__all__ = ["Died", "DidAgentError", "Killed", "Life", "doubled"]
