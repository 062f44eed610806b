"""The edge where client certificates come in: from our own listener, or told by a configured proxy (RFC 9440)."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from bridge.model.clients import AUTH_METHODS, TLS_METHODS
from did_agent.adapters.peer_certificate import PeerCertificate, Proxies, peer_certificate
from did_agent.clock import Clock

STATE: Final = "client_certificate"  # where routes find it, in the state of the request

_ALIASES: Final = {
    "token_endpoint": "/token",
    "revocation_endpoint": "/revoke",
    "introspection_endpoint": "/introspect",
    "pushed_authorization_request_endpoint": "/par",
}


class Authority(Protocol):
    """Who vouches for client certificates."""

    def vouches_for(self, der: bytes, chain: tuple[bytes, ...], *, now: datetime) -> bool: ...


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """A certificate whose key the client proved to hold, and whether an authority of ours vouches for it."""

    der: bytes
    vouched: bool


def offered(*, mtls_url: str | None, has_authority: bool) -> dict[str, object]:
    """Return the metadata of a bridge that sees client certificates (RFC 8705, 3.3 and 5)."""
    methods = [*AUTH_METHODS, *(one for one in TLS_METHODS if has_authority or one != "tls_client_auth")]
    members: dict[str, object] = {
        "tls_client_certificate_bound_access_tokens": True,
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": [one for one in methods if one != "none"],
    }
    if mtls_url is not None:
        members["mtls_endpoint_aliases"] = {name: f"{mtls_url}{path}" for name, path in _ALIASES.items()}
    return members


class ClientCertificates:
    """Notes the certificate of every request; a header that claims one without right is refused on every route."""

    def __init__(self, app: Any, *, proxies: Proxies, authority: Authority | None, clock: Clock) -> None:
        self._app, self._proxies, self._authority, self._clock = app, proxies, authority, clock

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Handle one connection (ASGI 3).

        Raises: InvalidParameter, for the edge above to answer.
        """
        if scope["type"] == "http":
            found = peer_certificate(scope, self._proxies)
            if found is not None:
                scope.setdefault("state", {})[STATE] = ShownCertificate(found.der, self._is_vouched(found))
        await self._app(scope, receive, send)

    def _is_vouched(self, found: PeerCertificate) -> bool:
        authority = self._authority
        return authority is not None and authority.vouches_for(found.der, found.chain, now=self._clock())


def shown_certificate(scope: MutableMapping[str, Any]) -> ShownCertificate | None:
    """Return the certificate that was noted, if any."""
    found = scope.get("state", {}).get(STATE)
    return found if isinstance(found, ShownCertificate) else None
