"""Client authentication, judged: one method a request, the one the client is known for (RFC 6749, 2.3; RFC 7523bis).

An agent proves its did:key; other clients their registered key or secret; public ones nothing but their id.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from urllib.parse import unquote_plus

from bridge.client_certificates import require_registered
from bridge.model import OAuthRequest, Spend
from bridge.model.clients import TLS_METHODS, AuthMethod, OAuthClient
from did_agent.encoding import base64url
from did_agent.errors import (
    BadKey,
    ClientNotAuthenticated,
    InvalidParameter,
    Malformed,
    MissingParameter,
    VerificationError,
    WrongKey,
)
from did_agent.keys.jwk import parse_public_jwk
from did_agent.keys.public import PublicKey
from did_agent.proof.jwt import SKEW, unverified_jws
from did_agent.tokens.client_assertion import verify_client_assertion

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_SECRET: Final = 256  # characters
_NOBODY: Final = "0" * 43  # no secret has this digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client that proved who it is, or a public one that only says so; believed only once `spend` was consumed."""

    id: str  # its client_id
    agent: str | None  # DID of the agent that it is
    method: AuthMethod
    spend: Spend | None
    presentation: str | None = None  # what an agent showed inside its client assertion; not judged yet


class Credentials(NamedTuple):
    """What a request shows of its client; nothing of it is believed."""

    method: AuthMethod
    client_id: str
    secret: str
    certificate: bytes | None = None  # what TLS proved, for clients that show nothing else
    vouched: bool = False


def read_credentials(request: OAuthRequest) -> Credentials | None:
    """Return how the client of a request authenticates, or None when it does not name itself.

    Raises: ClientNotAuthenticated, InvalidParameter when two methods are mixed (OAU-06), MissingParameter.
    """
    assertion, kind = request.get("client_assertion"), request.get("client_assertion_type")
    named, secret = request.get("client_id"), request.get("client_secret")
    if [request.authorization is not None, secret is not None, assertion is not None].count(True) > 1:
        raise InvalidParameter("more than one client authentication method")
    if (assertion is None) != (kind is None):
        raise MissingParameter("client_assertion and client_assertion_type come together")
    if request.authorization is not None:
        return _basic(request.authorization, named)
    if assertion is not None:
        if kind != ASSERTION_TYPE:
            raise InvalidParameter("client_assertion_type is not known")
        return Credentials("private_key_jwt", named or subject_of(assertion), assertion)
    if secret is not None:
        if named is None:
            raise MissingParameter("client_id is required with client_secret")
        return Credentials("client_secret_post", named, secret)
    if named is None:
        return None
    return Credentials("none", named, "", request.certificate, request.certificate_vouched)


def prove_agent(shown: Credentials, *, issuer: str, now: datetime) -> Client:
    """Return the agent that a client assertion by its did:key proves.

    Raises: ClientNotAuthenticated.
    """
    if shown.method != "private_key_jwt":
        raise ClientNotAuthenticated("an agent authenticates by private_key_jwt")
    return _prove_assertion(shown, agent=shown.client_id, keys=None, issuer=issuer, now=now)


def prove_client(shown: Credentials, known: OAuthClient | None, *, issuer: str, now: datetime) -> Client:
    """Return the client, by the one method it is known for; unknown clients and wrong secrets look alike (OAU-15).

    Raises: ClientNotAuthenticated.
    """
    if shown.method in ("client_secret_basic", "client_secret_post"):
        digest = secret_digest(shown.secret[:MAX_SECRET])
        expected = (known.secret_digest if known else None) or _NOBODY
        if not hmac.compare_digest(digest, expected):
            raise ClientNotAuthenticated("the secret is not that of a client")
    if known is not None and shown.method == "none" and known.auth_method in TLS_METHODS:
        require_registered(known, shown.certificate, vouched=shown.vouched, now=now)
        return Client(id=known.id, agent=known.agent, method=known.auth_method, spend=None)
    if known is None or shown.method != known.auth_method:
        raise ClientNotAuthenticated("the client is not known, or not for this method")
    if shown.method == "private_key_jwt":
        return _prove_assertion(shown, agent=known.agent, keys=known, issuer=issuer, now=now)
    return Client(id=known.id, agent=known.agent if shown.method != "none" else None, method=shown.method, spend=None)


def secret_digest(secret: str) -> str:
    """Return what is stored of a client secret, which has 256 random bits: whoever reads it cannot use it."""
    return base64url.encode(hashlib.sha256(b"client secret " + secret.encode()).digest())


def require_client(client: Client | None) -> Client:
    """Return the client, who must have authenticated.

    Raises: ClientNotAuthenticated.
    """
    if client is None or client.method == "none":
        raise ClientNotAuthenticated("no client authentication was sent")
    return client


def require_named(client: Client | None) -> Client:
    """Return the client, which may be a public one.

    Raises: ClientNotAuthenticated.
    """
    if client is None:
        raise ClientNotAuthenticated("the request names no client")
    return client


def _prove_assertion(
    shown: Credentials, *, agent: str | None, keys: OAuthClient | None, issuer: str, now: datetime
) -> Client:
    try:
        verified = verify_client_assertion(
            shown.secret,
            expected_audience=issuer,
            now=now,
            key=None if keys is None else _registered_key(shown.secret, keys),
        )
    except (Malformed, VerificationError) as error:
        raise ClientNotAuthenticated(f"{error.code}: {error.detail}") from error
    if verified.client_id != shown.client_id:
        raise ClientNotAuthenticated("client_id is not the subject of the assertion")
    # Spent by issuer and jti, never by the text: one signature can be written twice (TOK-14).
    key = f"{verified.client_id} {verified.id}"
    spend = Spend("client_assertion", key, verified.expires + timedelta(seconds=SKEW))
    shown_inside = None if keys is not None else verified.presentation  # only an agent's own key presents for it
    return Client(id=verified.client_id, agent=agent, method="private_key_jwt", spend=spend, presentation=shown_inside)


def _registered_key(assertion: str, client: OAuthClient) -> PublicKey:
    """Return the key that `kid` names, or the only one; keys are never tried in turn (TOK-03)."""
    kid = unverified_jws(assertion)[0].header.get("kid")
    fitting = [jwk for jwk in client.keys if kid is None or jwk.get("kid") == kid]
    if len(fitting) != 1:
        raise WrongKey("kid names no key of the client")
    try:
        return parse_public_jwk(fitting[0])
    except BadKey as error:
        raise WrongKey("the client's key is not accepted") from error


def _basic(header: str, named: str | None) -> Credentials:
    """Read both halves, each form-encoded before they were joined (RFC 6749, 2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise ClientNotAuthenticated("only Basic is read in the Authorization header")
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode("ascii").partition(":")
        client_id, plain = unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ClientNotAuthenticated("the Authorization header cannot be read") from error
    if not colon or named not in (None, client_id):
        raise ClientNotAuthenticated("client_id is not that of the Authorization header")
    return Credentials("client_secret_basic", client_id, plain)


def subject_of(assertion: str) -> str:
    """Return whom an assertion claims to be by, for routing alone.

    Raises: ClientNotAuthenticated.
    """
    try:
        return str(unverified_jws(assertion)[1].get("sub"))
    except (Malformed, VerificationError) as error:
        raise ClientNotAuthenticated(f"{error.code}: {error.detail}") from error
