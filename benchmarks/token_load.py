"""Requests over keep-alive connections, in a closed or an open loop, cheap enough not to be what is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from token_processes import cpu_seconds

CONNECTIONS: Final = 4  # of a closed loop, for each server process
OPEN_CONNECTIONS: Final = 64  # at most in flight of an open loop
_LOOK: Final = 0.1  # s between looks at a server that finishes
_QUIET: Final = 0.001  # s of processor time between two looks that count as nothing
_LONGEST: Final = 20.0  # s it is waited for


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What so many requests took."""

    requests: int
    seconds: float  # by the wall
    cpu: float  # seconds of the server's processor time until the last answer
    after: float  # and from then until it was quiet: work that answers did not wait for
    latencies: Sequence[float]  # s, sorted

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def per_cpu_second(self) -> float:
        """Requests for each second of processor time, all work they caused included."""
        return self.requests / (self.cpu + self.after)

    def percentile(self, share: float) -> float:
        """Return the latency below which that share of the requests stayed, in ms."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))] * 1_000


def request(host: str, form: dict[str, str], path: str = "/token") -> bytes:
    """Return one POST, ready to be sent."""
    body = urlencode(form).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def closed_loop(
    ports: Sequence[int], requests: Sequence[bytes], *, pids: Sequence[int], connections: int = CONNECTIONS
) -> Outcome:
    """Send every request once; each connection, so many for each port, sends its next when the last was answered.

    Raises: RuntimeError for any answer but 200.
    """
    burnt, begun = cpu_seconds(pids), time.perf_counter()
    latencies, _ = await _all_answered(ports, requests, connections)
    return await _outcome(pids, latencies, seconds=time.perf_counter() - begun, burnt=burnt)


async def bodies(port: int, requests: Sequence[bytes]) -> list[bytes]:
    """Return what is answered to requests, in any order.

    Raises: RuntimeError for any answer but 200.
    """
    return (await _all_answered([port], requests, CONNECTIONS))[1]


async def open_loop(port: int, requests: Sequence[bytes], *, rate: float, pids: Sequence[int]) -> Outcome:
    """Send requests at a fixed rate, whatever the answers do; latencies count from when each was due.

    Raises: RuntimeError for any answer but 200.
    """
    loop, latencies = asyncio.get_running_loop(), list[float]()
    pool: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(OPEN_CONNECTIONS):
        pool.put_nowait(await asyncio.open_connection("127.0.0.1", port))

    async def one(sent: bytes, due: float) -> None:
        connection = await pool.get()
        await _ask(*connection, sent)
        latencies.append(loop.time() - due)
        pool.put_nowait(connection)

    burnt, begun = cpu_seconds(pids), loop.time()
    tasks = []
    for number, sent in enumerate(requests):
        due = begun + number / rate
        await asyncio.sleep(max(0.0, due - loop.time()))
        tasks.append(asyncio.create_task(one(sent, due)))
    await asyncio.gather(*tasks)
    seconds = loop.time() - begun
    while not pool.empty():
        pool.get_nowait()[1].close()
    return await _outcome(pids, latencies, seconds=seconds, burnt=burnt)


async def _outcome(pids: Sequence[int], latencies: list[float], *, seconds: float, burnt: float) -> Outcome:
    answered = cpu_seconds(pids)
    quiet = await _until_quiet(pids, answered)
    return Outcome(
        requests=len(latencies),
        seconds=seconds,
        cpu=answered - burnt,
        after=quiet - answered,
        latencies=sorted(latencies),
    )


async def _until_quiet(pids: Sequence[int], used: float) -> float:
    """Wait until servers have finished, so that the next to be measured has its core to itself."""
    deadline = time.monotonic() + _LONGEST
    still = 0
    while still < 2 and time.monotonic() < deadline:  # once could be a wait for somebody else
        await asyncio.sleep(_LOOK)
        now = cpu_seconds(pids)
        still = still + 1 if now - used < _QUIET * len(pids) else 0
        used = now
    return used


async def _all_answered(
    ports: Sequence[int], requests: Sequence[bytes], connections: int
) -> tuple[list[float], list[bytes]]:
    waiting, latencies, answers = list(reversed(requests)), list[float](), list[bytes]()

    async def one(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while waiting:
            sent = waiting.pop()
            begun = time.perf_counter()
            answers.append(await _ask(reader, writer, sent))
            latencies.append(time.perf_counter() - begun)
        writer.close()

    await asyncio.gather(*(one(port) for port in ports for _ in range(connections)))
    return latencies, answers


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> bytes:
    writer.write(sent)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    body = await reader.readexactly(length)
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise RuntimeError(f"{head.decode('latin-1')}{body[:300].decode('latin-1')}")
    return body
