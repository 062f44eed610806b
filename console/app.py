"""Joins the parts of the console."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.responses import JSONResponse, Response

from console.adapters.bridge import BridgeSignIn
from console.adapters.parties import PartiesHTTP
from console.adapters.sql import SQLSessions
from console.migrations import SCHEMA
from console.model import Party
from console.pages import agents, audit, credentials, delegations, home, places, policy, requests, why
from console.sessions import Sessions
from console.settings import ConsoleSettings
from console.web.frame import Frame
from console.web.sign_in import add_sign_in
from did_agent.adapters.http import is_loopback
from did_agent.adapters.keystore import load_or_create_key, warn_of_plain_keys
from did_agent.adapters.metrics import READY
from did_agent.adapters.migrations import prepare_schema
from did_agent.adapters.observing import Observer
from did_agent.adapters.readiness import Readiness
from did_agent.adapters.readiness_sql import database_parts, show_pool
from did_agent.adapters.sql import open_database
from did_agent.adapters.trust import FILE, load_trust
from did_agent.adapters.web import harden
from did_agent.clock import Clock, system_clock

KEY: Final = "console"  # the name of its key: what the bridge knows it by
_PREFIX: Final = "DID_AGENT_"


def create_app(settings: ConsoleSettings, *, clock: Clock = system_clock) -> Any:
    """Return the console as an ASGI app.

    Raises: Misconfigured.
    """
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = load_or_create_key(file := settings.data / "keys" / f"{KEY}.jwk")
    if not is_loopback(settings.console_url):
        warn_of_plain_keys([file])
    anchors = frozenset(load_trust(settings.data / FILE).issuers)
    urls: dict[Party, str] = {
        "issuer": settings.issuer_url,
        "ledger": settings.ledger_url,
        "bridge": settings.bridge_url,
    }
    engine, observer = open_database(settings.database), Observer.of("console", settings.console_url)
    bridge = BridgeSignIn(
        settings.bridge_url,
        key=key,
        redirect_uri=f"{settings.console_url}/signed-in",
        resources=urls,
        clock=clock,
    )
    sessions = Sessions(SQLSessions(engine), bridge, clock=clock)
    frame = Frame(url=settings.console_url, urls=urls, sessions=sessions, parties=PartiesHTTP(urls), clock=clock)
    app = frame.app(
        (
            *home.ROUTES,
            *agents.ROUTES,
            *credentials.ROUTES,
            *delegations.ROUTES,
            *requests.ROUTES,
            *audit.ROUTES,
            *why.routes(anchors),
            *policy.ROUTES,
            *places.ROUTES,
            places.settings_page(_shown(settings)),
        )
    )
    add_sign_in(app, frame, bridge, bridge_url=settings.bridge_url)
    observer.readiness = readiness = Readiness(parts=tuple(database_parts(engine, SCHEMA)))
    show_pool(observer.meter, engine)
    observer.meter.read(READY, readiness.values)
    _add_probes(app, readiness)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await prepare_schema(engine, SCHEMA, migrate=settings.migrate)
        try:
            yield
        finally:
            await engine.dispose()

    app.router.lifespan_context = lifespan
    hosts = frozenset({urlsplit(settings.console_url).netloc.lower()})
    return harden(app, allowed_hosts=hosts, observer=observer)


def _add_probes(app: FastAPI, readiness: Readiness) -> None:
    @app.get("/livez")
    async def livez() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/readyz")
    async def readyz() -> Response:
        report = await readiness.report()
        return JSONResponse(report.members(), status_code=report.status)


def party() -> Any:
    """Return the app built from the environment, for `did-agent up` and `did-agent console`."""
    return create_app(ConsoleSettings())


def _shown(settings: ConsoleSettings) -> list[dict[str, str]]:
    """Return the console's own settings with where each comes from; a database's password is shown to nobody."""
    found = []
    for name in ConsoleSettings.model_fields:
        variable = f"{_PREFIX}{name.upper()}"
        value = getattr(settings, name)
        is_secret = name == "database_url" and value is not None
        shown = "set, not shown" if is_secret else "none" if value is None else str(value)
        source = "environment" if variable in os.environ else "default"
        found.append({"name": variable, "value": shown, "source": source})
    return found
