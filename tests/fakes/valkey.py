"""A throw-away Valkey (or Redis) on loopback, durable or not, stopped by its own pid."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = shutil.which("valkey-server") or shutil.which("redis-server")
REASON = "neither valkey-server nor redis-server is installed"
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


def is_missing() -> bool:
    """Tell whether its tests are skipped; in continuous integration they are not."""
    if PROGRAM is None and os.environ.get("CI"):
        raise RuntimeError(REASON)
    return PROGRAM is None


@contextmanager
def running(folder: Path, *options: str) -> Iterator[str]:
    """Start a server in `folder`, yield its URL, and stop it."""
    assert PROGRAM is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [PROGRAM, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", *options]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(timeout=10)
