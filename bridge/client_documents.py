"""Client ID Metadata Documents: a client that says who it is at the https URL that is its id (OAU-11)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from bridge.model.clients import OAuthClient
from did_agent.encoding.redirect_uri import is_redirect_uri
from did_agent.errors import BadKey, InvalidParameter
from did_agent.keys.jwk import parse_public_jwk

MAX_DOCUMENT: Final = 5_120  # bytes
MAX_REDIRECTS: Final = 16
MAX_KEYS: Final = 8
MAX_NAME: Final = 64  # characters


def is_document_url(client_id: str, *, allow_loopback: bool) -> bool:
    """Tell whether a client id has the form of a document's URL; http is for a bridge on this very machine."""
    if not client_id.isascii() or not client_id.isprintable() or " " in client_id or len(client_id) > 512:
        return False
    try:
        parts = urlsplit(client_id)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    is_local = allow_loopback and parts.scheme == "http" and host in ("127.0.0.1", "::1", "localhost")
    dots = any(segment in (".", "..") for segment in parts.path.split("/"))
    plain = not parts.fragment and "#" not in client_id and "@" not in parts.netloc and not parts.query
    return (parts.scheme == "https" or is_local) and bool(host) and parts.path not in ("", "/") and plain and not dots


def parse_client_document(url: str, document: Mapping[str, object]) -> OAuthClient:
    """Return the client that the document at `url` describes; members we do not know are left alone.

    Raises: InvalidParameter.
    """
    if document.get("client_id") != url:
        raise InvalidParameter("the client's document names another client_id")
    if any(str(name).startswith("client_secret") for name in document):
        raise InvalidParameter("a public document holds no secret")
    method = document.get("token_endpoint_auth_method", "none")
    if method not in ("none", "private_key_jwt"):
        raise InvalidParameter("the client's authentication method is neither none nor private_key_jwt")
    keys = _keys(document) if method == "private_key_jwt" else ()
    return OAuthClient(
        id=url,
        kind="document",
        name=client_name(document.get("client_name")),
        redirect_uris=redirect_uris(document.get("redirect_uris")),
        auth_method="private_key_jwt" if method == "private_key_jwt" else "none",
        keys=keys,
    )


def client_name(value: object) -> str:
    """Return a name that can be shown where people decide (WEB-08).

    Raises: InvalidParameter.
    """
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        raise InvalidParameter(f"client_name is not a text of 1 to {MAX_NAME} characters")
    if unicodedata.normalize("NFC", value) != value or any(unicodedata.category(char)[0] == "C" for char in value):
        raise InvalidParameter("client_name holds control or invisible characters, or is not NFC")
    return value


def redirect_uris(value: object) -> tuple[str, ...]:
    """Return redirect URIs that can be registered.

    Raises: InvalidParameter naming the first that cannot.
    """
    if not isinstance(value, list) or not 0 < len(value) <= MAX_REDIRECTS:
        raise InvalidParameter(f"redirect_uris is not a list of 1 to {MAX_REDIRECTS}")
    for uri in value:
        if not isinstance(uri, str) or not is_redirect_uri(uri):
            allowed = "https, http to a loopback address, or a scheme of the app's own"
            raise InvalidParameter(f"{str(uri)[:100]!r} cannot be a redirect URI: {allowed}")
    return tuple(value)


def _keys(document: Mapping[str, object]) -> tuple[Mapping[str, object], ...]:
    jwks: Any = document.get("jwks")
    listed = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_KEYS:
        raise InvalidParameter("private_key_jwt needs jwks in the client's document")
    for jwk in listed:
        try:
            parse_public_jwk(jwk)
        except BadKey as error:
            raise InvalidParameter("a key in the client's document is not accepted") from error
    return tuple(listed)
