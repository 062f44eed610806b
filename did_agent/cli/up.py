"""Runs all parties in one process, found by their entry points; stops them together and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from did_agent.cli.console_client import register_console
from did_agent.cli.deployment import CONSOLE, Deployment, Urls, initialise
from did_agent.errors import Misconfigured

if TYPE_CHECKING:
    from did_agent.adapters.party import Place

GROUP: Final = "did_agent.parties"
BRIDGE: Final = "bridge"
LEDGER: Final = "ledger"

DEMO: Final = "urban-bites"
VC_API: Final = "vc-api"
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_URL_OF: Final = {
    BRIDGE: "bridge_url",
    "issuer": "issuer_url",
    LEDGER: "ledger_url",
    CONSOLE: "console_url",
    DEMO: "demo_url",
    VC_API: "vc_api_url",
}


def party(name: str) -> Any:
    """Return the ASGI app of a party, built from the environment.

    Raises: Misconfigured when it is not installed.
    """
    try:
        create = _entry_point(name).load()
    except ImportError as error:
        raise Misconfigured(
            f"{name} cannot be loaded ({error}); servers need more: pip install 'did-agent[server,mcp]'"
        ) from error
    return create()


@asynccontextmanager
async def running(data: Path, base_port: int, *, vc_api: bool = False) -> AsyncIterator[Deployment]:
    """Run bridge, issuer, ledger and Urban Bites while the block runs, on ports from `base_port`.

    With `vc_api` also the interop profile of issuer, verifier and holder, which has no authentication.
    Raises: Misconfigured, also naming a port that is taken.
    """
    from did_agent.adapters.listening import places, watched
    from did_agent.adapters.party import serving

    deployment = Deployment(urls=Urls.on_ports_from(base_port), data=data)
    initialise(data)
    with contextlib.ExitStack() as stack, _environment(environment_of(deployment, vc_api=vc_api)):
        apps: list[Place] = []
        for name, attribute in _URL_OF.items():
            if name == VC_API and not vc_api:
                continue
            found = places(partial(party, name), getattr(deployment.urls, attribute), mtls=name == BRIDGE)
            for place in found:
                stack.callback(place[1].close)
            # The ledger stops last, and what still waits for it is delivered.
            apps = [*found, *apps] if name == LEDGER else [*apps, *found]
        apps += watched(apps)
        async with serving(apps, last=1):
            await _register_demo(deployment)
            await register_console(deployment)
            yield deployment


def environment_of(deployment: Deployment, *, vc_api: bool = False) -> Mapping[str, str]:
    """Return the settings that make parties part of a deployment."""
    return {
        **deployment.urls.environment(),
        "DID_AGENT_DATA": str(deployment.data),
        "DID_AGENT_GUARD_NAME": DEMO,
        "DID_AGENT_VC_API": "1" if vc_api else "0",
    }


async def run_alone(name: str, *, host: str | None) -> None:
    """Run one party, where its configured URL says, until a signal comes.

    Raises: Misconfigured.
    """
    from did_agent.adapters.listening import places, watched
    from did_agent.adapters.log_lines import set_up_logs
    from did_agent.adapters.party import serving

    os.environ.setdefault("DID_AGENT_GUARD_NAME", DEMO)
    asked = asked_to_end()
    set_up_logs()
    url = getattr(Urls(), _URL_OF[name])
    found = places(partial(party, name), url, bind=host, asks=name in (BRIDGE, DEMO), mtls=name == BRIDGE)
    async with serving([*found, *watched(found)]):
        await asked.wait()


def asked_to_end() -> asyncio.Event:
    """Return the event of being asked to end, from now on: taken before anything starts, so that all of it is stopped.

    Asking a second time ends the process at once.
    """
    asked, loop = asyncio.Event(), asyncio.get_running_loop()

    def ask() -> None:
        asked.set()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, ask)
    return asked


async def _register_demo(deployment: Deployment) -> None:
    module = __import__(_entry_point(DEMO).module, fromlist=["TOOLS"])
    await deployment.bridge.put_resource(deployment.urls.demo_url, name=module.NAME, tools=module.TOOLS)


def _entry_point(name: str) -> EntryPoint:
    found = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if not found:
        raise Misconfigured(f"no party called {name} is installed")
    return found[0]


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
