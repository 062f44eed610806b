"""A closed loop of requests over keep-alive connections, cheap enough not to be what is measured."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What so many requests took."""

    requests: int
    seconds: float  # by the wall
    cpu: float  # seconds of the server's processor time
    latencies: Sequence[float]  # s, sorted

    @property
    def per_cpu_second(self) -> float:
        """Requests for each second of processor time."""
        return self.requests / self.cpu

    def percentile(self, share: float) -> float:
        """Return the latency below which that share of the requests stayed, in ms."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))] * 1_000


def request(port: int, form: dict[str, str]) -> bytes:
    """Return one POST to /token, ready to be sent."""
    body = urlencode(form).encode()
    head = (
        f"POST /token HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the processor time that processes have used so far."""
    used = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
        used += int(fields[11]) + int(fields[12])
    return used / _TICKS


def resident(pids: Sequence[int]) -> float:
    """Return the memory that processes hold, in MB."""
    held = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
        held += next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return held / 1_024


async def closed_loop(port: int, requests: Sequence[bytes], *, connections: int, pids: Sequence[int]) -> Outcome:
    """Send every request once; each connection sends its next when the last was answered.

    Raises: RuntimeError for any answer but 200.
    """
    waiting, latencies = list(reversed(requests)), list[float]()

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while waiting:
            sent = waiting.pop()
            begun = time.perf_counter()
            await _ask(reader, writer, sent)
            latencies.append(time.perf_counter() - begun)
        writer.close()

    burnt, begun = cpu_seconds(pids), time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    seconds, cpu = time.perf_counter() - begun, cpu_seconds(pids) - burnt
    return Outcome(requests=len(requests), seconds=seconds, cpu=cpu, latencies=sorted(latencies))


async def open_loop(port: int, requests: Sequence[bytes], *, rate: float, pids: Sequence[int]) -> Outcome:
    """Send requests at a fixed rate, whatever the answers do; latencies count from when each was due."""
    loop, latencies = asyncio.get_running_loop(), list[float]()
    pool: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(64):
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
    seconds, cpu = loop.time() - begun, cpu_seconds(pids) - burnt
    while not pool.empty():
        pool.get_nowait()[1].close()
    return Outcome(requests=len(requests), seconds=seconds, cpu=cpu, latencies=sorted(latencies))


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> None:
    writer.write(sent)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    body = await reader.readexactly(length)
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise RuntimeError(f"{head.decode('latin-1')}{body[:300].decode('latin-1')}")
