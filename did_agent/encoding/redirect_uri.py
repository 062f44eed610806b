"""Redirect URIs that may be registered at all (OAuth 2.1, 2.3.1; RFC 8252, 7): one spelling, one reading (OAU-03)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

MAX_CHARS: Final = 2_048  # characters of a redirect URI

LOOPBACK: Final = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::[1-9][0-9]{0,4})?(/[^?#]*(?:\?[^#]*)?)?")
_LOCALHOST: Final = re.compile(r"http://localhost(?::[1-9][0-9]{0,4})?(?:/[^#]*)?")
_PRIVATE_SCHEME: Final = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)+:/[^/].*")
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# No user information, no trailing dot, no empty label, no escapes: what is compared is what is shown and connected to.
_AUTHORITY: Final = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::[1-9][0-9]{{0,4}})?")
_DOTS: Final = r"(?:^|/|%2f)\.\.?(?:/|%2f|%5c|$|[?;])"
# Escapes that some reader turns into a dot, a slash, a control character or a second escape; and those that are none.
_ESCAPES: Final = r"%2e|%5c|%[01][0-9a-f]|%7f|%c[01]|%25(?:25)*(?:2[ef]|5c)|%(?![0-9a-f]{2})"
_UNSAFE: Final = re.compile(rf"[^!-~]|[\\*#<>\"{{}}|^`]|{_DOTS}|{_ESCAPES}|;", re.IGNORECASE)


def is_redirect_uri(uri: str) -> bool:
    """Tell whether `uri` has a form that can be redirected to: https, loopback http, or a private-use scheme."""
    if len(uri) > MAX_CHARS or _UNSAFE.search(uri):
        return False
    try:
        parts = urlsplit(uri)
        port_ok = parts.port is None or parts.port < 65_536
    except ValueError:
        return False
    if parts.geturl() != uri or not port_ok:
        return False
    if parts.scheme == "https":
        return bool(_AUTHORITY.fullmatch(parts.netloc))
    if parts.scheme == "http":
        return bool(LOOPBACK.fullmatch(uri) or _LOCALHOST.fullmatch(uri))
    return bool(_PRIVATE_SCHEME.fullmatch(uri))
