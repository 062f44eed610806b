"""What the log promises beyond storing: every event its parties may record is taken, by any number of writers, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import MetaData

from did_agent.adapters.sql import create_schema, open_database
from did_agent.audit.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint
from did_agent.audit.event import AuditEvent, parse_event
from did_agent.audit.export import verify_export
from did_agent.audit.merkle import is_consistent, is_included, root_of
from did_agent.did.key import did_key
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import NotFound
from did_agent.keys.ed25519 import SigningKey
from ledger.adapters.sql import MAX_NAME, SQLLog, metadata
from ledger.model import Question
from ledger.sealing import Sealer
from ledger.service import LedgerService

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = SigningKey.from_seed(b"l" * 32)
ORIGIN = "ledger.example"
Opened = Callable[[MetaData], Any]
EVENT = AuditEvent(
    id="urn:uuid:0",
    time=NOW,
    source=did_key(KEY.public),
    party="verifier",
    principal="smith",
    principal_kind="user",
    actors=("did:key:zA",),
    client_id="did:key:zA",
    action="tool.call",
    target="create_order",
    resource="https://mcp.example/mcp",
    argument_digest=None,
    decision="deny",
    reason="agent_not_capable",
    explanation="because",
    policy="intersection/1",
    credential_ids=(),
    token_id=None,
    evidence=None,
    request_id=None,
    details={},
)


def event(number: int, **changes: Any) -> AuditEvent:
    return replace(EVENT, id=f"urn:uuid:{number}", **changes)


def sign(size: int, root: bytes) -> str:
    return sign_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=root), KEY)


async def proved(log: SQLLog) -> int:
    lines = [line async for line in log.export()]
    return verify_export(lines, origin=ORIGIN, key=KEY.public).size


STRANGE = {
    "too long for a column": "t" * (MAX_NAME + 1),
    "as long as a column": "t" * MAX_NAME,
    "long in bytes": "\N{GRINNING FACE}" * MAX_NAME,
    "with a NUL": "delete\0order",
    "with quotes": "'; DROP TABLE ledger_events; --",
    "with what a bulk load escapes": "a\\b\tc\nd\re\\N\\.",
    "of other scripts": "\u202eredro\u2066",
}


@pytest.mark.req("AUD-01", "LIM-01")
@pytest.mark.parametrize("strange", STRANGE.values(), ids=list(STRANGE))
async def test_a_name_that_a_caller_chose_can_not_hold_up_the_log(opened: Opened, strange: str) -> None:
    said = event(1, target=strange, principal=strange, actors=(strange, "did:key:zA"), action=strange)
    assert parse_event(parse_object(said.canonical())) == said  # nothing before the log refuses it
    async with opened(metadata) as engine:
        log = SQLLog(engine, Sealer(KEY))
        taken = await log.append([event(0), said, event(2)], sign=sign, now=NOW)
        assert (taken.accepted, taken.size) == (3, 3)
        for name in ("target", "principal", "actor", "action"):
            (row,) = await log.rows(Question(**{name: strange}))
            assert row.event == said, name
        assert [row.seq for row in await log.rows(Question(actor="did:key:zA"))] == [1, 2, 3]
        assert (await log.append([said], sign=sign, now=NOW)).duplicates == 1
        assert await proved(log) == 3


@pytest.mark.req("AUD-04")
async def test_eight_replicas_write_one_log(database_url: str) -> None:
    engines = [open_database(database_url) for _ in range(8)]
    await create_schema(engines[0], metadata)

    async def write(replica: int) -> tuple[int, int]:
        log, accepted, duplicates = SQLLog(engines[replica], Sealer(KEY)), 0, 0
        for batch in range(6):
            # Every second batch is delivered by all of them, as after answers that were lost.
            first = batch * 10 if batch % 2 else 1_000 * (replica + 1) + batch * 10
            taken = await log.append([event(first + offset) for offset in range(3)], sign=sign, now=NOW)
            accepted, duplicates = accepted + taken.accepted, duplicates + taken.duplicates
        return accepted, duplicates

    counts = await asyncio.gather(*(write(replica) for replica in range(8)))
    own, shared = 8 * 3 * 3, 3 * 3
    assert sum(accepted for accepted, _ in counts) == own + shared
    assert sum(duplicates for _, duplicates in counts) == 7 * shared
    log = SQLLog(engines[0], Sealer(KEY))
    rows = await log.rows(Question(limit=500))
    assert [row.seq for row in rows] == list(range(1, own + shared + 1))
    assert len({row.event.id for row in rows}) == own + shared
    assert await proved(log) == own + shared
    for engine in engines:
        await engine.dispose()


@pytest.mark.req("AUD-01", "AUD-04")
async def test_what_can_not_be_signed_is_not_written_and_leaves_no_gap(opened: Opened) -> None:
    def away(_size: int, _root: bytes) -> str:
        raise NotFound("no key")

    async with opened(metadata) as engine:
        log = SQLLog(engine, Sealer(KEY))
        await log.append([event(1)], sign=sign, now=NOW)
        with pytest.raises(NotFound):
            await log.append([event(2), event(3)], sign=away, now=NOW)
        taken = await log.append([event(1, decision="allow")], sign=sign, now=NOW)
        assert (taken.accepted, taken.duplicates, taken.refused) == (0, 0, ("urn:uuid:1",))
        assert await log.size() == 1
        assert (await log.append([event(3)], sign=sign, now=NOW)).size == 2
        assert [row.event.id for row in await log.rows(Question())] == ["urn:uuid:1", "urn:uuid:3"]
        assert await proved(log) == 2


@pytest.mark.req("AUD-03")
async def test_every_row_and_every_earlier_state_is_proved_against_its_checkpoint(opened: Opened) -> None:
    async with opened(metadata) as engine:
        log = SQLLog(engine, Sealer(KEY))
        service = LedgerService(
            log=log,
            key=KEY,
            url="https://ledger.example",
            origin=ORIGIN,
            sources=frozenset(),
            clock=lambda: NOW,
        )
        earlier = []
        for number in range(1, 8):
            await service.record(event(number))
            earlier.append(verify_checkpoint(str(await log.checkpoint()), origin=ORIGIN, key=KEY.public))
        newest = earlier[-1]
        assert [checkpoint.size for checkpoint in earlier] == list(range(1, 8))
        for row in await log.rows(Question()):
            size, root, path = await service.prove_inclusion(row.seq)
            assert (size, root) == (newest.size, newest.root)
            assert is_included(row.leaf, row.seq - 1, newest.size, path, newest.root)
        for checkpoint in earlier:
            path = await service.prove_consistency(checkpoint.size, newest.size)
            assert is_consistent(checkpoint.size, newest.size, checkpoint.root, newest.root, path)
        for seq in (0, 8):
            with pytest.raises(NotFound):
                await service.prove_inclusion(seq)
        for old, new in ((0, 7), (5, 4), (1, 8)):
            with pytest.raises(NotFound):
                await service.prove_consistency(old, new)


@pytest.mark.req("AUD-03")
async def test_an_export_is_complete_over_several_pages(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.adapters.sql.EXPORT_PAGE", 4)
    async with opened(metadata) as engine:
        log = SQLLog(engine, Sealer(KEY))
        assert [line async for line in log.export()] == []
        for batch in range(3):
            await log.append([event(batch * 10 + offset) for offset in range(3)], sign=sign, now=NOW)
        lines = [line async for line in log.export()]
        found = verify_export(lines, origin=ORIGIN, key=KEY.public)
        assert (found.size, found.checkpoints, found.root) == (9, 3, root_of(await log.leaves(9)))
