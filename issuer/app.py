"""Joins the parts of the issuer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from did_agent.adapters.http import GuardedFetcher, is_loopback
from did_agent.adapters.keystore import load_or_create_any_key, load_or_create_key, warn_of_plain_keys
from did_agent.adapters.migrations import prepare_schema
from did_agent.adapters.observing import Observer
from did_agent.adapters.openapi import publish
from did_agent.adapters.outbox import Delivery
from did_agent.adapters.sql import open_database
from did_agent.adapters.web import harden
from did_agent.clock import Clock, system_clock
from did_agent.errors import Misconfigured
from did_agent.keys.public import KeyKind
from issuer.adapters.news import BridgeNews
from issuer.adapters.sealing import SealedKeys
from issuer.adapters.sql import SQLStore, metadata, outbox
from issuer.adapters.webhooks import WebhookDelivery
from issuer.api import imports
from issuer.api.openapi import OPERATIONS, SECURITY
from issuer.api.routes import Callers, issuer_api
from issuer.composition import compose, compose_enrolment, compose_keys, compose_wallets, compose_webhooks
from issuer.health import readiness
from issuer.migrations import SCHEMA
from issuer.model import HOME
from issuer.service.callers import AgentCallers
from issuer.service.office import Office
from issuer.service.organisations import Organisations
from issuer.service.principals import Principals
from issuer.service.ring import Ring
from issuer.settings import IssuerSettings
from issuer.status_lists import require_size
from issuer.vc_api.routes import VCIssuer, add_vc_api
from issuer.vc_api.store import VCStore
from verifier.composition import token_verifier
from verifier.service import Verifier

KEY_KINDS: Final[tuple[KeyKind, ...]] = ("Ed25519", "P-256", "P-384")


def create_app(settings: IssuerSettings, *, clock: Clock = system_clock) -> Any:
    """Return the issuer as an ASGI app.

    Raises: Misconfigured.
    """
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = load_or_create_key(settings.data / "keys" / "issuer.jwk")
    engine, observer = open_database(settings.database), Observer.of("issuer", settings.issuer_url)
    store = SQLStore(engine)
    delivery = Delivery(engine, outbox, ledger_url=settings.ledger_url, key=key, clock=clock)
    sealer = SealedKeys(folder=settings.data / "keys")
    ring = Ring(key, clock=clock, sealer=sealer)
    news = BridgeNews(store, delivery, bridge_url=settings.bridge_url, key=lambda: ring.signer(HOME), clock=clock)
    require_size(settings.status_list_size)
    office = Office(
        store=store,
        news=news,
        key=key,
        url=settings.issuer_url,
        clock=clock,
        list_size=settings.status_list_size,
        ring=ring,
    )
    verifier, feed = token_verifier(
        resource=settings.issuer_url, bridge=settings.bridge_url, key=key, party="issuer", audit=office, clock=clock
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await prepare_schema(engine, SCHEMA, migrate=settings.migrate)
        await ring.prepare(store)
        following = partial(ring.run, store)
        tasks = [asyncio.create_task(work()) for work in (delivery.run, news.run, feed.run, hooks.run, following)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await fetcher.aclose()
            await engine.dispose()

    fetcher = GuardedFetcher(allow_loopback=is_loopback(settings.issuer_url))
    root = load_or_create_key(settings.data / "keys" / "webhooks.jwk").seed()
    if not is_loopback(settings.issuer_url):
        warn_of_plain_keys(settings.data / "keys" / name for name in ("issuer.jwk", "webhooks.jwk"))
    hooks = WebhookDelivery(office, fetcher, root=root, clock=clock)
    routes = (
        *compose_keys(office, sealer),
        *compose(
            office,
            readiness(
                office, engine=engine, schema=SCHEMA, store=store, delivery=delivery, feed=feed, observer=observer
            ),
        ),
        *compose_enrolment(office, fetcher),
        *compose_wallets(office, verifier, bridge_url=settings.bridge_url),
        *compose_webhooks(office, root, fetcher),
    )
    app = issuer_api(routes, _callers(office, verifier), office)
    if settings.vc_api:
        add_vc_api(app, _vc_issuer(settings, engine, clock))
    publish(app, OPERATIONS, title="did-agent issuer", url=settings.issuer_url, security=SECURITY)
    app.router.lifespan_context = lifespan
    hosts = frozenset({urlsplit(settings.issuer_url).netloc.lower()})
    return harden(app, allowed_hosts=hosts, larger=imports.LARGER, observer=observer)


def _callers(office: Office, verifier: Verifier) -> Callers:
    agents, organisations = AgentCallers(office=office), Organisations(office=office)
    return Callers(verifier=verifier, agents=agents, organisations=organisations, principals=Principals(office=office))


def _vc_issuer(settings: IssuerSettings, engine: AsyncEngine, clock: Clock) -> VCIssuer:
    if not is_loopback(settings.issuer_url):
        raise Misconfigured("the VC-API has no authentication: it is offered on loopback only")
    # Keys of its own, which no trust list names: nothing that is signed here opens a door.
    folder = settings.data / "keys"
    keys = [load_or_create_any_key(folder / f"vc-api-{kind.lower()}.jwk", kind) for kind in KEY_KINDS]
    return VCIssuer(keys, VCStore(engine, metadata), url=settings.issuer_url, clock=clock)


def party() -> Any:
    """Return the app built from the environment, for `did-agent up` and `did-agent issuer`."""
    return create_app(IssuerSettings())
