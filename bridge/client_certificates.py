"""Client authentication by TLS certificate: by its key, or by a name that an authority we chose vouches for.

RFC 8705, section 2.  The handshake has proven that the client holds the key; here it is judged whose key that is.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from bridge.model.clients import OAuthClient
from did_agent.errors import BadKey, ClientNotAuthenticated, InvalidParameter
from did_agent.keys.certificate import NAME_KINDS, Certificate, NameKind, parse_certificate, parse_distinguished_name

MAX_NAME: Final = 512  # characters of a name in a certificate


def require_registered(client: OAuthClient, der: bytes | None, *, vouched: bool, now: datetime) -> None:
    """Return when a certificate is the client's, by the one method it is registered for; `vouched`: by our client CA.

    Raises: ClientNotAuthenticated.
    """
    if der is None:
        raise ClientNotAuthenticated("the client shows no certificate")
    try:
        certificate = parse_certificate(der)
    except BadKey as error:
        raise ClientNotAuthenticated(error.detail) from error
    if not certificate.is_current(now) or not certificate.is_for_clients:
        raise ClientNotAuthenticated("the certificate is over, not yet good, or not for clients")
    if client.auth_method == "self_signed_tls_client_auth":
        _require_key(client, certificate)
    else:
        _require_name(client, certificate, vouched=vouched)


def read_certificates(keys: list[dict[str, object]]) -> tuple[Mapping[str, object], ...]:
    """Return what is kept of the JWKs of a client with self-signed certificates: the certificate in each.

    Raises: InvalidParameter.
    """
    try:
        for jwk in keys:
            _digest(jwk)
    except BadKey as error:
        raise InvalidParameter(f"keys: each names one certificate in x5c: {error.detail}") from error
    return tuple({"x5c": jwk["x5c"]} for jwk in keys)


def read_certificate_name(named: Mapping[str, str]) -> tuple[NameKind, str]:
    """Return the one name by which a client's certificate is known (RFC 8705, 2.1.2).

    Raises: InvalidParameter.
    """
    kinds = [kind for kind in NAME_KINDS if kind in named]
    if len(named) != 1 or len(kinds) != 1:
        raise InvalidParameter(f"a certificate is known by exactly one of {', '.join(NAME_KINDS)}")
    kind, value = kinds[0], named[kinds[0]]
    if not 0 < len(value) <= MAX_NAME:
        raise InvalidParameter(f"a name in a certificate has 1 to {MAX_NAME} characters")
    if kind == "subject_dn":
        try:
            parse_distinguished_name(value)
        except BadKey as error:
            raise InvalidParameter(f"subject_dn: {error.detail}") from error
    return kind, value


def _require_key(client: OAuthClient, certificate: Certificate) -> None:
    for jwk in client.keys:
        # A certificate renewed with the same key is the same client (RFC 8705, 2.2).
        if hmac.compare_digest(_digest(jwk), certificate.key_digest):
            return
    raise ClientNotAuthenticated("the certificate is none of the client's")


def _require_name(client: OAuthClient, certificate: Certificate, *, vouched: bool) -> None:
    if not vouched:
        raise ClientNotAuthenticated("no authority of ours vouches for the certificate")
    if client.certificate_name is None or not certificate.is_named(*client.certificate_name):
        raise ClientNotAuthenticated("the certificate carries another name")


def _digest(jwk: Mapping[str, object]) -> bytes:
    chain = jwk.get("x5c")
    if not isinstance(chain, list) or len(chain) != 1 or not isinstance(chain[0], str):
        raise BadKey("x5c is not a list of one certificate")
    try:
        der = base64.b64decode(chain[0], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadKey("x5c is not base64") from error
    return parse_certificate(der).key_digest
