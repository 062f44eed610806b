"""Server processes of a measurement: started on the cores they are given, waited for, ended, and what they use."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx2
from installed import NotInstallableError

START_SECONDS: Final = 60
END_SECONDS: Final = 20
CORE: Final = 0  # of the server that is measured; the load runs on another
SECOND_CORE: Final = 1  # of a second worker


@contextmanager
def process(
    command: Sequence[str], environment: Mapping[str, str], *, core: int | None, folder: Path | None = None
) -> Iterator[int]:
    """Run a server on one core, or wherever this process may run; yield its process id."""
    pinned = ["taskset", "-c", str(core), *command] if core is not None else list(command)
    with tempfile.TemporaryFile() as log:
        started = subprocess.Popen(pinned, env=dict(environment), cwd=folder, stdout=log, stderr=log)
        try:
            yield started.pid
        finally:
            if started.poll() is not None:
                log.seek(0)
                sys.stderr.write(log.read().decode(errors="replace")[-2_000:])
            else:
                _end(started)


def until_ready(url: str, *, host: str | None = None, also: int = 200) -> None:
    """Wait until a server answers; `host` is the name it expects to be called by.

    Raises: NotInstallableError.
    """
    deadline = time.monotonic() + START_SECONDS
    headers = {} if host is None else {"Host": host}
    while time.monotonic() < deadline:
        with suppress(httpx2.HTTPError):
            if httpx2.get(url, headers=headers, trust_env=False, timeout=2).status_code in (200, also):
                return
        time.sleep(0.05)
    raise NotInstallableError(f"{url} does not answer")


def free_port() -> int:
    """Return a port below those that outgoing connections get, or one of them could take it meanwhile."""
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def leave_cores_to(servers: int) -> None:
    """Run this process, and what it starts without a core of its own, beside the servers as far as there are cores."""
    mine = os.sched_getaffinity(0)
    taken = {CORE, SECOND_CORE} if servers > 1 else {CORE}
    os.sched_setaffinity(0, mine - taken or mine - {CORE} or mine)


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the processor time that all threads of these processes have used so far.

    It is read from the processes' own clocks, which count nanoseconds; /proc counts hundredths of a second.
    """
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)  # see clock_getcpuclockid(3)


def resident(pids: Sequence[int]) -> float:
    """Return the memory that processes hold, in MB."""
    held = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
        held += next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return held / 1_024


def _end(started: subprocess.Popen[bytes]) -> None:
    started.send_signal(signal.SIGINT)
    try:
        started.wait(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()
