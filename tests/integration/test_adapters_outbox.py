"""The delivery of audit events: in order, until confirmed, through restarts and failures of either side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import MetaData, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from did_agent.adapters import outbox as module
from did_agent.adapters.outbox import Delivery, new_event_id, outbox_table, record
from did_agent.adapters.party import listen, serving
from did_agent.adapters.sql import create_schema, open_database, transaction
from did_agent.adapters.web import harden
from did_agent.audit.delivery import MAX_BATCH, fitting, verify_batch
from did_agent.audit.event import MAX_EVENT_BYTES, AuditEvent
from did_agent.did.key import did_key
from did_agent.encoding.strict_json import MAX_BODY
from did_agent.errors import StoreUnavailable, Unavailable
from did_agent.keys.ed25519 import SigningKey

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = SigningKey.from_seed(b"7" * 32)
PATIENCE = 30  # s until a test that hangs is a failure


def event(target: str, *, explanation: str = "because") -> AuditEvent:
    return AuditEvent(
        id=new_event_id(),
        time=NOW,
        source=did_key(KEY.public),
        party="bridge",
        principal=None,
        principal_kind=None,
        actors=(),
        client_id=None,
        action="token.issue",
        target=target,
        resource=None,
        argument_digest=None,
        decision="allow",
        reason="allowed",
        explanation=explanation,
        policy=None,
        credential_ids=(),
        token_id=None,
        evidence=None,
        request_id=None,
        details={},
    )


class Ledger:
    """A ledger that checks who delivers and can be made to refuse, or to lose its answer."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.bodies: list[int] = []
        self.status = 200
        self.refused: list[str] = []
        self.asked = asyncio.Event()
        self.url = ""

    def app(self) -> Any:
        async def take(request: Request) -> Response:
            body = await request.body()
            token = request.headers["authorization"].removeprefix("Bearer ")
            verify_batch(token, body, ledger_url=self.url, sources=frozenset({did_key(KEY.public)}), now=NOW)
            self.bodies.append(len(body))
            self.asked.set()
            if self.status == 200:
                self.taken += [each["target"] for each in json.loads(body)["events"]]
            return JSONResponse({"refused": self.refused} if self.refused else {}, status_code=self.status)

        return harden(Starlette(routes=[Route("/events", take, methods=["POST"])]))


