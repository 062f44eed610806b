"""Client authentication by `private_key_jwt` with a did:key as client id (RFC 7523bis, OAU-07)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast

from did_agent.clock import numeric_date
from did_agent.did.document import split_method_id
from did_agent.did.key import did_key, parse_did_key, verification_method
from did_agent.did.resolve import method_key
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadJOSE, WrongIssuer, WrongKey
from did_agent.keys.public import PublicKey, SigningKey
from did_agent.proof.jwt import sign_jwt, verify_jwt
from did_agent.tokens.profiles import CLIENT_ASSERTION

LIFETIME: Final = timedelta(seconds=60)
MAX_ID: Final = 256  # characters of a jti


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAssertion:
    """A client that proved its key; the caller still spends `id` (until `expires`)."""

    client_id: str
    id: str
    expires: datetime
    presentation: str | None = None  # the claim `vp`: a vp+jwt, or a presentation as JSON text; not judged here


def make_client_assertion(
    key: SigningKey,
    *,
    audience: str,
    now: datetime,
    presentation: str | Mapping[str, object] | None = None,
    client_id: str | None = None,
) -> str:
    """Return an assertion by `key` for the authorization server whose issuer string is `audience`.

    The client is the DID of the key, unless the server knows it by another `client_id`.

    A presentation rides inside as the claim `vp`: a vp+jwt as a string, or a JSON presentation as an object.
    """
    did = did_key(key.public)
    client = did if client_id is None else client_id
    claims = {
        "iss": client,
        "sub": client,
        "aud": audience,
        "iat": numeric_date(now),
        "exp": numeric_date(now + LIFETIME),
        "jti": str(uuid.uuid4()),
        **({} if presentation is None else {"vp": presentation}),
    }
    return sign_jwt(claims, typ="client-authentication+jwt", key=key, kid=verification_method(did))


def verify_client_assertion(
    text: str, *, expected_audience: str, now: datetime, key: PublicKey | None = None
) -> VerifiedAssertion:
    """Return the client an assertion proves; `aud` is our issuer string and nothing else.

    The key is that of the subject, which is a did:key, or `key`, the registered one of another kind of client.

    Raises: what `verify_jwt` raises, BadDID, WrongKey, WrongIssuer.
    """
    verified = verify_jwt(
        text,
        CLIENT_ASSERTION,
        find_key=_key_of_subject if key is None else lambda _header, _claims: key,
        expected_issuer=None,
        expected_audience=frozenset({expected_audience}),
        now=now,
    )
    if verified.text("iss") != verified.text("sub"):
        raise WrongIssuer("a client assertion is issued by its own subject")
    jti = verified.text("jti")
    if len(jti) > MAX_ID:
        raise BadJOSE("jti is too long")
    expires = from_numeric_date(cast("int", verified.claims["exp"]))
    return VerifiedAssertion(
        client_id=verified.text("sub"), id=jti, expires=expires, presentation=_presentation(verified.claims)
    )


def _presentation(claims: Mapping[str, object]) -> str | None:
    shown = claims.get("vp")
    if isinstance(shown, Mapping):
        return canonicalize(shown).decode()
    if shown is None or isinstance(shown, str):
        return shown
    raise BadJOSE("vp is neither a presentation nor a string")


def _key_of_subject(header: Mapping[str, object], claims: Mapping[str, object]) -> PublicKey:
    subject = claims.get("sub")
    key = parse_did_key(subject)
    method = header.get("kid", verification_method(str(subject)))
    if split_method_id(method)[0] != subject:  # before it is resolved: a stranger's did:web is no outage of ours
        raise WrongKey("kid names a key of another DID")
    controller, named = method_key(method, relationship="authentication")
    if controller != subject or named != key:
        raise WrongKey("kid names a key of another DID")
    return key
