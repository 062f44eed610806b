"""The bridge, joined: the only place where its parts meet."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge import options
from bridge.adapters import tables
from bridge.adapters.client_documents import ClientDocumentsHTTP
from bridge.adapters.foreign_keys import ForeignKeysHTTP
from bridge.adapters.keystore import AgeKeystore
from bridge.adapters.notice import LogNotice
from bridge.adapters.passwords import Argon2Passwords
from bridge.adapters.registry_http import OwnToken, RegistryHTTP
from bridge.adapters.sql import SQLStore
from bridge.api import (
    account,
    admin,
    authorize,
    authzen,
    ending,
    federation,
    metadata,
    par,
    policy,
    revocations,
    token,
)
from bridge.api import backchannel as backchannel_api
from bridge.api import clients as clients_api
from bridge.api import keys as keys_api
from bridge.api import lending as lending_api
from bridge.api import operators as operators_api
from bridge.api import passkeys as passkeys_api
from bridge.api import signals as signals_api
from bridge.api import tasks as tasks_api
from bridge.api import token_status as token_status_api
from bridge.api import trust as trust_api
from bridge.api import upstream as upstream_api
from bridge.api.openapi import OPERATIONS, SECURITY
from bridge.api.sign_in import Doors
from bridge.grants import ciba, jwt_bearer, token_exchange
from bridge.health import readiness
from bridge.migrations import SCHEMA
from bridge.model import AUDIT_ERASE, AUDIT_READ, BRIDGE_ADMIN, Identity, Resource
from bridge.model.operators import ISSUER_SCOPES
from bridge.people import doors_of, upstream_of
from bridge.ports.keys import KeyProvider
from bridge.service.administration import Administration
from bridge.service.authorization import Authorization
from bridge.service.backchannel import Backchannel
from bridge.service.callers import Callers
from bridge.service.clients import ClientAdministration, Clients
from bridge.service.consents import OwnConsents
from bridge.service.ending import Ending
from bridge.service.evaluation import Evaluations
from bridge.service.federation import FederationAdministration
from bridge.service.following import Following
from bridge.service.grants import refresh_token
from bridge.service.grants.authorization_code import AuthorizationCode
from bridge.service.grants.ciba import CIBA
from bridge.service.grants.client_credentials import ClientCredentials
from bridge.service.grants.jwt_bearer import JWTBearer
from bridge.service.grants.refresh_token import Refresh
from bridge.service.grants.token_exchange import TokenExchange
from bridge.service.introspection import Introspection
from bridge.service.keys import KeyAdministration, Keyring
from bridge.service.lending import LendingAdministration
from bridge.service.lookup import Lookup
from bridge.service.operators import OperatorAdministration
from bridge.service.policy import PolicyInForce
from bridge.service.publication import PolicyAdministration
from bridge.service.pushing import Pushing
from bridge.service.revocation import RevocationFeed
from bridge.service.sessions import Sessions
from bridge.service.signals import Signals
from bridge.service.tasks import Tasks as RunningTasks
from bridge.service.tenancy import Tenancy
from bridge.service.token_status import TokenStatusLists
from bridge.service.tokens import OfferedGrant, Tokens
from bridge.settings import BridgeSettings
from bridge.trust import pulled_trust, trust_watch
from did_agent.adapters.cedar import Cedar
from did_agent.adapters.http import GuardedFetcher, is_loopback
from did_agent.adapters.keystore import load_key, load_or_create_key, warn_of_plain_keys
from did_agent.adapters.migrations import prepare_schema
from did_agent.adapters.observing import Observer
from did_agent.adapters.openapi import publish
from did_agent.adapters.outbox import Delivery
from did_agent.adapters.sql import open_database
from did_agent.adapters.status import StatusLists
from did_agent.adapters.trust import load_trust
from did_agent.adapters.web import harden
from did_agent.adapters.web_input import Direct, plain_app
from did_agent.clock import Clock, system_clock
from did_agent.did.key import did_key
from did_agent.errors import Misconfigured, StoreUnavailable
from did_agent.keys.ed25519 import SigningKey

FORGET_EVERY: Final = 600.0  # s between deletions of what is over
_log: Final = logging.getLogger("did_agent.bridge")


def party() -> Any:
    """Return the bridge as the environment configures it."""
    return create_app(BridgeSettings())


def create_app(settings: BridgeSettings, *, clock: Clock = system_clock) -> Any:
    """Return the hardened ASGI app; its lifespan makes the schema and runs the delivery of audit events."""
    key, first, secret = _own_keys(settings.data / "keys", is_alone=is_loopback(settings.bridge_url))
    trust = load_trust(settings.data / "trust.json")
    engine, observer = open_database(settings.database), Observer.of("bridge", settings.bridge_url)
    delivery = Delivery(engine, tables.outbox, ledger_url=settings.ledger_url, key=key, clock=clock)
    store = SQLStore(engine, recorded=delivery.wake)
    ring = Keyring(store=store, providers=_providers(settings), clock=clock)
    identity = Identity(issuer=settings.bridge_url, did=did_key(key.public), key=key, ring=ring)
    passwords = Argon2Passwords()
    issuer_url = settings.issuer_url
    registry = RegistryHTTP(
        issuer_url,
        token=OwnToken(identity, issuer_url=issuer_url, clock=clock),
        max_age=timedelta(seconds=settings.registry_max_age),
        clock=clock,
    )
    fetcher = GuardedFetcher(allow_loopback=is_loopback(settings.bridge_url))
    trusted = pulled_trust(settings, trust, fetcher, clock)
    operators, refresh_key = frozenset(trust.operators), _derived(secret, b"refresh tokens")
    policies = PolicyInForce(language=Cedar())
    lookup = Lookup(
        store=store,
        registry=registry,
        statuses=StatusLists(fetcher, trusted=trusted, max_age=timedelta(seconds=settings.status_max_age), clock=clock),
        identity=identity,
        trusted=trusted,
        policies=policies,
        challenge_key=_derived(secret, b"challenges"),
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
    statuses = TokenStatusLists(
        store=store, identity=identity, above=timedelta(seconds=settings.token_status_above), clock=clock
    )
    tokens = Tokens(
        store=store,
        identity=identity,
        clients=clients,
        statuses=statuses,
        tenancy=Tenancy(lookup=lookup),
        grants=_grants(
            lookup,
            operators=operators,
            issuer_url=settings.issuer_url,
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
        identity=identity,
        trusted=trusted,
        policies=policies,
        clock=clock,
    )
    administration = Administration(store=store, passwords=passwords, identity=identity, ring=ring, clock=clock)
    feed = RevocationFeed(store=store, identity=identity, issuers=lambda: trusted.own(clock()), clock=clock)
    sessions = Sessions(
        store=store,
        passwords=passwords,
        identity=identity,
        key=_derived(secret, b"known browsers"),
        takes_passwords=settings.local_accounts,
        clock=clock,
    )
    derived = partial(_derived, secret)
    doors, upstream = doors_of(settings, sessions, derived), upstream_of(settings, sessions, fetcher, derived)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await _prepare(engine, store, settings, clock)
        await ring.prepare(first)
        tasks = [
            asyncio.create_task(work)
            for work in (
                delivery.run(),
                ring.run(),
                _forget(store, clock),
                trusted.run(),
                trust_watch(lookup, trusted, settings, clock).run(),
            )
        ]
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

    callers = Callers(
        store=store,
        clients=clients,
        administration=administration,
        trusted=operators | frozenset(trust.parties),
        clock=clock,
    )
    running = RunningTasks(store=store, identity=identity, clients=clients, operators=operators, clock=clock)
    decisions, decisions_root = authzen.routes(Evaluations(lookup=lookup, clock=clock), callers, issuer=identity.issuer)
    app = plain_app(lifespan=lifespan)
    well = readiness(
        lookup, engine=engine, delivery=delivery, ring=ring, trusted=trusted, observer=observer, clock=clock
    )
    under, root = metadata.routes(identity, well, grant_types=tuple(tokens.grants), offered=options.offered(settings))
    path = urlsplit(identity.issuer).path
    for router in (
        under,
        token.routes(tokens, issuer=identity.issuer),
        authorize.routes(authorization, doors),
        upstream_api.routes(administration, upstream, doors),
        passkeys_api.routes(),
        *_account(lookup, clients, doors, running, clock),
        admin.routes(administration),
        keys_api.routes(administration, KeyAdministration(ring=ring, store=store, identity=identity, clock=clock)),
        operators_api.routes(
            administration,
            OperatorAdministration(store=store, identity=identity, own=operators, clock=clock),
        ),
        lending_api.routes(administration, LendingAdministration(store=store, identity=identity, clock=clock)),
        clients_api.routes(administration, ClientAdministration(store=store, identity=identity, clock=clock)),
        par.routes(Pushing(authorization=authorization, clients=clients, store=store, identity=identity, clock=clock)),
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
        trust_api.routes(trusted, clock=clock),
        token_status_api.routes(statuses),
        tasks_api.routes(running, administration),
        _signals(callers, operators | frozenset(settings.signal_sources), identity),
        *options.self_registration(settings, store, identity, clock),
        policy.routes(
            administration,
            PolicyAdministration(store=store, policies=policies, identity=identity, operators=operators, clock=clock),
            callers,
        ),
        decisions,
    ):
        app.include_router(router, prefix=path)
    for router in (root, decisions_root):
        app.include_router(router)
    publish(app, OPERATIONS, title="did-agent bridge", url=identity.issuer, security=SECURITY)
    quick = Direct(app, {f"{path}/token": token.endpoint(tokens)})
    return harden(
        options.seeing_certificates(quick, settings, clock), allowed_hosts=options.hosts(settings), observer=observer
    )


def _grants(
    lookup: Lookup, *, operators: frozenset[str], issuer_url: str, foreign_keys: ForeignKeysHTTP, refresh_key: bytes
) -> dict[str, OfferedGrant]:
    """Return every grant this bridge offers, by its `grant_type`."""
    following = Following(lookup=lookup, issuer_url=issuer_url)
    codes = AuthorizationCode(lookup=lookup, following=following, refresh_key=refresh_key)
    exchange = TokenExchange(lookup=lookup, codes=codes)
    return {
        "client_credentials": OfferedGrant(
            "client_credentials",
            ClientCredentials(lookup=lookup, operators=operators, issuer_url=issuer_url, presentations=exchange),
        ),
        "authorization_code": OfferedGrant("authorization_code", codes),
        token_exchange.GRANT_TYPE: OfferedGrant("token_exchange", exchange),
        refresh_token.GRANT_TYPE: OfferedGrant(
            "refresh_token", Refresh(lookup=lookup, following=following, key=refresh_key)
        ),
        jwt_bearer.GRANT_TYPE: OfferedGrant(
            "jwt_bearer", JWTBearer(lookup=lookup, keys=foreign_keys, presentations=exchange)
        ),
        ciba.GRANT_TYPE: OfferedGrant("ciba", CIBA(lookup=lookup, following=following)),
    }


def _account(lookup: Lookup, clients: Clients, doors: Doors, running: RunningTasks, clock: Clock) -> list[APIRouter]:
    """Return the pages of a person's account, and the door of agents that ask people there."""
    asking = Backchannel(lookup=lookup, clients=clients, notice=LogNotice(), clock=clock)
    consents = OwnConsents(store=lookup.store, identity=lookup.identity, clock=clock)
    return [
        account.routes(doors, consents, waiting=asking.waiting, tasks=running, clock=clock),
        backchannel_api.routes(asking, doors),
    ]