@pytest.fixture
async def ledger() -> AsyncIterator[Ledger]:
    found = Ledger()
    listener = listen("127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with serving([(found.app(), listener)]):
        yield found


class Party:
    """A party's database with its outbox."""

    def __init__(self, path: Path, ledger_url: str) -> None:
        self.metadata = MetaData()
        self.table = outbox_table(self.metadata, "party")
        self.engine: AsyncEngine = open_database(f"sqlite:///{path}")
        self.delivery = Delivery(self.engine, self.table, ledger_url=ledger_url, key=KEY, clock=lambda: NOW)

    async def write(self, events: Sequence[AuditEvent]) -> None:
        async with transaction(self.engine) as connection:
            for each in events:
                await record(connection, self.table, each)
        self.delivery.wake()

    async def waiting(self) -> int:
        async with transaction(self.engine) as connection:
            return int((await connection.execute(select(func.count()).select_from(self.table))).scalar_one())


@pytest.fixture
async def party(tmp_path: Path, ledger: Ledger) -> AsyncIterator[Party]:
    found = Party(tmp_path / "party.db", ledger.url)
    await create_schema(found.engine, found.metadata)
    yield found
    await found.engine.dispose()


@pytest.mark.req("AUD-01")
async def test_events_arrive_in_order_and_leave_the_outbox_only_then(party: Party, ledger: Ledger) -> None:
    await party.write([event(str(number)) for number in range(2 * MAX_BATCH + 50)])
    await party.delivery.flush()
    assert ledger.taken == [str(number) for number in range(2 * MAX_BATCH + 50)]
    assert len(ledger.bodies) == 3
    assert await party.waiting() == 0


@pytest.mark.req("AUD-01")
@pytest.mark.parametrize("status", [503, 500, 413, 401, 409, 302])
async def test_a_ledger_that_does_not_confirm_takes_nothing_away(party: Party, ledger: Ledger, status: int) -> None:
    await party.write([event("a")])
    ledger.status = status
    with pytest.raises(Unavailable):
        await party.delivery.flush()
    assert await party.waiting() == 1
    ledger.status = 200
    await party.delivery.flush()
    assert (ledger.taken, await party.waiting()) == (["a"], 0)


@pytest.mark.req("AUD-01", "AUD-04")
async def test_an_event_the_ledger_has_otherwise_is_said_and_holds_up_no_other(
    party: Party, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.refused = ["urn:uuid:1"]
    await party.write([event("a"), event("b")])
    await party.delivery.flush()
    assert await party.waiting() == 0
    assert "ids it has with other content" in caplog.text


@pytest.mark.req("AUD-01")
async def test_events_outlive_the_process_that_wrote_them(party: Party, ledger: Ledger, tmp_path: Path) -> None:
    await party.write([event("before")])
    await party.engine.dispose()
    again = Party(tmp_path / "party.db", ledger.url)
    await again.delivery.flush()
    assert ledger.taken == ["before"]
    await again.engine.dispose()


@pytest.mark.req("AUD-01")
async def test_an_event_that_can_not_be_written_undoes_its_effect(party: Party) -> None:
    same = event("a")
    await party.write([same])
    async with transaction(party.engine) as connection:
        await connection.execute(text("CREATE TABLE effects (id INTEGER)"))
    with pytest.raises(StoreUnavailable):
        async with transaction(party.engine) as connection:
            await connection.execute(text("INSERT INTO effects VALUES (1)"))
            await record(connection, party.table, same)
    async with transaction(party.engine) as connection:
        assert (await connection.execute(text("SELECT count(*) FROM effects"))).scalar_one() == 0


@pytest.mark.req("AUD-01", "LIM-01")
async def test_large_events_are_delivered_in_more_bodies_not_in_a_larger_one(party: Party, ledger: Ledger) -> None:
    large = [event(str(number), explanation="x" * 30_000) for number in range(20)]
    await party.write(large)
    await party.delivery.flush()
    assert ledger.taken == [str(number) for number in range(20)]
    assert len(ledger.bodies) > 1
    assert max(ledger.bodies) <= MAX_BODY


def test_the_largest_event_always_fits() -> None:
    assert fitting(["x" * MAX_EVENT_BYTES] * 100) == MAX_BODY // (MAX_EVENT_BYTES + 1)
    assert fitting(["é" * (MAX_BODY // 2)]) == 0
    assert fitting(["{}"] * 500) == MAX_BATCH
    assert fitting([]) == 0


@pytest.mark.req("AUD-01")
async def test_delivery_goes_on_after_the_database_and_the_ledger_were_away(
    party: Party, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_FIRST", 0.001)
    monkeypatch.setattr(module, "RETRY_LAST", 0.002)
    async with transaction(party.engine) as connection:
        await connection.execute(text("ALTER TABLE party_outbox RENAME TO away"))
    running = asyncio.create_task(party.delivery.run())
    failures = 0
    real = party.delivery._drain

    async def counted(http: httpx2.AsyncClient) -> None:
        nonlocal failures
        try:
            await real(http)
        except Unavailable:
            failures += 1
            raise

    monkeypatch.setattr(party.delivery, "_drain", counted)
    await _until(lambda: failures >= 2 or running.done())
    assert not running.done()
    async with transaction(party.engine) as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO party_outbox"))
    ledger.status = 503
    await party.write([event("late")])
    await asyncio.wait_for(ledger.asked.wait(), PATIENCE)
    ledger.status = 200
    async with asyncio.timeout(PATIENCE):
        while await party.waiting():
            await asyncio.sleep(0)
    assert ledger.taken == ["late"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_ledger_that_is_away_is_not_asked_at_every_event(
    party: Party, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_LAST", 3_600)
    monkeypatch.setattr(module, "RETRY_FIRST", 3_600)
    ledger.status = 503
    await party.write([event("first")])
    running = asyncio.create_task(party.delivery.run())
    await asyncio.wait_for(ledger.asked.wait(), PATIENCE)
    ledger.asked.clear()
    for number in range(5):
        await party.write([event(str(number))])
        await asyncio.sleep(0.01)
    assert not ledger.asked.is_set()
    assert await party.waiting() == 6
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_events_of_the_same_moment_travel_together(party: Party, ledger: Ledger) -> None:
    running = asyncio.create_task(party.delivery.run())
    await asyncio.sleep(0.02)  # it has found nothing, and waits
    for number in range(5):
        await party.write([event(str(number))])
    async with asyncio.timeout(PATIENCE):
        while await party.waiting():
            await asyncio.sleep(0.01)
    assert len(ledger.bodies) == 1
    assert ledger.taken == [str(number) for number in range(5)]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _until(reached: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not reached():
            await asyncio.sleep(0)
