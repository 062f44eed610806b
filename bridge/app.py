"""The bridge, joined: the only place where its parts meet."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import FastAPI

from bridge.adapters import tables
from bridge.adapters.client_documents import ClientDocumentsHTTP
from bridge.adapters.foreign_keys import ForeignKeysHTTP
from bridge.adapters.passwords import Argon2Passwords
from bridge.adapters.registry_http import OwnToken, RegistryHTTP
from bridge.adapters.sql import SQLStore
from bridge.api import account, admin, authorize, ending, federation, metadata, par, revocations, token
from bridge.api import clients as clients_api
from bridge.api.browser import Browser
from bridge.grants import jwt_bearer, token_exchange
from bridge.model import AUDIT_READ, BRIDGE_ADMIN, ISSUER_ADMIN, REGISTRY_READ, Identity, Resource
from bridge.service.administration import Administration
from bridge.service.authorization import Authorization
from bridge.service.clients import ClientAdministration, Clients
from bridge.service.consents import OwnConsents
from bridge.service.ending import Ending
from bridge.service.federation import FederationAdministration
from bridge.service.grants import refresh_token
from bridge.service.grants.authorization_code import AuthorizationCode
from bridge.service.grants.client_credentials import ClientCredentials
from bridge.service.grants.jwt_bearer import JWTBearer
from bridge.service.grants.refresh_token import Refresh
from bridge.service.grants.token_exchange import TokenExchange
from bridge.service.introspection import Introspection
from bridge.service.lookup import Lookup
from bridge.service.pushing import Pushing
from bridge.service.revocation import RevocationFeed
from bridge.service.tokens import OfferedGrant, Tokens
from bridge.settings import BridgeSettings
from did_agent.adapters.http import GuardedFetcher, is_loopback
from did_agent.adapters.keystore import load_or_create_key
from did_agent.adapters.outbox import Delivery
from did_agent.adapters.sql import open_database
from did_agent.adapters.status import StatusLists
from did_agent.adapters.trust import load_trust
from did_agent.adapters.web import harden
from did_agent.adapters.web_input import Direct, plain_app
from did_agent.clock import Clock, system_clock
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.errors import StoreUnavailable
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import thumbprint

FORGET_EVERY: Final = 600.0  # s between deletions of what is over
_log: Final = logging.getLogger("did_agent.bridge")


def party() -> Any:
    """Return the bridge as the environment configures it."""
    return create_app(BridgeSettings())


def create_app(settings: BridgeSettings, *, clock: Clock = system_clock) -> Any:
    """Return the hardened ASGI app; its lifespan makes the schema and runs the delivery of audit events."""
    identity = _identity(settings)
    trust = load_trust(settings.data / "trust.json")
    trusted = TrustedIssuers.of(*trust.issuers)
    engine = open_database(settings.database)
    delivery = Delivery(engine, tables.outbox, ledger_url=settings.ledger_url, key=identity.key, clock=clock)
    store = SQLStore(engine, recorded=delivery.wake)
    passwords = Argon2Passwords()
    issuer_url = settings.issuer_url
    registry = RegistryHTTP(
        issuer_url,
        token=OwnToken(identity, issuer_url=issuer_url, clock=clock),
        max_age=timedelta(seconds=settings.registry_max_age),
        clock=clock,
    )
    fetcher = GuardedFetcher(allow_loopback=is_loopback(settings.bridge_url))
    max_age = timedelta(seconds=settings.status_max_age)
    operators, refresh_key = frozenset(trust.operators), _derived(identity.token_key, b"refresh tokens")
    lookup = Lookup(
        store=store,
        registry=registry,
        statuses=StatusLists(fetcher, trusted=trusted, max_age=max_age, clock=clock),
        identity=identity,
        trusted=trusted,
        challenge_key=_derived(identity.token_key, b"challenges"),
    )
    clients = Clients(
        store=store,
        registry=registry,
        documents=ClientDocumentsHTTP(
            fetcher,
            allow_loopback=is_loopback(settings.bridge_url),
            domains=frozenset(settings.client_domains) or None,
            clock=clock,
        ),
        identity=identity,
    )
    tokens = Tokens(
        store=store,
        identity=identity,
        clients=clients,
        grants=_grants(
            lookup,
            operators=operators,
            foreign_keys=ForeignKeysHTTP(fetcher, clock=clock),
            refresh_key=refresh_key,
        ),
        challenge_key=lookup.challenge_key,
        clock=clock,
        demands_nonces=settings.dpop_nonces,
    )
    authorization = Authorization(
        store=store,
        registry=registry,
        clients=clients,
        passwords=passwords,
        identity=identity,
        trusted=trusted,
        clock=clock,
    )
    administration = Administration(store=store, passwords=passwords, identity=identity, clock=clock)
    pushing = Pushing(authorization=authorization, clients=clients, store=store, identity=identity, clock=clock)
    feed = RevocationFeed(store=store, identity=identity, issuers=frozenset(trust.issuers), clock=clock)
    browser = Browser(issuer=identity.issuer, csrf_key=_derived(identity.token_key, b"forms"))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await store.prepare(_built_in(settings), now=clock())
        tasks = [asyncio.create_task(work) for work in (delivery.run(), _forget(store, clock))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            passwords.close()
            await registry.aclose()
            await fetcher.aclose()
            await engine.dispose()

    app = plain_app(lifespan=lifespan)
    under, root = metadata.routes(identity, store, grant_types=tuple(tokens.grants))
    path = urlsplit(identity.issuer).path
    for router in (
        under,
        token.routes(tokens, issuer=identity.issuer),
        authorize.routes(authorization, browser),
        account.routes(authorization, OwnConsents(store=store, identity=identity, clock=clock), browser, clock=clock),
        admin.routes(administration),
        clients_api.routes(administration, ClientAdministration(store=store, identity=identity, clock=clock)),
        par.routes(pushing),
        ending.routes(
            Ending(store=store, identity=identity, clients=clients, refresh_key=refresh_key, clock=clock),
            Introspection(
                store=store,
                identity=identity,
                clients=clients,
                operators=operators,
                refresh_key=refresh_key,
                clock=clock,
            ),
            administration,
            issuer=identity.issuer,
        ),
        federation.routes(administration, FederationAdministration(store=store, identity=identity, clock=clock)),
        revocations.routes(feed),
    ):
        app.include_router(router, prefix=path)
    app.include_router(root)
    quick = Direct(app, {f"{path}/token": token.endpoint(tokens)})
    return harden(quick, allowed_hosts=frozenset({urlsplit(identity.issuer).netloc.lower()}))


def _grants(
    lookup: Lookup, *, operators: frozenset[str], foreign_keys: ForeignKeysHTTP, refresh_key: bytes
) -> dict[str, OfferedGrant]:
    """Return every grant this bridge offers, by its `grant_type`."""
    codes = AuthorizationCode(lookup=lookup, refresh_key=refresh_key)
    exchange = TokenExchange(lookup=lookup, codes=codes)
    return {
        "client_credentials": OfferedGrant("client_credentials", ClientCredentials(lookup=lookup, operators=operators)),
        "authorization_code": OfferedGrant("authorization_code", codes),
        token_exchange.GRANT_TYPE: OfferedGrant("token_exchange", exchange),
        refresh_token.GRANT_TYPE: OfferedGrant("refresh_token", Refresh(lookup=lookup, key=refresh_key)),
        jwt_bearer.GRANT_TYPE: OfferedGrant(
            "jwt_bearer", JWTBearer(lookup=lookup, keys=foreign_keys, presentations=exchange)
        ),
    }


async def _forget(store: SQLStore, clock: Clock) -> None:
    while True:
        await asyncio.sleep(FORGET_EVERY)
        try:
            await store.forget(clock())
        except StoreUnavailable as error:
            _log.warning("what is over could not be deleted: %s", error.code)


def _identity(settings: BridgeSettings) -> Identity:
    keys = settings.data / "keys"
    key, token_key = load_or_create_key(keys / "bridge.jwk"), load_or_create_key(keys / "bridge-token.jwk")
    return Identity(
        issuer=settings.bridge_url,
        did=did_key(key.public),
        key=key,
        token_key=token_key,
        kid=thumbprint(token_key.public),
    )


def _derived(key: SigningKey, purpose: bytes) -> bytes:
    # Shared by all workers and stable over restarts; one purpose tells nothing about another or about the key.
    return hmac.digest(key.seed(), b"did-agent bridge " + purpose, hashlib.sha256)


def _built_in(settings: BridgeSettings) -> tuple[Resource, ...]:
    bridge = {BRIDGE_ADMIN: "administer resources and people"}
    issuer = {ISSUER_ADMIN: "administer agents and credentials", REGISTRY_READ: "read the register of agents"}
    ledger = {AUDIT_READ: "read the audit log"}
    return (
        Resource(id=settings.bridge_url, name="Bridge", scopes=bridge, built_in=True),
        Resource(id=settings.issuer_url, name="Issuer", scopes=issuer, built_in=True),
        Resource(id=settings.ledger_url, name="Ledger", scopes=ledger, built_in=True),
    )