def _signals(callers: Callers, sources: frozenset[str], identity: Identity) -> APIRouter:
    """Return the door of operators and signal sources."""
    signals = Signals(store=callers.store, identity=identity, clock=callers.clock)
    return signals_api.routes(signals, replace(callers, trusted=sources))


async def _prepare(engine: AsyncEngine, store: SQLStore, settings: BridgeSettings, clock: Clock) -> None:
    await prepare_schema(engine, SCHEMA, migrate=settings.migrate)
    await store.prepare(_built_in(settings), now=clock())


async def _forget(store: SQLStore, clock: Clock) -> None:
    while True:
        await asyncio.sleep(FORGET_EVERY)
        try:
            await store.forget(clock())
        except StoreUnavailable as error:
            _log.warning("what is over could not be deleted: %s", error.code)


def _providers(settings: BridgeSettings) -> list[KeyProvider]:
    """Return where signing keys are kept: the first makes new ones, the others open what they made before."""
    age = AgeKeystore.at(settings.data / "keys", passphrase=settings.keystore_secret)
    if settings.pkcs11_module is None:
        return [age]
    from bridge.adapters.pkcs11_keys import PKCS11Keys

    pin = settings.pkcs11_secret
    if pin is None:
        raise Misconfigured("DID_AGENT_PKCS11_PIN or its _FILE is needed beside DID_AGENT_PKCS11_MODULE")
    module = PKCS11Keys(module=settings.pkcs11_module, token=settings.pkcs11_token, pin=pin)
    return [module, age]


