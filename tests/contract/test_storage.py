"""What every store promises: spent once, all or nothing, and still there after it was opened again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, func, select

from did_agent.adapters.outbox import outbox_table, record
from did_agent.adapters.sql import open_database, purge_spent, single_use_table, spend, transaction
from did_agent.audit.checkpoint import Checkpoint, sign_checkpoint
from did_agent.audit.event import AuditEvent
from did_agent.audit.export import verify_export
from did_agent.audit.merkle import root_of
from did_agent.credential.capability import parse_bare_capability
from did_agent.credential.issuance import new_id
from did_agent.did.key import did_key
from did_agent.errors import Misconfigured, NotFound, StateConflict
from did_agent.keys.ed25519 import SigningKey
from did_agent.ports import SpendOnce
from issuer.adapters.sql import SQLStore
from issuer.adapters.sql import metadata as issuer_tables
from issuer.enrolment import digest_of, invite
from issuer.granting import grant_capabilities
from issuer.model import Agent, Notice
from issuer.status_lists import LIST_SIZE, require_size
from ledger.adapters.sql import SQLLog
from ledger.adapters.sql import metadata as ledger_tables
from ledger.model import Question
from ledger.sealing import Sealer
from verifier.adapters.spool import Spool

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = SigningKey.from_seed(b"1" * 32)
Opened = Callable[[MetaData], Any]


def event(number: int, **changes: Any) -> AuditEvent:
    honest = AuditEvent(
        id=f"urn:uuid:{number}",
        time=NOW,
        source=did_key(KEY.public),
        party="verifier",
        principal="smith",
        principal_kind="user",
        actors=("did:key:zA", "did:key:zB"),
        client_id="did:key:zA",
        action="tool.call",
        target="create_order",
        resource="https://mcp.example/mcp",
        argument_digest=None,
        decision="allow",
        reason="allowed",
        explanation="because",
        policy="intersection/1",
        credential_ids=(),
        token_id=None,
        evidence=None,
        request_id=None,
        details={},
    )
    return replace(honest, **changes)


def sign(size: int, root: bytes) -> str:
    return sign_checkpoint(Checkpoint(origin="ledger.example", size=size, root=root), KEY)


@pytest.mark.req("VCX-01", "OAU-02")
async def test_fifty_at_once_spend_a_value_exactly_once(opened: Opened) -> None:
    metadata = MetaData()
    table = single_use_table(metadata, "contract")
    async with opened(metadata) as engine:

        async def attempt() -> bool:
            async with transaction(engine) as connection:
                return await spend(connection, table, "challenge", "one", NOW + timedelta(minutes=1))

        assert sum(await asyncio.gather(*(attempt() for _ in range(50)))) == 1
        async with transaction(engine) as connection:
            assert await spend(connection, table, "jti", "one", NOW + timedelta(minutes=1))
            await purge_spent(connection, table, NOW + timedelta(minutes=2))
            assert await spend(connection, table, "challenge", "one", NOW + timedelta(minutes=3))


@pytest.mark.req("AUD-01")
async def test_an_effect_and_its_event_are_written_together_or_not_at_all(opened: Opened) -> None:
    metadata = MetaData()
    table, outbox = single_use_table(metadata, "contract"), outbox_table(metadata, "contract")
    async with opened(metadata) as engine:
        with pytest.raises(NotFound):
            async with transaction(engine) as connection:
                await spend(connection, table, "challenge", "one", NOW)
                await record(connection, outbox, event(1))
                raise NotFound("changed my mind")
        async with transaction(engine) as connection:
            assert await spend(connection, table, "challenge", "one", NOW)
            await record(connection, outbox, event(1))
        async with transaction(engine) as connection:
            assert (await connection.execute(select(func.count()).select_from(outbox))).scalar_one() == 1


@pytest.mark.req("AUD-04")
async def test_eight_writers_leave_no_gap_and_no_fork(opened: Opened) -> None:
    async with opened(ledger_tables) as engine:
        log = SQLLog(engine, Sealer(KEY))

        async def write(writer: int) -> None:
            for batch in range(5):
                numbers = range(writer * 100 + batch * 10, writer * 100 + batch * 10 + 3)
                await log.append([event(number) for number in numbers], sign=sign, now=NOW)

        await asyncio.gather(*(write(writer) for writer in range(8)))
        assert await log.size() == 120
        rows = await log.rows(Question(limit=200))
        assert [row.seq for row in rows] == list(range(1, 121))
        lines = [line async for line in log.export()]
        found = verify_export(lines, origin="ledger.example", key=KEY.public)
        assert (found.size, found.checkpoints) == (120, 40)
        assert found.root == root_of(await log.leaves(120))


@pytest.mark.req("AUD-01", "AUD-04")
async def test_an_event_is_taken_once_and_never_changed(opened: Opened) -> None:
    async with opened(ledger_tables) as engine:
        log = SQLLog(engine, Sealer(KEY))
        first = await log.append([event(1), event(2)], sign=sign, now=NOW)
        assert (first.accepted, first.duplicates, first.size) == (2, 0, 2)
        again = await log.append([event(2), event(3)], sign=sign, now=NOW)
        assert (again.accepted, again.duplicates, again.size) == (1, 1, 3)
        changed = await log.append([event(2, decision="deny")], sign=sign, now=NOW)
        assert (changed.accepted, changed.duplicates, changed.refused) == (0, 0, ("urn:uuid:2",))
        assert await log.size() == 3
    async with opened(ledger_tables) as engine:
        assert (await SQLLog(engine, Sealer(KEY)).append([event(4)], sign=sign, now=NOW)).size == 4


async def test_the_log_answers_by_person_agent_tool_and_decision(opened: Opened) -> None:
    async with opened(ledger_tables) as engine:
        log = SQLLog(engine, Sealer(KEY))
        await log.append(
            [
                event(1),
                event(2, target="delete_order", decision="deny"),
                event(3, principal="did:key:zB", principal_kind="agent", actors=()),
                event(4, principal="jones", actors=("did:key:zC",)),
            ],
            sign=sign,
            now=NOW,
        )

        async def found(**question: Any) -> list[int]:
            return [row.seq for row in await log.rows(Question(**question))]

        assert await found(principal="smith") == [1, 2]
        assert await found(actor="did:key:zB") == [1, 2, 3]
        assert await found(target="delete_order") == [2]
        assert await found(decision="deny", principal="jones") == []
        assert await found(newest=True, limit=2) == [3, 4]
        assert await found(after=2, limit=1) == [3]


def agent(name: str) -> Agent:
    return Agent(
        agent_id=new_id(),
        name=name,
        sponsor="Operations",
        description="",
        metadata={},
        redirect_uris=(),
        state="pending",
        did=None,
        created=NOW,
        changed=NOW,
    )


async def test_the_issuers_store_keeps_agents_credentials_and_news(opened: Opened) -> None:
    one = agent("one")
    challenge, enrolment = invite(one.agent_id, now=NOW)
    capabilities = [parse_bare_capability({"resource": ["https://mcp.example/mcp"], "tools": {"a": {}}})]
    async with opened(issuer_tables) as engine:
        store = SQLStore(engine)
        async with store.work() as work:
            await work.add_agent(one, enrolment, skeleton="one")
        with pytest.raises(StateConflict):
            async with store.work() as work:
                await work.add_agent(agent("One"), enrolment, skeleton="one")
        active = replace(one, state="active", did=did_key(KEY.public))
        async with store.work() as work:
            assert not await work.spend_enrolment(one.agent_id, digest_of("guess"), NOW)
            assert await work.spend_enrolment(one.agent_id, digest_of(challenge), NOW)
            assert not await work.spend_enrolment(one.agent_id, digest_of(challenge), NOW)
            await work.change_agent(active)
            (lease,) = await work.lease(
                "home", 1, issuer="did:key:zI", size=LIST_SIZE, capacity=require_size(LIST_SIZE)
            )
            place = next(lease.places())
            grant = grant_capabilities(
                active,
                capabilities,
                key=KEY,
                issuer_url="https://issuer.example",
                place=place,
                valid_seconds=60,
                max_depth=0,
                on_behalf_of=None,
                now=NOW,
            )
            assert await work.add_grant(grant)
            assert not await work.add_grant(replace(grant, id=new_id()))
            assert await work.revoke_grant(grant.id, NOW)
            assert not await work.revoke_grant(grant.id, NOW)
            await work.flip_credentials([grant.id], "revocation", value=True)
            await work.add_notice(Notice(id="n1", kind="credential-revoked", subject=grant.id, reason="x", at=NOW))
            await work.record(event(1))
    async with opened(issuer_tables) as engine, SQLStore(engine).work() as work:
        assert await work.agent(one.agent_id, organisation=None) == active
        assert await work.agent(str(active.did), organisation="home") == active
        assert (await work.grants(organisation="home", agent_id=one.agent_id, state="revoked", now=NOW, limit=5))[
            0
        ].revoked == NOW
        assert await work.grants(organisation="home", agent_id=one.agent_id, state="active", now=NOW, limit=5) == []
        flips = await work.flips(place.list_number, after=None, since=0, limit=5)
        assert [(flip.purpose, flip.place, flip.value) for flip in flips] == [("revocation", grant.list_index, True)]
        assert [notice.id for notice in await work.notices(5)] == ["n1"]
        await work.remove_notices(["n1"])
        assert await work.notices(5) == []


async def test_a_key_belongs_to_one_agent(opened: Opened) -> None:
    async with opened(issuer_tables) as engine:
        store = SQLStore(engine)
        first, second = agent("first"), agent("second")
        async with store.work() as work:
            for one in (first, second):
                await work.add_agent(one, invite(one.agent_id, now=NOW)[1], skeleton=one.name)
            await work.change_agent(replace(first, did="did:key:zA", state="active"))
        with pytest.raises(StateConflict):
            async with store.work() as work:
                await work.change_agent(replace(second, did="did:key:zA", state="active"))


def test_only_the_two_databases_are_opened() -> None:
    with pytest.raises(Misconfigured):
        open_database("mysql://localhost/x")


@pytest.mark.req("VCX-01", "AUD-01", "FCL")
async def test_the_guards_spool_spends_once_survives_and_is_bounded(tmp_path: Path) -> None:
    from did_agent.errors import AuditUnavailable

    spool = Spool(tmp_path / "spool.db", clock=lambda: NOW, max_waiting=2)
    as_port: SpendOnce = spool
    assert await as_port.spend("presentation", "k", expires=NOW + timedelta(seconds=60))
    assert not await as_port.spend("presentation", "k", expires=NOW + timedelta(seconds=60))
    await spool.record(event(1))
    await spool.record(event(2))
    with pytest.raises(AuditUnavailable):
        await spool.record(event(3))
    spool.close()
    again = Spool(tmp_path / "spool.db", clock=lambda: NOW, max_waiting=2)
    assert not await again.spend("presentation", "k", expires=NOW + timedelta(seconds=60))
    with pytest.raises(AuditUnavailable):
        await again.record(event(3))
    again.close()
