"""Joins the parts of the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI

from did_agent.adapters.http import is_loopback
from did_agent.adapters.keystore import load_or_create_key, warn_of_plain_keys
from did_agent.adapters.migrations import prepare_schema
from did_agent.adapters.observing import Observer
from did_agent.adapters.openapi import publish
from did_agent.adapters.sql import open_database
from did_agent.adapters.trust import FILE, load_trust
from did_agent.adapters.web import harden
from did_agent.audit.cosignature import Witness, parse_verifier_key
from did_agent.clock import Clock, system_clock
from did_agent.did.key import did_key
from did_agent.errors import BadKey, Misconfigured
from ledger.adapters.cosignatures import SQLCosignatures
from ledger.adapters.sql import SQLLog
from ledger.api.openapi import OPERATIONS, SECURITY
from ledger.api.routes import ledger_api
from ledger.erasing import Erasing
from ledger.health import Health, Witnessed
from ledger.migrations import SCHEMA
from ledger.sealing import Sealer
from ledger.service import LedgerService
from ledger.settings import LedgerSettings
from ledger.witnessing import Witnessing
from verifier.composition import token_verifier


def create_app(settings: LedgerSettings, *, clock: Clock = system_clock) -> Any:
    """Return the ledger as an ASGI app.

    Raises: Misconfigured.
    """
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = load_or_create_key(file := settings.data / "keys" / "ledger.jwk")
    if not is_loopback(settings.ledger_url):
        warn_of_plain_keys([file])
    trust = load_trust(settings.data / FILE)
    engine, observer = open_database(settings.database), Observer.of("ledger", settings.ledger_url)
    service = LedgerService(
        log=SQLLog(engine, Sealer(key)),
        key=key,
        url=settings.ledger_url,
        origin=settings.origin,
        sources=frozenset(trust.parties),
        clock=clock,
    )
    verifier, feed = token_verifier(
        resource=settings.ledger_url,
        bridge=settings.bridge_url,
        key=key,
        party="ledger",
        audit=Witnessed(service),
        clock=clock,
    )

    erasing = Erasing(service=service, keep_months=settings.audit_personal_months)
    following: list[asyncio.Task[None]] = []

    def stop() -> None:
        for task in following:
            task.cancel()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await prepare_schema(engine, SCHEMA, migrate=settings.migrate)
        following.extend((asyncio.create_task(feed.run()), asyncio.create_task(erasing.run())))
        try:
            yield
        finally:
            stop()
            await asyncio.gather(*following, return_exceptions=True)
            await engine.dispose()

    health = Health(service, engine=engine, feed=feed, observer=observer)
    witnessing = Witnessing(
        log=service.log,
        kept=SQLCosignatures(engine),
        witnesses=_witnesses(settings.witnesses),
        clock=clock,
    )
    app = ledger_api(
        service,
        verifier,
        did=did_key(key.public),
        watch=health,
        witnessing=witnessing,
        erasing=erasing,
    )
    publish(app, OPERATIONS, title="did-agent ledger", url=settings.ledger_url, security=SECURITY)
    app.router.lifespan_context = lifespan
    hosts = frozenset({urlsplit(settings.ledger_url).netloc.lower()})
    return harden(app, allowed_hosts=hosts, observer=observer, stopping=stop)


def _witnesses(lines: str) -> list[Witness]:
    try:
        return [parse_verifier_key(line) for line in lines.split()]
    except BadKey as error:
        raise Misconfigured(f"DID_AGENT_WITNESSES: {error.detail}") from error


def party() -> Any:
    """Return the app built from the environment, for `did-agent up` and `did-agent ledger`."""
    return create_app(LedgerSettings())
