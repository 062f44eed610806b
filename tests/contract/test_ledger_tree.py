"""The tree of the log on both databases: proofs from kept nodes, taken over from older schemas, and never a fork signed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import MetaData, delete, insert, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters.migrations import prepare_schema, upgrade
from did_agent.adapters.sql import open_database, transaction
from did_agent.audit.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint
from did_agent.audit.export import verify_export
from did_agent.audit.merkle import Frontier, is_consistent, is_included, leaf_hash
from did_agent.errors import BadLog, StoreUnavailable
from ledger.adapters.sql import SQLLog, metadata
from ledger.adapters.tables import checkpoints, events, nodes, state
from ledger.migrations import SCHEMA
from ledger.model import Question
from ledger.sealing import Sealer
from ledger.service import LedgerService
from tests.contract.test_ledger_log import KEY, NOW, ORIGIN, event, sign

Opened = Callable[[MetaData], Any]


def service_of(log: SQLLog) -> LedgerService:
    return LedgerService(
        log=log, key=KEY, url="https://ledger.example", origin=ORIGIN, sources=frozenset(), clock=lambda: NOW
    )


async def grown(log: SQLLog, *sizes: int, first: int = 0) -> int:
    for size in sizes:
        await log.append([event(number) for number in range(first, first + size)], sign=sign, now=NOW)
        first += size
    return first


async def require_proofs(log: SQLLog, *rows: int) -> None:
    """Every one of `rows` is in every signed state that covers it, and each state grew out of the one before."""
    service = service_of(log)
    signed = [verify_checkpoint(one.note, origin=ORIGIN, key=KEY.public) for one in await log.checkpoints(0, 100)]
    for old, new in zip(signed, signed[1:], strict=False):
        path = await service.prove_consistency(old.size, new.size)
        assert is_consistent(old.size, new.size, old.root, new.root, path)
    for row in rows:
        (found,) = await log.rows(Question(after=row - 1, limit=1))
        for one in signed:
            if row <= one.size:
                size, root, path = await service.prove_inclusion(row, one.size)
                assert (size, root) == (one.size, one.root)
                assert is_included(found.leaf, row - 1, size, path, root)


@pytest.mark.req("AUD-03", "AUD-04")
async def test_proofs_hold_at_every_signed_size(opened: Opened) -> None:
    async with opened(metadata) as engine:
        log = SQLLog(engine, Sealer(KEY))
        await grown(log, 1, 200, 54, 1, 1, 300)
        await require_proofs(log, 1, 2, 200, 255, 256, 257, 400, 512, 513, 557)
        async with transaction(engine) as connection:
            await connection.execute(delete(nodes))
        with pytest.raises(StoreUnavailable, match="nodes of the log are missing"):
            await service_of(log).prove_inclusion(300)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    found = open_database(database_url)
    yield found
    await found.dispose()


async def as_first_release(engine: AsyncEngine, rows: range) -> None:
    """Write rows as the release of revision 0001 did: without nodes, and without saying so."""
    async with transaction(engine) as connection:
        found = (await connection.execute(text("SELECT size, frontier FROM ledger_state"))).one_or_none()
        joined = bytes(found.frontier) if found else b""
        roots = [joined[place : place + 32] for place in range(0, len(joined), 32)]
        frontier = Frontier(found.size if found else 0, roots)
        for number in rows:
            canonical = event(number).canonical()
            frontier.append(leaf_hash(canonical))
            row = {"seq": frontier.size, "id": f"urn:uuid:{number}", "leaf": leaf_hash(canonical)}
            said = {"event": canonical.decode(), "principal": "smith", "decision": "deny"}
            await connection.execute(
                text(
                    "INSERT INTO ledger_events (seq, id, leaf, event, principal, decision) "
                    "VALUES (:seq, :id, :leaf, :event, :principal, :decision)"
                ),
                {**row, **said},
            )
        edge = {"size": frontier.size, "frontier": b"".join(frontier.roots)}
        statement = "UPDATE ledger_state SET size = :size, frontier = :frontier"
        if found is None:
            statement = "INSERT INTO ledger_state (id, size, frontier) VALUES (1, :size, :frontier)"
        await connection.execute(text(statement), edge)
        note = sign(frontier.size, frontier.root())
        await connection.execute(insert(checkpoints).values(size=frontier.size, note=note, made=0))


@pytest.mark.req("AUD-03", "OPS-05")
async def test_a_log_of_the_first_schema_goes_on_with_all_its_rows(engine: AsyncEngine) -> None:
    await upgrade(engine, SCHEMA, to="0001")
    await as_first_release(engine, range(400))
    await prepare_schema(engine, SCHEMA, migrate="start")
    log = SQLLog(engine, Sealer(KEY))
    await require_proofs(log, 1, 256, 300)  # proofs alone take the nodes up
    await grown(log, 200, first=400)
    await as_first_release(engine, range(600, 900))  # a process of that release, still running beside
    await grown(log, 3, first=900)
    await require_proofs(log, 1, 512, 700, 768, 903)
    assert (await log.append([event(5)], sign=sign, now=NOW)).duplicates == 1
    lines = [line async for line in log.export()]
    assert verify_export(lines, origin=ORIGIN, key=KEY.public).size == 903


@pytest.mark.req("AUD-03", "AUD-04")
async def test_a_log_that_was_taken_back_or_changed_gets_no_signature(opened: Opened) -> None:
    async with opened(metadata) as engine:
        log = SQLLog(engine, Sealer(KEY))
        await grown(log, 3)
        before = (await log.checkpoints(0, 10))[-1]
        async with transaction(engine) as connection:
            kept = (await connection.execute(state.select())).one()
        await grown(log, 2, first=3)
        async with transaction(engine) as connection:  # as a backup would bring it back
            await connection.execute(delete(events).where(events.c.seq > 3))
            await connection.execute(delete(checkpoints).where(checkpoints.c.size > 3))
            await connection.execute(update(state).values(size=3, frontier=kept.frontier, noded=3))
        with pytest.raises(StoreUnavailable, match="does not extend the 5 rows"):
            await grown(log, 1, first=9)
        assert (await log.checkpoints(0, 10))[-1] == before
        async with transaction(engine) as connection:  # a single root of the edge
            forged = Frontier(3, [leaf_hash(b"a"), leaf_hash(b"b")])
            await connection.execute(update(state).values(frontier=b"".join(forged.roots)))
        with pytest.raises(StoreUnavailable, match="not the state that was signed last"):
            await grown(SQLLog(engine, Sealer(KEY)), 1, first=9)
        assert await log.size() == 3


@pytest.mark.req("AUD-03", "AUD-04")
async def test_two_replicas_go_on_from_each_other_and_from_no_fork(database_url: str, engine: AsyncEngine) -> None:
    await prepare_schema(engine, SCHEMA, migrate="start")
    other = open_database(database_url)
    one, two = SQLLog(engine, Sealer(KEY)), SQLLog(other, Sealer(KEY))
    await grown(one, 2)
    await grown(two, 300, first=2)
    await grown(one, 3, first=302)
    await require_proofs(two, 1, 305)
    async with transaction(engine) as connection:  # rewritten, with nodes, edge and note that fit each other
        changed = replace(event(0), decision="allow")
        rows = [changed.canonical(), *[event(number).canonical() for number in range(1, 400)]]
        frontier = Frontier()
        inner = frontier.extend([leaf_hash(row) for row in rows])
        await connection.execute(delete(nodes))
        for (level, number), node in inner:
            await connection.execute(insert(nodes).values(level=level, number=number, hash=node))
        await connection.execute(update(events).where(events.c.seq == 1).values(leaf=leaf_hash(rows[0])))
        for number in range(305, 400):
            row = {"seq": number + 1, "id": f"urn:uuid:{number}", "leaf": leaf_hash(rows[number]), "event": "{}"}
            await connection.execute(insert(events).values(row))
        edge = {"size": 400, "frontier": b"".join(frontier.roots), "noded": 400}
        await connection.execute(update(state).values(**edge))
        note = sign_checkpoint(Checkpoint(origin=ORIGIN, size=400, root=frontier.root()), KEY)
        await connection.execute(insert(checkpoints).values(size=400, note=note, made=0))
    for log, rows_signed in ((one, 305), (two, 302)):
        with pytest.raises(StoreUnavailable, match=f"does not extend the {rows_signed} rows"):
            await grown(log, 1, first=1_000)
    await other.dispose()


@pytest.mark.req("WEB-02", "AUD-03")
async def test_an_organisation_sees_its_rows_and_proves_them_in_the_one_log(opened: Opened) -> None:
    async with opened(metadata) as engine:
        log = SQLLog(engine, Sealer(KEY))
        theirs = {"organisation": "acme"}
        await log.append(
            [event(1), event(2, details=theirs), event(3, details={"organisation": "home"})], sign=sign, now=NOW
        )
        assert [row.seq for row in await log.rows(Question(organisation="acme"))] == [2]
        assert [row.seq for row in await log.rows(Question())] == [1, 2, 3]
        assert await log.rows(Question(organisation="acme", id="urn:uuid:1")) == []
        lines = [line async for line in log.export("acme")]
        assert b"urn:uuid:1" not in b"".join(lines)
        found = verify_export(lines, origin=ORIGIN, key=KEY.public, some_withheld=True)
        assert (found.size, found.withheld) == (3, 2)
        with pytest.raises(BadLog, match="^row 1 "):
            verify_export(lines, origin=ORIGIN, key=KEY.public)
