"""Two replicas of four writers each, killed again and again in the middle of it: one chain, no gap, no loss, no double.

Four kills in a run; DID_AGENT_NIGHTLY=1 makes it three minutes.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from did_agent.adapters.migrations import prepare_schema
from did_agent.adapters.sql import open_database
from did_agent.audit.export import verify_export
from ledger.adapters.sql import SQLLog
from ledger.migrations import SCHEMA
from ledger.model import Question
from ledger.sealing import Sealer
from tests.contract.conftest import database_url
from tests.contract.test_ledger_tree import require_proofs
from tests.fakes.killed_ledger import KEY, ORIGIN, WRITERS, ids

__all__ = ["database_url"]

ROOT = Path(__file__).parents[2]
KILLS = 2  # of each replica
NIGHT = 180.0  # s
MOST_LINES = 15  # acknowledgements a process lives for


def lives(url: str, replica: int) -> list[int]:
    """Let one replica live and die; return from which batch each of its writers would go on."""
    chosen = random.Random(replica)  # noqa: S311  # moments, not secrets
    begin = [0] * WRITERS
    until = time.monotonic() + NIGHT if os.environ.get("DID_AGENT_NIGHTLY") else 0.0
    for life in count():
        if life >= KILLS and time.monotonic() >= until:
            return begin
        arguments = [url, str(replica), ",".join(map(str, begin))]
        command = [sys.executable, "-m", "tests.fakes.killed_ledger", *arguments]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(chosen.randint(1, MOST_LINES)):
                writer, batch = map(int, process.stdout.readline().split())
                begin[writer] = batch + 1
            process.kill()
            for line in process.stdout:  # acknowledged before it died
                if line.endswith("\n"):
                    writer, batch = map(int, line.split())
                    begin[writer] = batch + 1
    raise AssertionError


@pytest.mark.req("AUD-01", "AUD-03", "AUD-04")
async def test_killed_replicas_leave_one_chain(database_url: str) -> None:
    engine = open_database(database_url)
    await prepare_schema(engine, SCHEMA, migrate="start")
    reached = await asyncio.gather(*(asyncio.to_thread(lives, database_url, replica) for replica in range(2)))
    log = SQLLog(engine, Sealer(KEY))
    size = await log.size()
    rows = []
    while len(rows) < size:
        rows += await log.rows(Question(after=len(rows), limit=500))
    assert [row.seq for row in rows] == list(range(1, size + 1))
    found = [row.event.id for row in rows]
    assert len(set(found)) == size
    acknowledged = {
        name
        for replica, begin in enumerate(reached)
        for writer, end in enumerate(begin)
        for batch in range(end)
        for name in ids(replica, writer, batch)
    }
    assert acknowledged <= set(found)
    assert len(set(found) - acknowledged) <= 2 * WRITERS * 5  # committed, not answered any more
    lines = [line async for line in log.export()]
    assert verify_export(lines, origin=ORIGIN, key=KEY.public).size == size
    await require_proofs(log, 1, size // 2, size)
    await engine.dispose()