def _own_keys(folder: Path, *, is_alone: bool) -> tuple[SigningKey, SigningKey | None, SigningKey]:
    """Return the key of the bridge's DID, the one that signed tokens before there was a ring, and the root of secrets.

    That older key may lie in clear, so no new deployment makes one: its signing keys are sealed from the first one on.
    """
    if not is_alone:
        warn_of_plain_keys(folder.glob("bridge*.jwk"))
    key, older = load_or_create_key(folder / "bridge.jwk"), folder / "bridge-token.jwk"
    if older.exists():
        first = load_key(older)
        return key, first, first
    return key, None, load_or_create_key(folder / "bridge-secret.jwk")


def _derived(key: SigningKey, purpose: bytes) -> bytes:
    # Shared by all workers and stable over restarts; one purpose tells nothing about another or about the key.
    return hmac.digest(key.seed(), b"did-agent bridge " + purpose, hashlib.sha256)


def _built_in(settings: BridgeSettings) -> tuple[Resource, ...]:
    bridge = {BRIDGE_ADMIN: "administer resources and people"}
    ledger = {AUDIT_READ: "read the audit log", AUDIT_ERASE: "erase what the audit log says of people"}
    return (
        Resource(id=settings.bridge_url, name="Bridge", scopes=bridge, built_in=True),
        Resource(id=settings.issuer_url, name="Issuer", scopes=ISSUER_SCOPES, built_in=True),
        Resource(id=settings.ledger_url, name="Ledger", scopes=ledger, built_in=True),
    )
