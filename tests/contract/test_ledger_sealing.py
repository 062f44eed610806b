"""Personal fields in the log: sealed, shown, searched, erased; and no proof is lost by it (AUD-05)."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters.sql import create_schema, open_database, transaction
from did_agent.audit.event import AuditEvent
from did_agent.audit.export import verify_export
from did_agent.audit.personal import is_sealed, personal_fields
from did_agent.audit.rows import leaf_of
from did_agent.errors import BadKey, BadLog
from did_agent.keys.ed25519 import SigningKey
from ledger.adapters.seals import forget, to_erase
from ledger.adapters.sql import SQLLog, metadata
from ledger.adapters.tables import events as rows_kept
from ledger.adapters.tables import seals
from ledger.model import Erased, Erasure, Question
from ledger.sealing import Sealer
from tests.contract.test_ledger_log import KEY, NOW, ORIGIN, event, proved, sign

Opened = Callable[[MetaData], Any]
NUMBERS = itertools.count(100_000)
LAST_MONTH = NOW - timedelta(days=30)
SMITH = {"principal": "smith-of-acme", "explanation": "smith-of-acme may not"}
TRAIL = (
    event(1, **SMITH, details={"trace_id": "abc", "note": "asked by smith-of-acme"}),
    event(2, **SMITH, time=LAST_MONTH),
    event(3, principal="jones"),
    event(4, principal="did:key:zAgent", principal_kind="agent", actors=()),
    event(5, principal="jones", action="user.groups", target="smith-of-acme", explanation="jones on smith-of-acme"),
    event(6, **SMITH, details={"organisation": "acme"}),
)


@pytest.fixture
async def kept(opened: Opened) -> AsyncIterator[tuple[AsyncEngine, SQLLog]]:
    async with opened(metadata) as engine:
        log = SQLLog(engine, Sealer(KEY))
        await log.append(TRAIL, sign=sign, now=NOW)
        yield engine, log


async def erase(log: SQLLog, **erasure: Any) -> Erased:
    def told(erased: Erased) -> AuditEvent:
        return event(next(NUMBERS), principal=None, principal_kind=None, action="audit.erase", target=None)

    return await log.erase(Erasure(**erasure), told=told, sign=sign, now=NOW)


async def shown(log: SQLLog, **question: Any) -> list[AuditEvent]:
    return [row.event for row in await log.rows(Question(**question))]


async def everything(engine: AsyncEngine) -> str:
    """Return every value of every table, as a thief of the database has them."""
    found = []
    async with transaction(engine) as connection:
        for table in metadata.sorted_tables:
            found += [str(tuple(row)) for row in (await connection.execute(select(table))).all()]
    return "\n".join(found)


@pytest.mark.req("AUD-05")
async def test_what_is_kept_names_nobody_and_what_is_shown_is_what_was_delivered(kept: Any) -> None:
    engine, log = kept
    held = await everything(engine)
    assert "smith" not in held
    assert "jones" not in held
    assert "did:key:zAgent" in held
    assert await shown(log) == list(TRAIL)
    for row in await log.rows(Question()):
        assert leaf_of(row.event.to_json(), row.salts) == row.leaf
    assert [sorted(row.salts) for row in await log.rows(Question(limit=4))] == [
        ["details.note", "explanation", "principal"],
        ["explanation", "principal"],
        ["principal"],
        [],
    ]
    assert await proved(log) == len(TRAIL)


@pytest.mark.req("AUD-05")
async def test_people_are_found_by_their_names(kept: Any) -> None:
    _, log = kept
    assert [one.id for one in await shown(log, principal="smith-of-acme")] == [TRAIL[at].id for at in (0, 1, 5)]
    assert [one.id for one in await shown(log, actor="smith-of-acme")] == [TRAIL[at].id for at in (0, 1, 5)]
    assert [one.id for one in await shown(log, target="smith-of-acme")] == [TRAIL[4].id]
    assert [one.id for one in await shown(log, actor="did:key:zAgent")] == [TRAIL[3].id]
    assert await shown(log, principal="smith") == []


@pytest.mark.req("AUD-05")
async def test_an_erased_person_is_nowhere_and_every_proof_holds(kept: Any) -> None:
    engine, log = kept
    before = {row.seq: row.leaf for row in await log.rows(Question())}
    bundled = [line async for line in log.export()]
    assert await erase(log, person="smith-of-acme") == Erased(keys=3, rows=4)
    left = await shown(log)
    assert "smith" not in json.dumps([one.to_json() for one in left])
    assert await everything(engine) == (await everything(engine)).replace(Sealer(KEY).mark("smith-of-acme"), "")
    assert [is_sealed(one.principal or "") for one in left[:6]] == [True, True, False, False, False, True]
    # What names two is gone with either; what names the other alone stays.
    assert (left[4].principal, is_sealed(left[4].target or ""), is_sealed(left[4].explanation)) == ("jones", True, True)
    assert left[0].details["trace_id"] == "abc"
    for asked in ({"principal": "smith-of-acme"}, {"actor": "smith-of-acme"}, {"target": "smith-of-acme"}):
        assert await shown(log, **asked) == []
    assert len(await shown(log, principal="jones")) == 2
    for row in (await log.rows(Question()))[:6]:
        assert row.leaf == before[row.seq]
        assert leaf_of(row.event.to_json(), row.salts) == row.leaf
    assert await proved(log) == len(TRAIL) + 1
    # An export from before it still verifies: who kept a copy has a copy.
    assert verify_export(bundled, origin=ORIGIN, key=KEY.public).size == len(TRAIL)


@pytest.mark.req("AUD-05")
async def test_months_and_organisations_end_alone(kept: Any) -> None:
    _, log = kept
    assert await erase(log, before="2026-11") == Erased(keys=1, rows=1)
    assert [is_sealed(one.principal or "") for one in await shown(log, limit=6)] == [False, True] + [False] * 4
    assert await erase(log, person="smith-of-acme", organisation="acme") == Erased(keys=1, rows=1)
    assert [is_sealed(one.principal or "") for one in await shown(log, limit=6)] == [False, True] + [False] * 3 + [True]
    assert (await erase(log, person="nobody")).keys == 0
    assert not await log.is_any_sealed(Erasure(before="2026-11"))
    assert await log.is_any_sealed(Erasure(before="2026-12"))


@pytest.mark.req("AUD-05", "AUD-04")
async def test_what_comes_again_is_known_before_and_after_its_erasure(kept: Any) -> None:
    _, log = kept
    for _ in range(2):
        again = await log.append(TRAIL, sign=sign, now=NOW)
        assert (again.accepted, again.duplicates, again.refused) == (0, len(TRAIL), ())
        changed = event(1, **SMITH, decision="allow", details=dict(TRAIL[0].details))
        assert (await log.append([changed], sign=sign, now=NOW)).refused == (changed.id,)
        await erase(log, person="smith-of-acme")
    renamed = event(3, principal="somebody-else")
    assert (await log.append([renamed], sign=sign, now=NOW)).refused == (renamed.id,)
    assert await shown(log, principal="smith-of-acme") == []


@pytest.mark.req("AUD-05")
async def test_an_erasure_that_broke_off_is_finished_by_the_next(kept: Any) -> None:
    engine, log = kept
    async with transaction(engine) as connection:
        places = await to_erase(connection, Erasure(person="smith-of-acme"), Sealer(KEY))
    await forget(engine, places)
    assert [one.id for one in await shown(log)] == [one.id for one in TRAIL]
    assert (await shown(log))[0].principal == "smith-of-acme"  # nobody said yet that it was erased
    assert (await erase(log, person="smith-of-acme")).keys == 3
    assert is_sealed((await shown(log))[0].principal or "")


@pytest.mark.req("AUD-01", "AUD-05")
async def test_many_people_are_erased_in_parts_each_with_its_record(kept: Any) -> None:
    _, log = kept
    people = [event(number, principal=f"person-{number}", time=LAST_MONTH) for number in range(1_000, 1_700)]
    for first in range(0, len(people), 100):
        await log.append(people[first : first + 100], sign=sign, now=NOW)
    erased = await erase(log, before="2026-11")
    assert erased == Erased(keys=701, rows=701)  # and the one of the trail
    records = await shown(log, action="audit.erase")
    assert len(records) == 2
    assert not await log.is_any_sealed(Erasure(before="2026-11"))
    assert await proved(log) == len(TRAIL) + 700 + 2


@pytest.mark.req("AUD-05")
async def test_who_comes_back_after_an_erasure_is_sealed_anew(kept: Any) -> None:
    _, log = kept
    await erase(log, person="smith-of-acme")
    await log.append([event(50, **SMITH)], sign=sign, now=NOW)
    assert [one.id for one in await shown(log, principal="smith-of-acme")] == ["urn:uuid:50"]
    assert (await erase(log, person="smith-of-acme")).keys == 1


@pytest.mark.req("AUD-03", "AUD-05")
async def test_boxes_that_were_swapped_show_nothing_false(kept: Any) -> None:
    engine, log = kept
    async with transaction(engine) as connection:
        other = await connection.scalar(select(rows_kept.c.sealed).where(rows_kept.c.seq == 3))
        await connection.execute(update(rows_kept).where(rows_kept.c.seq == 1).values(sealed=other))
    first = (await log.rows(Question(limit=1)))[0]
    assert is_sealed(first.event.principal or "")
    assert leaf_of(first.event.to_json(), first.salts) == first.leaf
    assert await proved(log) == len(TRAIL)


@pytest.mark.req("AUD-05")
async def test_the_database_alone_opens_nothing(kept: Any) -> None:
    engine, _ = kept
    thief = SQLLog(engine, Sealer(SigningKey.generate()))
    with pytest.raises(BadKey):
        await thief.rows(Question())


@pytest.mark.req("AUD-05")
def test_a_salt_for_no_field_and_a_false_opening_are_no_leaf() -> None:
    honest = TRAIL[0].to_json()
    with pytest.raises(BadLog):
        leaf_of(honest, {"nothing": "c2FsdA"})
    with pytest.raises(BadLog):
        leaf_of(honest, {"evidence": "c2FsdA"})
    assert leaf_of(honest, {"principal": "c2FsdA"}) != leaf_of(honest, {"principal": "c2FsdB"})


@pytest.mark.req("AUD-05")
@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({}, {"principal"}),
        ({"principal": "https://login.example/users/7"}, {"principal"}),  # a user, whatever the name looks like
        ({"principal": "did:key:zA", "principal_kind": "service"}, set()),
        ({"principal": "desk", "principal_kind": "service"}, {"principal"}),  # an operator may be a person
        ({"principal": "did:key:zA", "principal_kind": "agent"}, set()),
        ({"principal": None, "action": "user.login", "target": "guessed"}, {"target"}),
        ({"principal": None, "action": "risk.signal", "target": "jones"}, {"target"}),
        ({"principal": None, "action": "risk.signal", "target": "did:key:zB"}, set()),
        ({"principal": None, "action": "role.assign", "target": "buyer user jones"}, {"target"}),
        ({"principal": None, "action": "role.assign", "target": "buyer agent urn:uuid:1"}, set()),
        ({"principal": None, "details": {"for": "jones", "name": "of jones"}}, {"details.for", "details.name"}),
        ({"details": {"note": "by smith", "organisation": "smith-and-sons"}}, {"principal", "details.note"}),
        ({"client_id": "app-of-smith", "explanation": "smith may"}, {"principal", "client_id", "explanation"}),
    ],
)
def test_which_fields_name_people(changes: dict[str, Any], fields: set[str]) -> None:
    assert set(personal_fields(event(1, **changes).to_json())) == fields


@pytest.mark.req("AUD-05")
async def test_a_deleted_key_is_not_in_the_files_any_more(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'ledger.db'}")
    await create_schema(engine, metadata)
    log = SQLLog(engine, Sealer(KEY))
    await log.append(TRAIL, sign=sign, now=NOW)
    async with transaction(engine) as connection:
        wrapped = [bytes(one) for one in (await connection.execute(select(seals.c.key))).scalars()]

    def lying_there() -> list[bytes]:
        files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        return [key for key in wrapped if key in files]

    assert len(lying_there()) == len(wrapped) == 4
    await erase(log, before="2027-01")
    assert lying_there() == []
    await engine.dispose()
