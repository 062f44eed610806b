"""ID-JAG: an identity provider's word that a client may act for a user here (Identity Assertion Authorization Grant).

The provider signs, for one authorization server and one client, who the user is; our own rules say what that gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadJOSE
from did_agent.proof.jwt import FindKey, verify_jwt
from did_agent.tokens.actor import MAX_ACTORS, parse_act
from did_agent.tokens.confirmation import Confirmation, parse_confirmation
from did_agent.tokens.profiles import ID_JAG

TYPE: Final = "oauth-id-jag+jwt"
MAX_ID: Final = 256  # characters of a jti


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityAssertion:
    """What an identity provider said; the caller still spends `id` (until `expires`)."""

    issuer: str
    subject: str
    client_id: str
    id: str
    expires: datetime
    resource: str | None
    scopes: frozenset[str] | None
    actors: tuple[str, ...]
    confirmation: Confirmation | None


def verify_id_jag(
    text: str, *, find_key: FindKey, expected_issuer: str, expected_audience: str, now: datetime
) -> IdentityAssertion:
    """Return what `expected_issuer` vouches for to the authorization server `expected_audience`.

    Raises: what `verify_jwt` raises, BadJOSE, DepthExceeded.
    """
    verified = verify_jwt(
        text,
        ID_JAG,
        find_key=find_key,
        expected_issuer=expected_issuer,
        expected_audience=frozenset({expected_audience}),
        now=now,
    )
    claims = verified.claims
    # Details we do not map must not be lost on the way: what narrows a grant is understood or refused.
    if "authorization_details" in claims:
        raise BadJOSE("authorization_details in an identity assertion are not understood here")
    resource, scope = claims.get("resource"), claims.get("scope")
    if not isinstance(resource, str | None) or not isinstance(scope, str | None) or len(verified.text("jti")) > MAX_ID:
        raise BadJOSE("resource, scope or jti does not have its form")
    return IdentityAssertion(
        issuer=verified.text("iss"),
        subject=verified.text("sub"),
        client_id=verified.text("client_id"),
        id=verified.text("jti"),
        expires=from_numeric_date(cast("int", claims["exp"])),
        resource=resource,
        scopes=None if scope is None else frozenset(scope.split()),
        actors=parse_act(claims.get("act"), max_depth=MAX_ACTORS),
        confirmation=parse_confirmation(claims.get("cnf")),
    )
