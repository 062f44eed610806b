"""`authorization_code` with PKCE and a proven actor (OAuth 2.1, 4.1; draft-oauth-ai-agents-on-behalf-of-user-02).

Form A shows `actor_token`: a presentation, a token of ours, or a client assertion of the actor; form D lets the
client assertion of the requested actor prove it.  Forms B1 and B2 bring the code by token exchange.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple

from bridge import authorization_details, operating
from bridge.authority import client_authority, granted_scopes, token_end
from bridge.model import Authority, Code, Grant, OAuthRequest, Resource, User
from bridge.presentations import PRESENTATION_TYPES
from did_agent.encoding import base64url
from did_agent.errors import (
    ActorMismatch,
    BadGrant,
    InvalidParameter,
    Malformed,
    MissingParameter,
    VerificationError,
)
from did_agent.proof.jose import parse_compact
from did_agent.tokens.confirmation import Confirmation
from did_agent.tokens.profiles import CLIENT_ASSERTION

CHALLENGE_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # base64url of SHA-256 (RFC 7636, 4.2)
CODE_TYPE: Final = "urn:did-agent:token-type:authorization-code"  # a code as `subject_token`
ACTOR_TYPES: Final = (*PRESENTATION_TYPES, "urn:ietf:params:oauth:token-type:access_token")
_CODE_NAMES: Final = ("code", "auth_code")
_VERIFIER_FORM: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636, 4.1


ActorProofKind = Literal["presentation", "token", "assertion"]


class ActorProof(NamedTuple):
    """An actor token, and what kind of proof it is."""

    kind: ActorProofKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """What a request shows to redeem a code."""

    code: str  # digest of the value
    verifier: str
    redirect_uri: str | None
    actor: ActorProof | None


def code_digest(value: str) -> str:
    """Return what is stored of a code: whoever reads the database cannot redeem it."""
    return base64url.encode(hashlib.sha256(value.encode()).digest())


def parse(request: OAuthRequest) -> Redemption:
    """Return what the request shows.

    Raises: MissingParameter, InvalidParameter, BadGrant.
    """
    code, verifier = _code(request), request.get("code_verifier")
    if code is None or verifier is None:
        raise MissingParameter("code and code_verifier are required")
    if not _VERIFIER_FORM.fullmatch(verifier):
        raise InvalidParameter("code_verifier does not have its form")
    actor_token, kind = request.get("actor_token"), request.get("actor_token_type")
    if kind is not None and (actor_token is None or kind not in ACTOR_TYPES):
        raise InvalidParameter("actor_token_type is not known here, or comes without actor_token")
    return Redemption(
        code=code_digest(code),
        verifier=verifier,
        redirect_uri=request.get("redirect_uri"),
        actor=None if actor_token is None else _actor_proof(actor_token),
    )


def is_code_exchange(request: OAuthRequest) -> bool:
    """Tell whether a token exchange brings a code as its subject (forms B1 and B2)."""
    by_name = any(request.get(name) is not None for name in _CODE_NAMES)
    return by_name or request.get("subject_token_type") == CODE_TYPE


def _code(request: OAuthRequest) -> str | None:
    """Return the code, wherever the form puts it; two of them are one too many.

    Raises: InvalidParameter.
    """
    named = [request.get(name) for name in _CODE_NAMES]
    if request.get("subject_token_type") == CODE_TYPE:
        named.append(request.get("subject_token"))
    found = [code for code in named if code is not None]
    if len(found) > 1:
        raise InvalidParameter("more than one code")
    return found[0] if found else None


def _actor_proof(text: str) -> ActorProof:
    """Tell a presentation, a token of ours and a client assertion apart by their own form, never by the request's.

    Raises: BadGrant for what is none of them: in every form of the request, an actor is proven or there is no grant.
    """
    if text.lstrip().startswith("{") or text.count(".") != 2:  # the parts of a compact JWS
        return ActorProof("presentation", text)
    kinds: dict[str, ActorProofKind] = {"vp+jwt": "presentation", "at+jwt": "token"}
    assertions: dict[str, ActorProofKind] = dict.fromkeys(CLIENT_ASSERTION.types, "assertion")
    try:
        typ = parse_compact(text).type
    except (Malformed, VerificationError) as error:
        raise BadGrant(f"{error.code}: {error.detail}") from error
    kind = {**assertions, **kinds}.get(typ)
    if kind is None:
        raise BadGrant("a JWT of this type proves no actor")
    return ActorProof(kind, text)


def require_binding(
    code: Code, shown: Redemption, *, client_id: str, confirmation: Confirmation | None, now: datetime
) -> None:
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
    if request.dpop_jkt is not None and (confirmation is None or confirmation.jkt != request.dpop_jkt):
        raise BadGrant("the code is bound to another key")
    if now >= code.expires:
        raise BadGrant("the code has expired")


def require_actor(code: Code, *, holder: str | None) -> None:
    """Return when the actor that proved itself is the one the user consented to, or nobody is and nobody was.

    See DEL-01 and DEL-02.
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

    At the deployment's own parties it is what the person's role gives them there.
    Raises: BadGrant when the account is gone, EmptyGrant naming the empty term, DetailsRefused, UnknownResource.
    """
    if resource.built_in:
        return operating.judge(code, requested=requested, user=user, resource=resource, now=now)
    if user is None:
        raise BadGrant("the account does not exist any more")
    entitlements, consent = user.scopes_at(resource.id), {"consent": code.scopes}
    actor = code.request.actor
    held = None if actor is None else authority.capabilities
    combined = granted_scopes(
        requested, resource, agent=held, user=entitlements, earlier=consent, is_chain=authority.delegated
    )
    if actor is None:
        authority = client_authority(resource, combined.granted, now=now)
    grant = Grant(
        type="authorization_code",
        client_id=code.request.client_id,
        subject=user.username,
        subject_profile="user",
        actors=(actor,) if actor else (),
        resource=resource.id,
        scopes=combined.granted,
        combination=combined,
        authority=authority,
        entitlements=entitlements,
        credential_ids=authority.credential_ids,
        expires=token_end(now, authority.valid_until),
        made_from=frozenset({code.digest}),
        task_name=code.request.task,
        task_client=code.request.asked_as,
    )
    details = authorization_details.parse(code.request.details)
    # Counted for the consent, not for each token that is refreshed from it.
    return authorization_details.narrowed(grant, details, account=code.digest)
