"""Client authentication: `private_key_jwt` with a did:key, and nothing else (RFC 7523bis)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from bridge.model import OAuthRequest, Spend
from did_agent.errors import ClientNotAuthenticated, InvalidParameter, Malformed, MissingParameter, VerificationError
from did_agent.proof.jwt import SKEW
from did_agent.tokens.client_assertion import verify_client_assertion

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


AuthMethod = Literal["private_key_jwt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client that proved who it is; believed only once `spend` was consumed."""

    id: str  # its client_id
    agent: str | None  # DID of the agent that it is
    method: AuthMethod
    spend: Spend | None


def authenticate_client(request: OAuthRequest, *, issuer: str, now: datetime) -> Client | None:
    """Return who authenticates, or None when nobody tries.

    Raises: ClientNotAuthenticated, InvalidParameter when two methods are mixed (OAU-06), MissingParameter.
    """
    assertion, kind = request.get("client_assertion"), request.get("client_assertion_type")
    if request.authorization is not None or request.get("client_secret") is not None:
        if assertion is not None:
            raise InvalidParameter("more than one client authentication method")
        raise ClientNotAuthenticated("only private_key_jwt is offered")
    if assertion is None and kind is None:
        return None
    if assertion is None or kind is None:
        raise MissingParameter("client_assertion and client_assertion_type come together")
    if kind != ASSERTION_TYPE:
        raise InvalidParameter("client_assertion_type is not known")
    try:
        verified = verify_client_assertion(assertion, expected_audience=issuer, now=now)
    except (Malformed, VerificationError) as error:
        raise ClientNotAuthenticated(f"{error.code}: {error.detail}") from error
    if request.get("client_id") not in (None, verified.client_id):
        raise ClientNotAuthenticated("client_id is not the subject of the assertion")
    # Spent by issuer and jti, never by the text: one signature can be written twice (TOK-14).
    key = f"{verified.client_id} {verified.id}"
    spend = Spend("client_assertion", key, verified.expires + timedelta(seconds=SKEW))
    return Client(id=verified.client_id, agent=verified.client_id, method="private_key_jwt", spend=spend)


def require_client(client: Client | None) -> Client:
    """Return the client, who must have authenticated.

    Raises: ClientNotAuthenticated.
    """
    if client is None:
        raise ClientNotAuthenticated("no client authentication was sent")
    return client
