"""`authorization_code` with PKCE and a proven actor (OAuth 2.1, 4.1; draft-oauth-ai-agents-on-behalf-of-user-02).

Form A shows a presentation as `actor_token`; form D lets the client assertion of the requested actor prove it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bridge.authority import granted_scopes, token_end
from bridge.model import Authority, Code, Grant, OAuthRequest, Resource, User
from bridge.presentations import PRESENTATION_TYPES
from did_agent.encoding import base64url
from did_agent.errors import ActorMismatch, BadGrant, InvalidParameter, MissingParameter

CHALLENGE_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # base64url of SHA-256 (RFC 7636, 4.2)
_VERIFIER_FORM: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636, 4.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """What a request shows to redeem a code."""

    code: str  # digest of the value
    verifier: str
    redirect_uri: str | None
    actor_token: str | None


def code_digest(value: str) -> str:
    """Return what is stored of a code: whoever reads the database cannot redeem it."""
    return base64url.encode(hashlib.sha256(value.encode()).digest())


def parse(request: OAuthRequest) -> Redemption:
    """Return what the request shows.

    Raises: MissingParameter, InvalidParameter.
    """
    code, verifier = request.get("code"), request.get("code_verifier")
    if code is None or verifier is None:
        raise MissingParameter("code and code_verifier are required")
    if not _VERIFIER_FORM.fullmatch(verifier):
        raise InvalidParameter("code_verifier does not have its form")
    actor_token, kind = request.get("actor_token"), request.get("actor_token_type")
    if kind is not None and (actor_token is None or kind not in PRESENTATION_TYPES):
        raise InvalidParameter("actor_token_type is not known here, or comes without actor_token")
    return Redemption(
        code=code_digest(code), verifier=verifier, redirect_uri=request.get("redirect_uri"), actor_token=actor_token
    )


def require_binding(code: Code, shown: Redemption, *, client_id: str, now: datetime) -> None:
    """Return when the code comes from where it was sent (OAU-02).

    Raises: BadGrant.
    """
    request = code.request
    if client_id != request.client_id:
        raise BadGrant("the code belongs to another client")
    if shown.redirect_uri != request.redirect_uri and (shown.redirect_uri or request.redirect_uri_given):
        raise BadGrant("redirect_uri is not that of the authorization request")
    challenge = base64url.encode(hashlib.sha256(shown.verifier.encode("ascii")).digest())
    if not hmac.compare_digest(challenge, request.code_challenge):
        raise BadGrant("code_verifier does not fit code_challenge")
    if now >= code.expires:
        raise BadGrant("the code has expired")


def require_actor(code: Code, *, holder: str | None) -> None:
    """Return when the actor that proved itself is the one the user consented to (DEL-01, DEL-02).

    Raises: ActorMismatch.
    """
    if holder != code.request.actor:
        raise ActorMismatch("the proven actor is not the one the user consented to")


def judge(
    code: Code,
    *,
    requested: frozenset[str] | None,
    user: User | None,
    resource: Resource,
    authority: Authority,
    now: datetime,
) -> Grant:
    """Return the grant of an agent acting for a user: consent ∩ agent ∩ user ∩ resource, worked out anew.

    Raises: BadGrant when the account is gone, EmptyGrant naming the empty term.
    """
    if user is None:
        raise BadGrant("the account does not exist any more")
    entitlements, consent = user.scopes_at(resource.id), {"consent": code.scopes}
    return Grant(
        type="authorization_code",
        client_id=code.request.client_id,
        subject=user.username,
        subject_profile="user",
        actors=(code.request.actor,) if code.request.actor else (),
        resource=resource.id,
        scopes=granted_scopes(requested, resource, agent=authority.capabilities, user=entitlements, earlier=consent),
        authority=authority,
        entitlements=entitlements,
        credential_ids=authority.credential_ids,
        expires=token_end(now, authority.valid_until),
        made_from=frozenset({code.digest}),
    )
