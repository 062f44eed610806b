"""Parts of the bridge that settings alone switch on: client certificates, and clients that register themselves."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter

from bridge.api import client_certificates, register
from bridge.model import Identity
from bridge.ports import Store
from bridge.registration import token_digest
from bridge.service.registration import SelfRegistration
from bridge.settings import BridgeSettings
from did_agent.adapters.peer_certificate import Proxies
from did_agent.clock import Clock
from did_agent.errors import Misconfigured


def offered(settings: BridgeSettings) -> dict[str, object]:
    """Return the metadata of what is on."""
    registration = register.offered(settings.bridge_url) if settings.registration else {}
    if not settings.sees_certificates:
        return registration
    has_authority = settings.client_ca is not None
    return {**registration, **client_certificates.offered(mtls_url=settings.mtls_url, has_authority=has_authority)}


def self_registration(settings: BridgeSettings, store: Store, identity: Identity, clock: Clock) -> list[APIRouter]:
    """Return the routes at which clients register themselves, if the operator wants that."""
    if not settings.registration:
        return []
    initial = settings.registration_token
    service = SelfRegistration(
        store=store,
        identity=identity,
        per_address=settings.registrations_per_day,
        initial=None if initial is None else token_digest(initial.get_secret_value()),
        clock=clock,
    )
    return [register.routes(service, issuer=identity.issuer)]


def seeing_certificates(app: Any, settings: BridgeSettings, clock: Clock) -> Any:
    """Return the app behind the edge where client certificates come in, or are refused.

    Raises: Misconfigured.
    """
    authority = None
    if settings.client_ca is not None:
        from did_agent.adapters.tls import ClientCA

        authority = ClientCA(settings.client_ca)
    if settings.mtls_url is not None and urlsplit(settings.mtls_url).path != urlsplit(settings.bridge_url).path:
        raise Misconfigured("mtls_url has another path than bridge_url")
    proxies = Proxies.of(settings.tls_proxies)
    return client_certificates.ClientCertificates(app, proxies=proxies, authority=authority, clock=clock)


def hosts(settings: BridgeSettings) -> frozenset[str]:
    """Return the `Host` values the bridge is reached under."""
    return frozenset(
        urlsplit(url).netloc.lower() for url in (settings.bridge_url, settings.mtls_url) if url is not None
    )
