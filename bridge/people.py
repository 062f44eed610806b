"""How people get in, joined from settings: passwords, passkeys, the company's provider; a part of `bridge.app`."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from bridge.api.browser import Browser
from bridge.api.sign_in import Doors
from bridge.api.upstream import CALLBACK
from bridge.model.passkeys import RelyingParty
from bridge.model.upstream import PlaceRule, Upstream
from bridge.passkeys import can_have_passkeys
from bridge.service.passkeys import OwnPasskeys
from bridge.service.sessions import Sessions
from bridge.service.upstream import UpstreamLogin
from bridge.settings import BridgeSettings, UpstreamPlace
from bridge.upstream import is_endpoint
from did_agent.adapters.http import GuardedFetcher, is_loopback
from did_agent.adapters.peer_certificate import Proxies
from did_agent.errors import Misconfigured


def doors_of(settings: BridgeSettings, sessions: Sessions, derived: Callable[[bytes], bytes]) -> Doors:
    """Return the login page of this deployment; `derived` makes a key for each purpose."""
    return Doors(
        browser=Browser(issuer=settings.bridge_url, csrf_key=derived(b"forms")),
        sessions=sessions,
        proxies=Proxies.of(settings.tls_proxies),
        passkeys=_passkeys(settings, sessions, key=derived(b"passkeys")),
        company=None if settings.upstream_issuer is None else urlsplit(settings.upstream_issuer).hostname,
    )


def upstream_of(
    settings: BridgeSettings, sessions: Sessions, fetcher: GuardedFetcher, derived: Callable[[bytes], bytes]
) -> UpstreamLogin | None:
    """Return the login at the company's provider, if there is one.

    Raises: Misconfigured.
    """
    if settings.upstream_issuer is None or settings.upstream_client_id is None:
        return None
    from bridge.adapters.upstream_http import UpstreamHTTP

    allow_loopback = is_loopback(settings.bridge_url)
    if not is_endpoint(settings.upstream_issuer, allow_loopback=allow_loopback):
        raise Misconfigured("upstream_issuer is no https URL")
    provider = Upstream(
        issuer=settings.upstream_issuer,
        client_id=settings.upstream_client_id,
        client_secret=_secret(settings),
        groups_claim=settings.upstream_groups_claim,
        redirect_uri=f"{settings.bridge_url}{CALLBACK}",
        places=tuple(_place(rule) for rule in settings.upstream_places),
        admits_others=settings.upstream_admits_others,
    )
    return UpstreamLogin(
        upstream=provider,
        provider=UpstreamHTTP(provider, fetcher, allow_loopback=allow_loopback, clock=sessions.clock),
        store=sessions.store,
        sessions=sessions,
        identity=sessions.identity,
        key=derived(b"upstream logins"),
        clock=sessions.clock,
    )


def _place(rule: UpstreamPlace) -> PlaceRule:
    operates = frozenset(rule.operates)
    return PlaceRule(claim=rule.claim, value=rule.value, organisation=rule.organisation, operates=operates)


def _secret(settings: BridgeSettings) -> str:
    try:
        return settings.upstream_secret
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"upstream_client_secret_file cannot be read: {type(error).__name__}") from error


def _passkeys(settings: BridgeSettings, sessions: Sessions, *, key: bytes) -> OwnPasskeys | None:
    parts = urlsplit(settings.bridge_url)
    if not settings.local_accounts or not can_have_passkeys(parts.hostname or ""):
        return None
    from bridge.adapters.webauthn import ALGORITHMS, WebAuthn

    party = RelyingParty(id=parts.hostname or "", origin=f"{parts.scheme}://{parts.netloc}")
    return OwnPasskeys(
        party=party,
        authenticator=WebAuthn(party),
        algorithms=ALGORITHMS,
        store=sessions.store,
        sessions=sessions,
        identity=sessions.identity,
        key=key,
        clock=sessions.clock,
    )
