"""Runs `did-agent` as a user does: real processes on loopback, bounded in time, stopped by their own pid."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

COMMAND = (sys.executable, "-c", "from did_agent.cli.main import main; main()")
START_SECONDS = 30


def free_base() -> int:
    """Return a base port whose six successors are free too."""
    # Each test process begins elsewhere, so that two runs on one machine do not meet.
    first = 21_000 + os.getpid() % 700 * 10
    for base in range(first, first + 2_000, 10):
        sockets = []
        try:
            for port in range(base, base + 7):
                probe = socket.socket()
                sockets.append(probe)
                probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        finally:
            for probe in sockets:
                probe.close()
        return base
    raise RuntimeError("no free ports")


@dataclass
class Up:
    """A deployment in its own process."""

    data: Path
    base: int = field(default_factory=free_base)
    process: subprocess.Popen[str] | None = None
    options: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        host = "http://127.0.0.1"
        return {
            **os.environ,
            "DID_AGENT_DATA": str(self.data),
            "DID_AGENT_BRIDGE_URL": f"{host}:{self.base}",
            "DID_AGENT_ISSUER_URL": f"{host}:{self.base + 1}",
            "DID_AGENT_LEDGER_URL": f"{host}:{self.base + 2}",
            "DID_AGENT_DEMO_URL": self.resource,
            "DID_AGENT_WALLET": str(self.data / "wallet"),
        }

    @property
    def resource(self) -> str:
        return f"http://127.0.0.1:{self.base + 5}/mcp"

    def url(self, party: str) -> str:
        return self.environment[f"DID_AGENT_{party.upper()}_URL"]

    def start(self) -> Up:
        started_before = self.log().count("is up") if self.data.exists() else 0
        with (self.data.parent / f"{self.data.name}.log").open("a") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "up", "--data", str(self.data), "--port", str(self.base), *self.options],
                env=self.environment,
                stdout=log,
                stderr=log,
                text=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(self.log())
            if all(self._ready(party) for party in ("bridge", "issuer", "ledger")) and (
                self.log().count("is up") > started_before
            ):
                return self
            time.sleep(0.05)
        raise RuntimeError("did-agent up did not start: " + self.log())

    def log(self) -> str:
        return (self.data.parent / f"{self.data.name}.log").read_text()

    def _ready(self, party: str) -> bool:
        try:
            return httpx2.get(f"{self.url(party)}/readyz", trust_env=False, timeout=2).is_success
        except httpx2.HTTPError:
            return False

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it as Ctrl-C does and return its exit code."""
        return self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(timeout=20)
        self.process = None
        return code

    def run(self, *arguments: str, expected: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run one command and return what it printed."""
        done = subprocess.run(
            [*COMMAND, *arguments], env=self.environment, capture_output=True, text=True, timeout=60, input=stdin
        )
        assert done.returncode == expected, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str) -> Any:
        """Run one command with --json and return its data."""
        return json.loads(self.run(*arguments, "--json").stdout)
