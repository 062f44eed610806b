"""How fast the ledger is: events taken in, proofs given, and an exported log checked, at growing sizes.

`python benchmarks/ledger_log.py [--events 100000] [--verified 100000] [--postgres URL]` prints JSON.  A delivery goes
through the whole use case: its sender's signature, strict reading, hashing, the tree, one durable transaction, a signed
checkpoint.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import secrets
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters.sql import create_schema, open_database
from did_agent.audit.checkpoint import Checkpoint, sign_checkpoint
from did_agent.audit.delivery import MAX_BATCH, batch_request, fitting
from did_agent.audit.event import AuditEvent
from did_agent.audit.export import export_checkpoint, export_row, verify_export
from did_agent.audit.merkle import Frontier, leaf_hash
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from ledger.adapters.sql import SQLLog, metadata
from ledger.sealing import Sealer
from ledger.service import LedgerService

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY, PARTY = SigningKey.from_seed(b"l" * 32), SigningKey.from_seed(b"p" * 32)
URL, ORIGIN = "https://ledger.example", "ledger.example"
PROOFS = 300  # of each kind, at random places
COVERED = 1_000  # rows from one checkpoint of an export to the next
EVENT = AuditEvent(
    id="urn:uuid:00000000-0000-4000-8000-000000000000",
    time=NOW,
    source=did_key(PARTY.public),
    party="verifier",
    principal="smith@example.com",
    principal_kind="user",
    actors=("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",),
    client_id="did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
    action="tool.call",
    target="create_order",
    resource="https://mcp.example/mcp",
    argument_digest="sha-256:RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o",
    decision="allow",
    reason="allowed",
    explanation="the rule for ordering applies",
    policy="intersection/1",
    credential_ids=("urn:uuid:00000000-0000-4000-8000-00000000000c",),
    token_id="0b1f2c3d-0000-4000-8000-00000000000t",  # an id, not a token
    evidence="sha-256:RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o",
    request_id="0b1f2c3d-0000-4000-8000-00000000000r",
    details={"form": "jwt"},
)


def event(number: int) -> AuditEvent:
    return replace(
        EVENT,
        id=f"urn:uuid:{uuid.UUID(bytes=hashlib.sha256(b'%d' % number).digest()[:16])}",  # spread like real ones
        principal=f"person{number % 1_000}@example.com",
        target=f"tool{number % 50}",
    )


def deliveries(first: int, count: int, size: int) -> Iterator[tuple[str, bytes]]:
    """Yield deliveries of at most `size` events, as many as a sender puts into one."""
    end = first + count
    while first < end:
        texts = [event(number).canonical().decode() for number in range(first, min(first + size, end))]
        texts = texts[: fitting(texts)]
        first += len(texts)
        _, headers, body = batch_request(texts, ledger_url=URL, key=PARTY, now=NOW)
        yield headers["Authorization"].removeprefix("Bearer "), body


def service_of(engine: AsyncEngine) -> LedgerService:
    return LedgerService(
        log=SQLLog(engine, Sealer(KEY)),
        key=KEY,
        url=URL,
        origin=ORIGIN,
        sources=frozenset({did_key(PARTY.public)}),
        clock=lambda: NOW,
    )


async def taken(service: LedgerService, events: int, size: int) -> dict[str, float]:
    begin = await service.log.size()
    walls: list[float] = []
    burnt = 0.0
    for token, body in deliveries(begin, events, size):
        cpu, wall = time.process_time(), time.perf_counter()
        await service.take(token, body)
        walls.append(time.perf_counter() - wall)
        burnt += time.process_time() - cpu
    return {
        "events_per_second": round(events / sum(walls)),
        "events_per_cpu_second": round(events / burnt),
        "events_a_delivery": round(events / len(walls)),
        "p50_ms": round(median(walls) * 1_000, 2),
        "p99_ms": round(quantiles(walls, n=100)[98] * 1_000, 2) if len(walls) > 1 else 0.0,
    }


async def proved(service: LedgerService) -> dict[str, float]:
    size = await service.log.size()
    inclusion, consistency = [], []
    for _ in range(PROOFS):
        began = time.perf_counter()
        await service.prove_inclusion(secrets.randbelow(size) + 1)
        inclusion.append(time.perf_counter() - began)
        began = time.perf_counter()
        await service.prove_consistency(secrets.randbelow(size) + 1, size)
        consistency.append(time.perf_counter() - began)
    return {
        f"{name}_{of}_ms": round(said(walls) * 1_000, 2)
        for name, walls in (("inclusion", inclusion), ("consistency", consistency))
        for of, said in (("p50", median), ("max", max))
    }


async def measured(url: str, events: int) -> dict[str, Any]:
    engine = open_database(url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
    await create_schema(engine, metadata)
    service = service_of(engine)
    found: dict[str, Any] = {}
    for size in (100, MAX_BATCH):
        found[f"intake_by_{size}"] = await taken(service, events // 2, size)
    found["proofs"] = {"events": await service.log.size(), **await proved(service)}
    await engine.dispose()
    return found


def verified(count: int) -> dict[str, float]:
    """Check an exported log from a file, with nothing but the key."""
    with tempfile.NamedTemporaryFile() as file:
        frontier = Frontier()
        for number in range(1, count + 1):
            row = event(number)
            frontier.append(leaf_hash(row.canonical()))
            file.write(export_row(number, row))
            if number % COVERED == 0 or number == count:
                checkpoint = Checkpoint(origin=ORIGIN, size=number, root=frontier.root())
                file.write(export_checkpoint(sign_checkpoint(checkpoint, KEY)))
        file.flush()
        began = time.perf_counter()
        with Path(file.name).open("rb") as lines:
            found = verify_export(lines, origin=ORIGIN, key=KEY.public)
        wall = time.perf_counter() - began
    return {"events": found.size, "seconds": round(wall, 2), "of_a_million_s": round(wall / count * 1e6, 1)}


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--events", type=int, default=100_000)
    reader.add_argument("--verified", type=int, default=100_000)
    reader.add_argument("--postgres", default=os.environ.get("DID_AGENT_TEST_POSTGRES"))
    chosen = reader.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        found["sqlite"] = asyncio.run(measured(f"sqlite:///{folder}/ledger.db", chosen.events))
    if chosen.postgres:
        found["postgresql"] = asyncio.run(measured(chosen.postgres, chosen.events))
    if chosen.verified:
        found["offline"] = verified(chosen.verified)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
