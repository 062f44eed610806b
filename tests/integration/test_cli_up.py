"""`did-agent up` from Python and as a process: everything starts, everything stops, a taken port is named."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from did_agent.cli.deployment import PARTIES
from did_agent.cli.up import party, running
from did_agent.errors import Misconfigured

COMMAND = (sys.executable, "-c", "from did_agent.cli.main import main; main()")
OFFSETS = (0, 1, 2, 5)
SECONDS = 60  # before a process that does not end is ended


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def open_sockets() -> set[str]:
    """Return the sockets of this process, by inode."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(entry.readlink()))
    return {name for name in found if name.startswith("socket:")}


@pytest.fixture
def base() -> int:
    """Return a base port that is free with those above it."""
    for first in range(31_000, 39_000, 10):
        held = [socket.socket() for _ in OFFSETS]
        try:
            for one, offset in zip(held, OFFSETS, strict=True):
                one.bind(("127.0.0.1", first + offset))
        except OSError:
            continue
        finally:
            for one in held:
                one.close()
        return first
    raise RuntimeError("no free ports")


@pytest.fixture
def taken(base: int) -> Iterator[int]:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", base + 2))
        holder.listen()
        yield base + 2


async def test_a_deployment_runs_inside_the_block_and_nothing_runs_after_it(tmp_path: Path, base: int) -> None:
    before, tasks, threads = dict(os.environ), asyncio.all_tasks(), set(threading.enumerate())
    async with running(tmp_path / "data", base) as deployment:
        assert deployment.data == tmp_path / "data"
        assert deployment.trust.operators
        assert deployment.operator_key.public
        async with httpx2.AsyncClient(trust_env=False) as http:
            for url in (deployment.urls.bridge_url, deployment.urls.issuer_url, deployment.urls.ledger_url):
                assert (await http.get(f"{url}/readyz")).status_code == 200
            assert (await http.get(deployment.urls.demo_url)).status_code == 401
        names = {row["name"] for row in await deployment.bridge.resources()}
        assert names == {"Bridge", "Issuer", "Ledger", "Urban Bites"}
    assert [offset for offset in OFFSETS if is_listening(base + offset)] == []
    assert dict(os.environ) == before
    assert asyncio.all_tasks() == tasks
    # The loop's own pool stays until the loop ends; a database's thread may still be on its way out, but must end.
    left = [thread for thread in threading.enumerate() if thread not in threads and "asyncio_" not in thread.name]
    for thread in left:
        thread.join(timeout=SECONDS)
    assert [thread.name for thread in left if thread.is_alive()] == []


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed in /proc on Linux only")
async def test_a_stopped_deployment_leaves_no_socket_open(tmp_path: Path, base: int) -> None:
    before = open_sockets()
    async with running(tmp_path, base) as deployment:
        await deployment.bridge.resources()
        await deployment.issuer.agents()  # admitted by keys the issuer fetched from the bridge
        await deployment.ledger.events()
        assert len(open_sockets() - before) >= len(OFFSETS)
    await asyncio.get_running_loop().shutdown_asyncgens()
    assert open_sockets() - before == set()


async def test_the_same_folder_serves_again_with_the_same_keys(tmp_path: Path, base: int) -> None:
    dids = []
    for _ in range(2):
        async with running(tmp_path, base) as deployment:
            dids.append(deployment.trust)
            assert await deployment.issuer.agents() == []
    assert dids[0] == dids[1]


async def test_a_failure_inside_the_block_stops_everything_too(tmp_path: Path, base: int) -> None:
    with pytest.raises(ZeroDivisionError):
        async with running(tmp_path, base):
            raise ZeroDivisionError
    assert [offset for offset in OFFSETS if is_listening(base + offset)] == []


async def test_a_taken_port_is_named_and_no_other_is_kept(tmp_path: Path, base: int, taken: int) -> None:
    before = dict(os.environ)
    with pytest.raises(Misconfigured, match=f"port {taken} on 127.0.0.1 is not free"):
        async with running(tmp_path, base):
            pytest.fail("it must not run")
    assert [base + offset for offset in OFFSETS if is_listening(base + offset)] == [taken]
    assert dict(os.environ) == before


def test_up_as_a_command_says_which_port_is_taken(tmp_path: Path, base: int, taken: int) -> None:
    done = subprocess.run(
        [*COMMAND, "up", "--data", str(tmp_path), "--port", str(base)], capture_output=True, text=True, timeout=SECONDS
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[0] == f"did-agent: port {taken} on 127.0.0.1 is not free: Address already in use"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_as_a_command_ends_cleanly_when_asked(tmp_path: Path, base: int, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [*COMMAND, "up", "--data", str(tmp_path), "--port", str(base), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ender = threading.Timer(SECONDS, process.kill)
    ender.start()
    try:
        assert process.stdout is not None
        said = [process.stdout.readline()]
        while said[-1] not in ("}\n", ""):
            said.append(process.stdout.readline())
        assert json.loads("".join(said))["bridge_url"] == f"http://127.0.0.1:{base}"
        assert all(is_listening(base + offset) for offset in OFFSETS)
        process.send_signal(number)
        out, err = process.communicate()
    finally:
        ender.cancel()
        process.kill()
    assert (process.returncode, out) == (0, "")
    assert err.splitlines()[-1] == "stopped"
    assert "Traceback" not in err
    assert [offset for offset in OFFSETS if is_listening(base + offset)] == []


def test_every_party_is_found_by_its_entry_point() -> None:
    from did_agent.cli.up import _entry_point

    assert {name: _entry_point(name).attr for name in PARTIES} == dict.fromkeys(PARTIES, "party")
    with pytest.raises(Misconfigured, match="no party called nobody"):
        party("nobody")


async def test_a_deployment_that_stops_says_nothing_of_parties_that_are_away(
    tmp_path: Path, base: int, caplog: pytest.LogCaptureFixture
) -> None:
    for start in range(2):
        async with running(tmp_path, base) as deployment:
            for number in range(5):  # what is on its way to the ledger while all of it stops
                await deployment.issuer.create_agent(name=f"late-{start}-{number}", sponsor="Ops")
        assert [record.message for record in caplog.records if record.levelname != "INFO"] == []
