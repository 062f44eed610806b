"""The journal of a guard: what was acknowledged is there after a crash, once, in order, and nobody else's is touched."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from did_agent.audit.event import AuditEvent
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import AuditUnavailable
from did_agent.keys.ed25519 import SigningKey
from tests.fakes.guard_world import NOW, World, call, token
from tests.fakes.replica import ROOT
from verifier.adapters import journal as module
from verifier.adapters.journal import FILE_BYTES, Journal
from verifier.adapters.spool import Spool

KEY = SigningKey.from_seed(b"s" * 32)


def texts(first: int, last: int) -> list[bytes]:
    return [f"event {number}".encode() for number in range(first, last)]


def drained(journal: Journal, most: int = 100) -> list[bytes]:
    found: list[bytes] = []
    while some := journal.oldest(most):
        found += some
        journal.deliver(some)
    return found


@pytest.mark.req("AUD-01")
def test_what_was_written_comes_back_in_order_over_many_files_and_starts(tmp_path: Path) -> None:
    big = [bytes([65 + number % 26]) * 30_000 for number in range(100)]
    journal = Journal(tmp_path)
    for text in big[:60]:
        journal.append([text])
    journal.append(big[60:80])
    assert len(list(tmp_path.iterdir())) == 3
    some = journal.oldest(7)
    journal.deliver(some[:5])
    assert some == big[:7]
    journal.close()
    again = Journal(tmp_path)
    assert again.waiting == 75
    again.append(big[80:])
    assert drained(again) == big[5:]
    assert again.waiting == 0
    assert len(list(tmp_path.iterdir())) == 1  # the one that is written
    again.close()
    assert Journal(tmp_path).waiting == 0


@pytest.mark.req("AUD-01", "FCL")
@pytest.mark.parametrize("damage", ["cut", "flipped", "stranger"])
def test_what_a_power_cut_left_of_the_last_write_is_not_read(tmp_path: Path, damage: str) -> None:
    journal = Journal(tmp_path)
    journal.append(texts(0, 3))
    journal.append([b"last"])
    journal.close()
    (path,) = tmp_path.iterdir()
    raw = bytearray(path.read_bytes())
    at = raw.index(b"last")
    if damage == "cut":
        raw[at + 2 : at + 4] = b"\0\0"
    elif damage == "flipped":
        raw[at] ^= 1
    else:
        raw[at - 8 : at] = (2**31).to_bytes(4, "big") + b"\0\0\0\0"
    path.write_bytes(raw)
    again = Journal(tmp_path)
    assert again.waiting == 3
    assert drained(again) == texts(0, 3)
    again.append([b"more"])
    assert drained(again) == [b"more"]
    again.close()


@pytest.mark.req("AUD-01")
def test_files_of_a_living_process_are_left_alone_and_those_of_a_dead_one_taken_over(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from verifier.adapters.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1])); journal.append([b'theirs']); print('written', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"written"
        mine = Journal(tmp_path)
        mine.append([b"mine"])
        assert (mine.waiting, mine.adopt()) == (1, 0)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (mine.adopt(), mine.waiting) == (1, 2)
        assert sorted(drained(mine)) == [b"mine", b"theirs"]
        mine.close()
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.req("AUD-01", "FCL")
async def test_a_disk_that_fails_refuses_what_it_did_not_keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    event = await an_event()
    spool = Spool(tmp_path / "guard.db", clock=lambda: NOW)
    await spool.record(event)
    with monkeypatch.context() as patch:

        def fail(_descriptor: int) -> None:
            raise OSError(5, "input/output error")

        patch.setattr(module, "_sync", fail)
        for _ in range(2):
            with pytest.raises(AuditUnavailable):
                await spool.record(replace(event, id="urn:uuid:lost"))
    assert spool.waiting == 1
    await spool.record(replace(event, id="urn:uuid:next"))
    assert await delivered(spool) == [event.id, "urn:uuid:next"]
    spool.close()


@pytest.mark.req("AUD-01")
async def test_events_of_one_moment_share_one_write_and_all_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event, synced = await an_event(), list[int]()

    def sync(descriptor: int) -> None:
        synced.append(descriptor)
        os.fsync(descriptor)

    monkeypatch.setattr(module, "_sync", sync)
    spool = Spool(tmp_path / "guard.db", clock=lambda: NOW)
    ids = [f"urn:uuid:{number}" for number in range(50)]
    await asyncio.gather(*(spool.record(replace(event, id=one)) for one in ids))
    assert len(synced) == 1
    # Whoever does not wait for the answer any more is on record all the same.
    leaving = asyncio.create_task(spool.record(replace(event, id="urn:uuid:left")))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await asyncio.sleep(0)
    assert await delivered(spool) == [*ids, "urn:uuid:left"]
    spool.close()


@pytest.mark.req("AUD-01")
async def test_what_the_ledger_did_not_confirm_is_brought_again(tmp_path: Path) -> None:
    event = await an_event()
    spool = Spool(tmp_path / "guard.db", clock=lambda: NOW)
    await spool.record(event)
    with pytest.raises(Exception, match="503"):
        await delivered(spool, status=503)
    assert spool.waiting == 1
    spool.close()
    again = Spool(tmp_path / "guard.db", clock=lambda: NOW)
    assert await delivered(again) == [event.id]
    again.close()


def test_a_file_that_was_never_finished_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "000000000007.events").write_bytes(b"\0" * 100)
    journal = Journal(tmp_path)
    journal.append([b"x"])
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == {
        "000000000007.events": 100,
        "000000000008.events": FILE_BYTES,
    }
    journal.close()


async def an_event() -> AuditEvent:
    world = World()
    await world.send(token(), call("list_menu"))
    return world.events[0]


async def delivered(spool: Spool, *, status: int = 200) -> list[str]:
    taken: list[str] = []

    def ledger(request: httpx2.Request) -> httpx2.Response:
        events = parse_object(request.content)["events"]
        assert isinstance(events, list)
        taken.extend(one["id"] for one in events)
        return httpx2.Response(status)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(ledger)) as http:
        await spool.flush(http, "https://ledger.example", KEY)
    return taken
