"""What a client says of itself when it registers, judged: nothing of it is proven (RFC 7591, 2; OAU-12).

Only what a client of the code flow needs is taken.  A secret is never made: a program that anybody can register is
public, or has a key of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from bridge.client_documents import MAX_KEYS, MAX_NAME, client_name, redirect_uris
from bridge.model.clients import AuthMethod, OAuthClient
from bridge.redirects import shown_host
from did_agent.encoding import base64url
from did_agent.errors import BadClientMetadata, BadKey, BadRedirectURI, InvalidParameter
from did_agent.keys.jwk import parse_public_jwk

PREFIX: Final = "dyn-"  # of the ids that are given out
METHODS: Final[tuple[AuthMethod, ...]] = ("none", "private_key_jwt")
GRANT_TYPES: Final = ("authorization_code", "refresh_token")
RESPONSE_TYPES: Final = ("code",)


def parse_registration(client_id: str, metadata: Mapping[str, object]) -> OAuthClient:
    """Return the client that `metadata` describes; members we do not know are left alone, statements not believed.

    Raises: BadRedirectURI, BadClientMetadata.
    """
    method = metadata.get("token_endpoint_auth_method", "none")
    if method not in METHODS:
        raise BadClientMetadata("token_endpoint_auth_method is neither none nor private_key_jwt")
    _require_within("grant_types", metadata, GRANT_TYPES)
    _require_within("response_types", metadata, RESPONSE_TYPES)
    pushed = metadata.get("require_pushed_authorization_requests", False)
    if not isinstance(pushed, bool):
        raise BadClientMetadata("require_pushed_authorization_requests is neither true nor false")
    try:
        redirects = redirect_uris(metadata.get("redirect_uris"))
    except InvalidParameter as error:
        raise BadRedirectURI(error.detail) from error
    try:
        name = client_name(metadata.get("client_name", shown_host(redirects[0])[:MAX_NAME]))
    except InvalidParameter as error:
        raise BadClientMetadata(error.detail) from error
    return OAuthClient(
        id=client_id,
        kind="dynamic",
        name=name,
        redirect_uris=redirects,
        auth_method="private_key_jwt" if method == "private_key_jwt" else "none",
        keys=_keys(metadata, needed=method == "private_key_jwt"),
        require_pushed=pushed,
    )


def described(client: OAuthClient) -> dict[str, object]:
    """Return the client's metadata as registered (RFC 7591, 3.2.1)."""
    keys = {"jwks": {"keys": [dict(jwk) for jwk in client.keys]}} if client.keys else {}
    return {
        "client_id": client.id,
        "client_name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "token_endpoint_auth_method": client.auth_method,
        "grant_types": list(GRANT_TYPES),
        "response_types": list(RESPONSE_TYPES),
        "require_pushed_authorization_requests": client.require_pushed,
        **keys,
    }


def token_digest(token: str) -> str:
    """Return what is stored of a registration's token, and compared of the operator's."""
    return base64url.encode(hashlib.sha256(b"registration token " + token.encode()).digest())


def _require_within(name: str, metadata: Mapping[str, object], offered: tuple[str, ...]) -> None:
    asked = metadata.get(name, list(offered[:1]))
    if not isinstance(asked, list) or not asked or not all(one in offered for one in asked):
        raise BadClientMetadata(f"{name} is not a list of {', '.join(offered)}")


def _keys(metadata: Mapping[str, object], *, needed: bool) -> tuple[Mapping[str, object], ...]:
    jwks: Any = metadata.get("jwks")
    if "jwks_uri" in metadata:
        raise BadClientMetadata("jwks_uri is not read here: send the keys in jwks")
    if not needed:
        return ()
    listed = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_KEYS:
        raise BadClientMetadata(f"private_key_jwt needs 1 to {MAX_KEYS} keys in jwks")
    for jwk in listed:
        try:
            parse_public_jwk(jwk)
        except BadKey as error:
            raise BadClientMetadata("a key in jwks is not accepted") from error
    return tuple(listed)
