"""An issuer as it runs, alone on one core, with its bridge and ledger on another, and requests to it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from token_load import Outcome
from token_processes import CORE, cpu_seconds, free_port, process, until_ready

from did_agent.cli.deployment import Deployment, Urls
from did_agent.client.bridge import BridgeClient

ROOT: Final = Path(__file__).parents[1]
COMMAND: Final = (sys.executable, "-c", "from did_agent.cli.main import main; main()")
QUIET: Final = 0.5  # s between measurements, so that deliveries of the last one are over
DURABLE: Final = (
    "-c fsync=on -c synchronous_commit=on -c full_page_writes=on -c shared_buffers=512MB -c max_wal_size=4GB"
)


@dataclass(kw_only=True)
class Served:
    """A running issuer."""

    url: str
    deployment: Deployment
    pid: int = 0
    ready: float = 0.0  # s from the start of the process to its first good answer
    _token: str = ""
    _until: float = 0.0

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.url).port or 0

    def token(self) -> str:
        """Return an operator's token that holds for some minutes."""
        if time.monotonic() > self._until:
            bridge = BridgeClient(self.deployment.urls.bridge_url)
            asked = bridge.client_credentials(self.deployment.operator_key, resource=self.url)
            self._token, self._until = asyncio.run(asked), time.monotonic() + 120
        return self._token

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Return a request that is ready to be sent."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {urlsplit(self.url).netloc}\r\nAuthorization: Bearer {self.token()}\r\n"
        )
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"{head}\r\n".encode() + body


@contextmanager
def durable_postgres(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL that syncs every commit, and yield its URL."""
    sys.path.insert(0, str(ROOT))
    from tests.with_postgres import find_programs, unprivileged_user

    programs, user = find_programs(), unprivileged_user()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed")
    place = Path(tempfile.mkdtemp(prefix="pg-", dir=folder))
    if user is not None:
        subprocess.run(["/bin/chown", user, place], check=True)
        folder.chmod(0o755)
    port = free_port()

    def call(*command: str) -> None:
        subprocess.run(command, check=True, user=user, cwd=place, stdout=subprocess.DEVNULL)

    data = str(place / "data")
    call(str(programs / "initdb"), "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={place} {DURABLE}"
    call(str(programs / "pg_ctl"), "-D", data, "-o", options, "-l", f"{place}/log", "-w", "-t", "120", "start")
    try:
        yield f"postgresql+psycopg://bench@127.0.0.1:{port}/postgres"
    finally:
        call(str(programs / "pg_ctl"), "-D", data, "-m", "fast", "-w", "stop")


@contextmanager
def deployment(folder: Path) -> Iterator[Deployment]:
    """Run a bridge and a ledger."""
    ports = {f"{party}_url": f"http://127.0.0.1:{free_port()}" for party in ("bridge", "issuer", "ledger")}
    found = Deployment(urls=Urls(**ports), data=folder)
    environment = _environment(found)
    subprocess.run([*COMMAND, "init"], env=environment, check=True, capture_output=True)
    with ExitStack() as stack:
        for party in ("bridge", "ledger"):
            stack.enter_context(process([*COMMAND, party], environment, core=None))
            until_ready(f"{ports[f'{party}_url']}/readyz")
        yield found


@contextmanager
def issuer(found: Deployment, database: str) -> Iterator[Served]:
    """Run an issuer on one core, and yield it when it answers."""
    environment = {**_environment(found), "DID_AGENT_DATABASE_URL": database}
    served = Served(url=found.urls.issuer_url, deployment=found)
    begun = time.perf_counter()
    with process([*COMMAND, "issuer"], environment, core=CORE) as pid:
        until_ready(f"{served.url}/readyz")
        served.pid, served.ready = pid, time.perf_counter() - begun
        yield served


def _environment(found: Deployment) -> Mapping[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith("DID_AGENT_")}
    return {**own, **found.urls.environment(), "DID_AGENT_DATA": str(found.data)}


def load(served: Served, requests: Sequence[bytes], *, connections: int) -> tuple[Outcome, list[dict[str, Any]]]:
    """Send every request once over so many connections; return what it took and what was answered.

    Raises: RuntimeError for any answer but a good one.
    """
    burnt, begun = cpu_seconds([served.pid]), time.perf_counter()
    latencies, answers = asyncio.run(_all(served.port, requests, connections))
    seconds, cpu = time.perf_counter() - begun, cpu_seconds([served.pid])
    time.sleep(QUIET)
    outcome = Outcome(
        requests=len(latencies),
        seconds=seconds,
        cpu=cpu - burnt,
        after=cpu_seconds([served.pid]) - cpu,
        latencies=sorted(latencies),
    )
    return outcome, [json.loads(answer) for answer in answers]


async def _all(port: int, requests: Sequence[bytes], connections: int) -> tuple[list[float], list[bytes]]:
    waiting, latencies, answers = list(reversed(requests)), list[float](), list[bytes]()

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        while waiting:
            begun = time.perf_counter()
            writer.write(waiting.pop())
            answers.append(await _answer(reader))
            latencies.append(time.perf_counter() - begun)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return latencies, answers


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = (line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    body = await reader.readexactly(int(next(lengths)))
    if head.partition(b" ")[2][:1] != b"2":
        raise RuntimeError(f"{head.decode('latin-1')}{body[:300].decode('latin-1')}")
    return body
