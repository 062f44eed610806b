"""A whole deployment with its console, run in a thread of its own, and a person's browser without script."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2

from did_agent.cli.deployment import Deployment
from did_agent.cli.up import running
from did_agent.client.wire import send
from tests.fakes.bridge_world import form_of

PASSWORD = "correct horse battery staple"  # noqa: S105  # of people in tests
PAGES = (
    "/", "/agents", "/agents/new", "/credentials", "/delegations", "/requests", "/audit", "/why", "/policy",
    "/consents", "/trust", "/keys", "/people", "/switches", "/settings", "/reference",
)  # fmt: skip
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(slots=True)
class ConsoleWorld:
    """A deployment that runs, asked as its operator."""

    at: Deployment
    loop: asyncio.AbstractEventLoop  # of the deployment, in its own thread

    @property
    def url(self) -> str:
        """Where the console is."""
        return self.at.urls.console_url

    def operate(self, party: str, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Return what a party answers its operator."""
        base = getattr(self.at.urls, f"{party}_url")
        content = {"json": body} if body else {}
        asked = send(party, base, method, path, auth=self.at.operator_auth(base), **content)
        return asyncio.run_coroutine_threadsafe(asked, self.loop).result(30)

    def person(self, username: str, *roles: str, organisation: str = "home") -> None:
        """Give somebody an account and roles."""
        self.operate(
            "bridge",
            "PUT",
            f"/users/{username}",
            name=username,
            password=PASSWORD,
            rights={},
            organisation=organisation,
            operates=list(roles),
        )

    @contextmanager
    def browser(self, username: str, to: str = "/") -> Iterator[Browser]:
        """Yield somebody's browser after they signed in."""
        with httpx2.Client(trust_env=False, follow_redirects=True, timeout=30) as http:
            page = http.get(self.url + to)
            fields = form_of(page.text).fields | {"username": username, "password": PASSWORD}
            headers = {**FORM, "Origin": self.at.urls.bridge_url}
            landed = http.post(str(page.url), content=urlencode(fields), headers=headers)
            yield Browser(http, self.url, landed)


@dataclass(slots=True)
class Browser:
    """Somebody who is signed in."""

    http: httpx2.Client
    url: str
    landed: httpx2.Response  # where the sign-in ended

    def get(self, path: str, **params: str) -> httpx2.Response:
        """Open a page."""
        return self.http.get(self.url + path, params=params)

    def post(self, path: str, *, at: str = "/agents/new", **fields: str) -> httpx2.Response:
        """Send a form as a page of the console would."""
        mark = form_of(self.get(at).text).fields["mark"]
        headers = {**FORM, "Origin": self.url}
        return self.http.post(self.url + path, content=urlencode({"mark": mark, **fields}), headers=headers)


@contextmanager
def console_world(data: Path, base: int) -> Iterator[ConsoleWorld]:
    """Run everything while the block runs."""
    started, ended = threading.Event(), asyncio.Event()
    found: list[tuple[Deployment, asyncio.AbstractEventLoop]] = []

    async def run() -> None:
        async with running(data, base) as at:
            found.append((at, asyncio.get_running_loop()))
            started.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert started.wait(60)
        yield ConsoleWorld(*found[0])
    finally:
        if found:
            found[0][1].call_soon_threadsafe(ended.set)
        thread.join(60)
