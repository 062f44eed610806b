"""Redirect URIs: the registered string exactly, with one exception, the port of a loopback IP (RFC 8252; OAU-03)."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from did_agent.encoding.redirect_uri import LOOPBACK, is_redirect_uri
from did_agent.errors import InvalidParameter


def require_redirect_uri(requested: str | None, registered: Iterable[str]) -> str:
    """Return where the answer goes; without a request, the only registered URI.

    Whatever is refused here is answered on a local page, never by a redirect.
    Raises: InvalidParameter.
    """
    allowed = [uri for uri in registered if is_redirect_uri(uri)]
    if requested is None:
        if len(allowed) != 1 or LOOPBACK.fullmatch(allowed[0]):
            raise InvalidParameter("redirect_uri is needed")
        return allowed[0]
    if is_redirect_uri(requested) and any(_matches(requested, uri) for uri in allowed):
        return requested
    raise InvalidParameter("redirect_uri is not registered for this client")


def shown_host(uri: str) -> str:
    """Return what a person is shown of a redirect URI: its host, or its private-use scheme."""
    parts = urlsplit(uri)
    return parts.netloc or f"{parts.scheme}: (an app on this device)"


def form_action_source(uri: str) -> str:
    """Return the CSP source of a redirect URI; browsers apply `form-action` to redirects after a form too."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"


def is_loopback(uri: str) -> bool:
    """Tell whether `uri` leads to a program on the user's own device."""
    return bool(LOOPBACK.fullmatch(uri)) or urlsplit(uri).hostname == "localhost"


def _matches(requested: str, registered: str) -> bool:
    if requested == registered:
        return True
    asked, known = LOOPBACK.fullmatch(requested), LOOPBACK.fullmatch(registered)
    return bool(asked and known and asked.groups() == known.groups())
