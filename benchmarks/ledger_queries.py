"""How long a page of the log takes, for every filter and the worst pairs of them, with many rows behind it.

`python benchmarks/ledger_queries.py [--rows 200000] [--postgres URL] [--folder PATH]` fills a log through its own
append, asks each question some times, and prints JSON: ms a page of 100 rows, median and worst, and rows a second while
filling.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.ledger_log import EVENT, KEY, ORIGIN, URL
from did_agent.adapters.sql import create_schema, open_database
from did_agent.audit.checkpoint import Checkpoint, sign_checkpoint
from did_agent.clock import format_milliseconds, system_clock
from ledger.adapters.sql import SQLLog, metadata
from ledger.model import Entry, Question, entry_of
from ledger.sealing import Sealer
from ledger.service import LedgerService

NOW = datetime(2026, 11, 23, tzinfo=UTC)
BATCH, TIMES = 2_000, 15
AGENTS = [f"did:key:z6Mk{hashlib.sha256(b'%d' % number).hexdigest()[:44]}" for number in range(500)]
STEP = timedelta(milliseconds=500)


def entry(number: int) -> Entry:
    """Return one event of many people, agents and tools; one in a hundred is refused, one in ten thousand oddly."""
    refused = number % 100 == 7
    return entry_of(
        replace(
            EVENT,
            id=f"urn:uuid:{uuid.UUID(bytes=hashlib.sha256(b'%d' % number).digest()[:16])}",
            time=NOW + number * STEP,
            principal=f"person{number * 7919 % 5_000}@example.com",
            actors=(AGENTS[number % 500], AGENTS[number * 31 % 500]),
            target=f"tool{number % 50}",
            decision="deny" if refused else "allow",
            reason=("revoked" if number % 10_000 == 7 else "agent_not_capable") if refused else "allowed",
            credential_ids=(f"urn:uuid:{uuid.UUID(int=number // 200)}",),
            request_id=str(uuid.UUID(int=number)),
            details={"form": "jwt", **({"organisation": "acme"} if number % 20 == 0 else {})},
        )
    )


def questions(rows: int) -> dict[str, Question]:
    """Return every kind of page."""
    middle = NOW + rows // 2 * STEP
    person, agent = "person0@example.com", AGENTS[3]
    asked: dict[str, dict[str, Any]] = {
        "newest": {},
        "in the middle": {"before": rows // 2},
        "person": {"principal": person},
        "agent in the chain": {"actor": agent},
        "tool": {"target": "tool7"},
        "refused": {"decision": "deny"},
        "rare reason": {"reason": "revoked"},
        "request": {"request_id": str(uuid.UUID(int=rows // 3))},
        "credential": {"credential": f"urn:uuid:{uuid.UUID(int=rows // 600)}"},
        "organisation": {"organisation": "acme"},
        "an hour": {"since": format_milliseconds(middle), "until": format_milliseconds(middle + timedelta(hours=1))},
        "person and refused": {"principal": person, "decision": "deny"},
        "agent and refused": {"actor": agent, "decision": "deny"},
        "agent and rare reason": {"actor": agent, "reason": "revoked"},
        "tool and organisation": {"target": "tool7", "organisation": "acme"},
        "person in an hour": {"principal": person, "since": format_milliseconds(middle)},
        "nothing fits": {"principal": "nobody", "decision": "deny"},
        "nothing fits both": {"target": "tool8", "reason": "revoked"},
    }
    return {name: Question(newest=True, **one) for name, one in asked.items()}


async def measure(url: str, rows: int) -> dict[str, Any]:
    """Return what one database does."""
    engine = open_database(url)
    await create_schema(engine, metadata)
    log = SQLLog(engine, Sealer(KEY))

    def sign(size: int, root: bytes) -> str:
        return sign_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=root), KEY)

    begun = time.perf_counter()
    for first in range(await log.size(), rows, BATCH):
        batch: Sequence[Entry] = [entry(number) for number in range(first, min(rows, first + BATCH))]
        await log.append_entries(batch, sign=sign, now=NOW)
    filled = time.perf_counter() - begun
    pages = {name: await timed(lambda one=one: log.rows(one)) for name, one in questions(rows).items()}  # type: ignore[misc]
    service = LedgerService(log=log, key=KEY, url=URL, origin=ORIGIN, sources=frozenset(), clock=system_clock)
    proof = await timed(lambda: service.prove_inclusion(rows // 3, None))
    until = format_milliseconds(NOW + rows * STEP)
    usage = await timed(lambda: log.counts(format_milliseconds(NOW + rows * STEP - timedelta(days=1)), until, None))
    await engine.dispose()
    return {"rows": rows, "filled_per_s": round(rows / filled), "pages_ms": pages, "proof_ms": proof, "usage_ms": usage}


async def timed(ask: Any) -> dict[str, float]:
    """Return the median and the worst of some times, in ms."""
    found = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        await ask()
        found.append((time.perf_counter() - begun) * 1000)
    return {"median": round(median(found), 2), "worst": round(max(found), 2)}


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--postgres", help="SQLAlchemy URL of an empty database")
    parser.add_argument("--folder", help="where the file lies; its disk is measured")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        found = {"sqlite": asyncio.run(measure(f"sqlite:///{folder}/ledger.db", asked.rows))}
        if asked.postgres:
            found["postgresql"] = asyncio.run(measure(asked.postgres, asked.rows))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
