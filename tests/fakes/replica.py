"""One bridge process of several on one database: `python -m tests.fakes.replica …`; its clock is a file a test moves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from bridge.adapters import passwords
from bridge.app import create_app
from bridge.settings import BridgeSettings
from did_agent.adapters.party import listen, serving

ROOT = Path(__file__).parents[2]
READY = "ready"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Replica:
    """A bridge process that can be started, killed and started again at the same place."""

    settings: dict[str, Any]
    clock: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def begin(self) -> None:
        arguments = json.dumps({"settings": self.settings, "port": self.port, "clock": str(self.clock)})
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DID_AGENT_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.replica", arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    def await_ready(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == READY

    def start(self) -> None:
        self.begin()
        self.await_ready()

    def kill(self) -> None:
        """End the process as a power cut would: nothing is finished, nothing is said."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None


async def _serve(told: dict[str, Any]) -> None:
    clock = Path(told["clock"])
    settings = BridgeSettings(**{**told["settings"], "data": Path(told["settings"]["data"])})
    app = create_app(settings, clock=lambda: datetime.fromisoformat(clock.read_text()))
    async with serving([(app, listen("127.0.0.1", told["port"]))]):
        print(READY, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    setattr(passwords, "PasswordHasher", lambda: cheap)  # noqa: B010  # its cost is the concern of other tests
    asyncio.run(_serve(json.loads(sys.argv[1])))
