"""Joins the parts of the VC-API of verifier and holder."""

from __future__ import annotations

from typing import Any

from did_agent.adapters.did_web import DIDWebResolver
from did_agent.adapters.http import GuardedFetcher, is_loopback
from did_agent.adapters.keystore import load_or_create_key
from did_agent.adapters.openapi import publish
from did_agent.adapters.web import harden
from did_agent.clock import Clock, system_clock
from did_agent.errors import Misconfigured
from verifier.vc_api.holder import Holder
from verifier.vc_api.openapi import OPERATIONS
from verifier.vc_api.routes import vc_api
from verifier.vc_api.service import VCVerifier
from verifier.vc_api.settings import VCSettings


def create_app(settings: VCSettings, *, clock: Clock = system_clock) -> Any:
    """Return the VC-API as an ASGI app.

    Raises: Misconfigured when it would be offered beyond loopback: it has no authentication.
    """
    if not is_loopback(settings.vc_api_url):
        raise Misconfigured("the VC-API has no authentication: it is offered on loopback only")
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = load_or_create_key(settings.data / "keys" / "vc-api-holder.jwk")
    fetcher = GuardedFetcher(allow_loopback=True)
    resolver = DIDWebResolver(fetcher, clock=clock, allow_loopback=True)
    service = VCVerifier(resolver, fetcher, clock=clock)
    app = vc_api(service, Holder(key, clock=clock), resolver, failure_status=settings.verify_failure_status)
    publish(app, OPERATIONS, title="did-agent VC-API", url=settings.vc_api_url, security={})
    return harden(app)


def party() -> Any:
    """Return the app built from the environment, for `did-agent up --vc-api` and `did-agent vc-api`."""
    return create_app(VCSettings())
