"""One guard process of several on one resource: `python -m tests.fakes.guard_replica …`; each has a folder of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from did_agent.adapters.party import listen, serving
from tests.fakes.replica import READY, ROOT, free_port
from verifier.mcp import protect

PARTY = (sys.executable, "-c", "from did_agent.cli.main import main; main()")
START_SECONDS = 30


@dataclass(slots=True)
class Process:
    """A process that is told what to do by its command line and environment, and ended by its own id."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith("DID_AGENT_")}
        self.running = subprocess.Popen(
            self.command, cwd=ROOT, env={**own, **self.environment}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def await_ready(self) -> None:
        """Wait for the word of a replica."""
        assert self.running is not None
        assert self.running.stdout is not None
        assert self.running.stdout.readline().strip() == READY.encode()

    async def await_answer(self, url: str) -> None:
        """Wait until a party answers."""
        async with httpx2.AsyncClient(trust_env=False, timeout=2) as http, asyncio.timeout(START_SECONDS):
            while True:
                try:
                    if (await http.get(url)).is_success:
                        return
                except httpx2.HTTPError:
                    assert self.running is not None
                    assert self.running.poll() is None
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.running is not None:
            self.running.send_signal(signal.SIGKILL)
            self.running.wait()
            assert self.running.stdout is not None
            self.running.stdout.close()
            self.running = None


@dataclass(slots=True)
class GuardReplica:
    """A guard process that can be killed and started again at the same place, with the same folder."""

    options: dict[str, Any]  # of `protect`
    port: int = field(default_factory=free_port)
    process: Process = field(init=False)

    def __post_init__(self) -> None:
        told = json.dumps({"options": self.options, "port": self.port})
        self.process = Process([sys.executable, "-m", "tests.fakes.guard_replica", told])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"


async def inner(scope: Any, receive: Any, send: Any) -> None:
    """Answer every call alike, and every GET with a stream that does not end by itself."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["method"] == "GET":
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while True:
            await send({"type": "http.response.body", "body": b": here\n\n", "more_body": True})
            await asyncio.sleep(0.1)
    asked = json.loads((await receive()).get("body") or b"{}")
    body = json.dumps({"jsonrpc": "2.0", "id": asked.get("id"), "result": {"ok": True}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _serve(told: dict[str, Any]) -> None:
    options = {**told["options"], "data": Path(told["options"]["data"])}
    async with serving([(protect(inner, **options), listen("127.0.0.1", told["port"]))]):
        print(READY, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1])))
