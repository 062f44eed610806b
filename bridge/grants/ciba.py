"""`urn:openid:params:grant-type:ciba`: a person's answer to a question out of band becomes a token (OpenID CIBA 10.1).

Polling changes nothing but the pace; the answer counts once, for the client that asked, with the key it asked with.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from bridge.backchannel import asking_digest
from bridge.grants import authorization_code
from bridge.model import Authority, AuthorizationRequest, Code, Grant, OAuthRequest, Resource, User
from bridge.model.backchannel import MAX_INTERVAL, POLL_SECONDS, Asking
from did_agent.errors import (
    AuthorizationPending,
    BadGrant,
    ConsentDenied,
    MissingParameter,
    PolledTooSoon,
    RequestExpired,
)
from did_agent.tokens.confirmation import Confirmation

GRANT_TYPE: Final = "urn:openid:params:grant-type:ciba"


def parse(request: OAuthRequest) -> str:
    """Return the digest of the question that is asked after.

    Raises: MissingParameter.
    """
    auth_req_id = request.get("auth_req_id")
    if auth_req_id is None:
        raise MissingParameter("auth_req_id is required")
    return asking_digest(auth_req_id)


def require_asker(asking: Asking | None, *, client_id: str, confirmation: Confirmation | None) -> Asking:
    """Return the question when whoever comes is who asked it.

    Raises: BadGrant.
    """
    if asking is None or asking.client_id != client_id:
        raise BadGrant("the question is not known, or another client asked it")
    if asking.jkt is not None and (confirmation is None or confirmation.jkt != asking.jkt):
        raise BadGrant("the question was asked with another key")
    return asking


def require_allowed(asking: Asking, *, now: datetime) -> None:
    """Return when the person allowed it, and nobody took it up yet.

    Raises: BadGrant when it was taken, ConsentDenied, RequestExpired, PolledTooSoon, AuthorizationPending.
    """
    if asking.state == "taken":
        raise BadGrant("the answer was taken up before")
    if asking.state == "denied":
        raise ConsentDenied("the person said no")
    if now >= asking.expires:
        raise RequestExpired("the person did not answer in time, or nobody came for the answer")
    if asking.state == "pending":
        if (now - asking.polled).total_seconds() < asking.interval:
            raise PolledTooSoon("the client polls too often")
        raise AuthorizationPending("the person has not answered yet")


def next_interval(asking: Asking, error: AuthorizationPending) -> int:
    """Return how many seconds must pass until the next poll (RFC 8628, 3.5)."""
    slower = POLL_SECONDS if isinstance(error, PolledTooSoon) else 0
    return min(asking.interval + slower, MAX_INTERVAL)


def judge(
    asking: Asking,
    *,
    requested: frozenset[str] | None,
    user: User | None,
    resource: Resource,
    authority: Authority,
    now: datetime,
) -> Grant:
    """Return the grant of an agent acting for a user, judged as a code with the same consent is.

    Raises: BadGrant when the account is gone, EmptyGrant naming the empty term.
    """
    consented = Code(
        digest=asking.digest,
        request=AuthorizationRequest(
            client_id=asking.client_id,
            actor=asking.agent,
            redirect_uri="",
            redirect_uri_given=False,
            state=None,
            resource=asking.resource,
            scopes=asking.scopes,
            code_challenge="",
            details=asking.details,
            task=asking.task,
        ),
        username=asking.username,
        scopes=asking.allowed,
        expires=asking.expires,
    )
    grant = authorization_code.judge(
        consented, requested=requested, user=user, resource=resource, authority=authority, now=now
    )
    return replace(grant, type="ciba")
