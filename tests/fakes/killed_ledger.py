"""A replica of the ledger's writing side that is made to be killed: four writers, each saying what was acknowledged.

`python -m tests.fakes.killed_ledger URL REPLICA FROM,FROM,FROM,FROM` goes on for ever, each writer from its batch on.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime

from did_agent.adapters.sql import open_database
from did_agent.audit.checkpoint import Checkpoint, sign_checkpoint
from did_agent.audit.event import AuditEvent
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from ledger.adapters.sql import SQLLog
from ledger.sealing import Sealer

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = SigningKey.from_seed(b"l" * 32)
ORIGIN = "ledger.example"
WRITERS, BATCH = 4, 5
EVENT = AuditEvent(
    id="urn:uuid:0",
    time=NOW,
    source=did_key(KEY.public),
    party="verifier",
    principal="smith",
    principal_kind="user",
    actors=("did:key:zA",),
    client_id=None,
    action="tool.call",
    target="create\\order\t'quoted'\nline",
    resource=None,
    argument_digest=None,
    decision="allow",
    reason="allowed",
    explanation="because",
    policy=None,
    credential_ids=(),
    token_id=None,
    evidence=None,
    request_id=None,
    details={},
)


def ids(replica: int, writer: int, batch: int) -> list[str]:
    return [f"urn:test:{replica}-{writer}-{batch}-{number}" for number in range(BATCH)]


def sign(size: int, root: bytes) -> str:
    return sign_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=root), KEY)


async def write(log: SQLLog, replica: int, writer: int, batch: int) -> None:
    while True:
        events = [replace(EVENT, id=name) for name in ids(replica, writer, batch)]
        await log.append(events, sign=sign, now=NOW)
        print(writer, batch, flush=True)
        batch += 1


async def main(url: str, replica: int, begin: list[int]) -> None:
    log = SQLLog(open_database(url), Sealer(KEY))
    await asyncio.gather(*(write(log, replica, writer, batch) for writer, batch in enumerate(begin)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), [int(one) for one in sys.argv[3].split(",")]))
