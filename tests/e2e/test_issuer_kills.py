"""SIGKILL at every named point of the issuer's writing, and at random: what was acknowledged is there, nothing twice."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psycopg
import pytest
from processes import free_base

from did_agent.errors import Unavailable
from tests.fakes.killed_issuer import LIVENESS, Died, Killed, Life, doubled

POSTGRES = os.environ.get("DID_AGENT_TEST_POSTGRES")
NIGHTLY = "DID_AGENT_NIGHTLY" in os.environ
ROUNDS = 100 if NIGHTLY else 3
# A few of each kind for each database; by night all there are for both.
POINTS = {
    "sqlite": ("writing.issuer_agents", "committed.issuer_credentials", "delivery.sent"),
    "postgresql": ("wrote.issuer_outbox:2", "committing.issuer_agents:3", "news.sent"),
}
FIRST = {"sqlite": ("wrote.issuer_schema_revisions",), "postgresql": ("writing.issuer_schema_revisions",)}
NO_POSTGRES = pytest.mark.skipif(POSTGRES is None, reason="no PostgreSQL: run the tests through tests/with_postgres.py")


BOTH = pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=NO_POSTGRES)])


@contextmanager
def opened(folder: Path, database: str) -> Iterator[Killed]:
    """Yield a new deployment whose issuer was never started."""
    url = None
    if database == "postgresql":
        assert POSTGRES is not None
        name = f"kills_{uuid.uuid4().hex}"
        with psycopg.connect(POSTGRES.replace("+psycopg", ""), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}".encode())
        url = POSTGRES.rsplit("/", 1)[0] + f"/{name}"
    folder.mkdir()
    made = Killed(data=folder / "data", base=free_base(), database=url)
    try:
        made.open()
        yield made
    finally:
        made.close()


class Story:
    """Lives, one after the other, each gone on with after a kill."""

    def __init__(self, killed: Killed) -> None:
        self.killed, self.lives = killed, [Life(name=f"agent-{uuid.uuid4().hex[:8]}", killed=killed)]

    async def go_on(self) -> None:
        last = self.lives[-1]
        # An agent whose invitation nobody heard stays as it is.
        if last.state == "retired" or (last.state == "pending" and "enrolment" not in last.agent):
            self.lives.append(Life(name=f"agent-{uuid.uuid4().hex[:8]}", killed=self.killed))
        await self.lives[-1].live()

    async def compare(self) -> None:
        try:
            await self.lives[-1].compare()
        except (Unavailable, httpx2.HTTPError) as error:
            raise Died from error

    async def settled(self) -> None:
        """Wait until the ledger has what was done, and see that it has it once."""
        ids = {life.agent.get("agent_id") for life in self.lives} | {life.agent.get("did") for life in self.lives}
        ids |= {life.credential for life in self.lives}
        deadline = time.monotonic() + LIVENESS
        while True:
            events = {key: times for key, times in (await self.killed.events()).items() if key[1] in ids}
            left = doubled(self.lives, type(self.lives[0].expected)(events))
            if not left or time.monotonic() > deadline:
                assert left == {}
                return
            await asyncio.sleep(0.1)

    async def until_dead(self, point: str) -> None:
        """Go on where the last death left off, until the next one, at a point or at random."""
        self.killed.start(point)
        ending = None if point else asyncio.create_task(self._kill())
        try:
            for _ in range(5 if point else 1_000):  # some points are not of every life
                await self.compare()
                await self.go_on()
                assert not point or not self.killed.dies_within(0)
            assert self.killed.dies_within(LIVENESS), f"{point} was never reached"
        except Died:
            if ending is not None:
                await ending
            else:
                assert self.killed.dies_within(LIVENESS)

    async def _kill(self) -> None:
        await asyncio.sleep(secrets.randbelow(500) / 1_000)
        self.killed.kill()


async def points_of(killed: Killed) -> tuple[list[str], list[str]]:
    """Return the points that the first start alone reaches, and those of a life."""
    story = Story(killed)
    killed.start("trace")
    killed.kill()
    first = killed.log()
    killed.start("trace")
    await story.go_on()
    await story.settled()
    killed.kill()
    lasting = _reached(killed.log().removeprefix(first))
    return sorted(_reached(first) - lasting), sorted(lasting)


def _reached(log: str) -> set[str]:
    return set(re.findall(r"reached ([\w.]+)", log))


@BOTH
@pytest.mark.req("AUD-01", "REV-01", "OPS-06")
async def test_no_death_loses_or_doubles_anything(tmp_path: Path, database: str) -> None:
    with opened(tmp_path / "one", database) as killed:
        few = POINTS[database]
        points: Sequence[str] = (await points_of(killed))[1] if NIGHTLY else few
        assert {point.partition(":")[0] for point in few} <= {point.partition(":")[0] for point in points}
        story = Story(killed)
        for point in [*points, *[""] * ROUNDS]:
            await story.until_dead(point)
        killed.start()
        await story.compare()
        await story.go_on()
        await story.settled()
        killed.kill()
        starts = f"starts: {min(killed.started):.2f} to {max(killed.started):.2f} s"
        print(f"\n{len(points)} points, {ROUNDS} kills at random, {len(story.lives)} lives; {starts}")
        assert max(killed.started) < LIVENESS


@BOTH
@pytest.mark.req("AUD-01", "OPS-06")
async def test_a_first_start_that_dies_is_begun_again(tmp_path: Path, database: str) -> None:
    few = FIRST[database]
    points: Sequence[str] = few
    if NIGHTLY:
        with opened(tmp_path / "traced", database) as killed:
            points = (await points_of(killed))[0]
        assert set(few) <= set(points)
    for point in points:
        with opened(tmp_path / point, database) as killed:
            killed.start(point)
            assert killed.dies_within(LIVENESS), f"{point} was never reached"
            killed.start()
            story = Story(killed)
            await story.go_on()
            await story.settled()
    print(f"\n{len(points)} points of a first start: {points}")
