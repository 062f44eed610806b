"""Redirect URIs: the registered string exactly, with one exception, the port of a loopback IP (RFC 8252; OAU-03)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from did_agent.errors import InvalidParameter

MAX_CHARS: Final = 2_048  # characters of a redirect URI

_LOOPBACK: Final = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::[0-9]{1,5})?(/[^?#]*(?:\?[^#]*)?)?")
_PRIVATE_SCHEME: Final = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)+:/[^/]?.*")
_UNSAFE: Final = re.compile(r"[^!-~]|[\\*#<>\"]|(^|/)\.\.?(/|$|[?;])|%2e|%5c|;", re.IGNORECASE)


def require_redirect_uri(requested: str | None, registered: Iterable[str]) -> str:
    """Return where the answer goes; without a request, the only registered URI.

    Whatever is refused here is answered on a local page, never by a redirect.
    Raises: InvalidParameter.
    """
    allowed = [uri for uri in registered if is_registrable(uri)]
    if requested is None:
        if len(allowed) != 1 or _LOOPBACK.fullmatch(allowed[0]):
            raise InvalidParameter("redirect_uri is needed")
        return allowed[0]
    if is_registrable(requested) and any(_matches(requested, uri) for uri in allowed):
        return requested
    raise InvalidParameter("redirect_uri is not registered for this client")


def is_registrable(uri: str) -> bool:
    """Tell whether `uri` has a form that can be redirected to: https, loopback http, or a private-use scheme."""
    if len(uri) > MAX_CHARS or _UNSAFE.search(uri):
        return False
    try:
        parts = urlsplit(uri)
        port_ok = parts.port is None or 0 < parts.port < 65_536
    except ValueError:
        return False
    if parts.geturl() != uri or "@" in parts.netloc or not port_ok:
        return False
    if parts.scheme == "https":
        return bool(parts.hostname) and parts.netloc == parts.netloc.lower()
    if parts.scheme == "http":
        return bool(_LOOPBACK.fullmatch(uri)) or parts.hostname == "localhost"
    return bool(_PRIVATE_SCHEME.fullmatch(uri))


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
    return bool(_LOOPBACK.fullmatch(uri)) or urlsplit(uri).hostname == "localhost"


def _matches(requested: str, registered: str) -> bool:
    if requested == registered:
        return True
    asked, known = _LOOPBACK.fullmatch(requested), _LOOPBACK.fullmatch(registered)
    return bool(asked and known and asked.groups() == known.groups())
