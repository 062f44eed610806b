"""Token exchange (RFC 8693): a presentation becomes a token, or one more hop is added to a token of ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from bridge.authority import granted_scopes, token_end, within
from bridge.model import MAX_ACTORS, Authority, Grant, OAuthRequest, Resource, User
from bridge.presentations import JWT_TYPE, PRESENTATION_TYPES, VP_TYPE, Shown
from did_agent import errors
from did_agent.policy.admission import actors_of, principal_of
from did_agent.policy.combination import PREVIOUS
from did_agent.proof.jose import parse_compact
from did_agent.tokens.access_token import AccessToken

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:access_token"
SUBJECT_TYPES: Final = (VP_TYPE, JWT_TYPE, ACCESS_TOKEN_TYPE)


class Exchange(NamedTuple):
    """What is exchanged: a presentation alone, or one of our tokens with the presentation of the next actor."""

    presentation: str
    token: str | None


def parse(request: OAuthRequest) -> Exchange:
    """Return what the request exchanges.

    Raises: MissingParameter, InvalidParameter, WrongType, BadJOSE.
    """
    subject, kind = request.get("subject_token"), request.get("subject_token_type")
    actor, actor_kind = request.get("actor_token"), request.get("actor_token_type")
    if subject is None or kind is None:
        raise errors.MissingParameter("subject_token and subject_token_type are required")
    if (actor is None) != (actor_kind is None):
        raise errors.InvalidParameter("actor_token and actor_token_type come together")
    if request.get("requested_token_type") not in (None, ACCESS_TOKEN_TYPE):
        raise errors.InvalidParameter("only access tokens are issued")
    if kind not in SUBJECT_TYPES:
        raise errors.InvalidParameter("subject_token_type is not known here")
    if _is_presentation(subject, kind):
        if actor is not None:
            raise errors.InvalidParameter("a presentation as subject_token speaks for itself: no actor_token")
        return Exchange(subject, None)
    # Exchange without an actor would be impersonation, which is never done here (DEL-14).
    if actor is None or actor_kind is None:
        raise errors.MissingParameter("actor_token is required: who acts next must prove itself")
    if actor_kind not in PRESENTATION_TYPES or not _is_presentation(actor, actor_kind):
        raise errors.InvalidParameter("actor_token must be a presentation: a direct proof of the actor")
    return Exchange(actor, subject)


def judge_presentation(
    shown: Shown,
    *,
    requested: frozenset[str] | None,
    resource: Resource,
    authority: Authority,
    user: User | None,
    now: datetime,
) -> Grant:
    """Return the grant of an agent that presents its own chain: `sub` is the chain's principal.

    Raises: EmptyGrant naming the empty term.
    """
    principal = principal_of(shown.chain)
    is_user = principal.kind == "user"
    # `onBehalfOf` names a person: what they may do here is asked of their account, not of the credential.
    entitlements = (user.scopes_at(resource.id) if user else frozenset()) if is_user else None
    combined = granted_scopes(
        requested, resource, agent=authority.capabilities, user=entitlements, is_chain=authority.delegated
    )
    return Grant(
        type="token_exchange",
        client_id=shown.holder,
        subject=principal.id,
        subject_profile="user" if is_user else "ai_agent",
        actors=_bounded(actors_of(shown.chain)),
        resource=resource.id,
        scopes=combined.granted,
        combination=combined,
        authority=authority,
        entitlements=entitlements,
        credential_ids=authority.credential_ids,
        expires=token_end(now, authority.valid_until),
    )


def judge_next_hop(
    subject: AccessToken,
    shown: Shown,
    *,
    requested: frozenset[str] | None,
    resource: Resource,
    authority: Authority,
    user: User | None,
    now: datetime,
) -> Grant:
    """Return the grant of the next actor: never more, never longer than the token it came from (DEL-04, DEL-05).

    Raises: ActorUnauthorized, ChainBroken, DepthExceeded, EmptyGrant.
    """
    actors = next_actors(subject, shown)
    rights = user.scopes_at(resource.id) & (subject.entitlements or frozenset()) if user else frozenset()
    entitlements = rights if subject.subject_profile == "user" else None
    narrowed = replace(authority, capabilities=within(authority.capabilities, subject.capabilities))
    combined = granted_scopes(
        requested, resource, agent=narrowed.capabilities, user=entitlements, earlier={PREVIOUS: subject.scopes}
    )
    return Grant(
        type="token_exchange",
        client_id=shown.holder,
        subject=subject.subject,
        subject_profile=subject.subject_profile,
        actors=actors,
        resource=resource.id,
        scopes=combined.granted,
        combination=combined,
        authority=narrowed,
        entitlements=entitlements,
        credential_ids=tuple(dict.fromkeys((*authority.credential_ids, *subject.credential_ids))),
        expires=token_end(now, authority.valid_until, subject.expires),
        made_from=frozenset({subject.id}),
        task=subject.task,
    )


def next_actors(subject: AccessToken, shown: Shown) -> tuple[str, ...]:
    """Return the actor chain after this hop; the inner part is copied, never shortened (DEL-06).

    Only who acts in the token now, or whom that agent gave a credential, may act next (DEL-03).
    Raises: ActorUnauthorized, ChainBroken, DepthExceeded.
    """
    if subject.subject_profile == "service" or (subject.subject_profile == "user" and not subject.actors):
        raise errors.ActorUnauthorized("nobody can act for this subject")
    if shown.chain.on_behalf_of not in (None, subject.subject):
        raise errors.ActorUnauthorized("the credential was given on behalf of somebody else")
    current, leaf = (*subject.actors, subject.subject)[0], shown.chain.leaf
    if shown.holder == current and subject.actors:
        return subject.actors
    if leaf.depth == 0 or leaf.issuer != current:
        raise errors.ActorUnauthorized("the agent acting now did not delegate to this one")
    if shown.holder in (subject.subject, *subject.actors):
        raise errors.ChainBroken("an agent would stand twice in the chain")
    return _bounded((shown.holder, *subject.actors))


def _bounded(actors: tuple[str, ...]) -> tuple[str, ...]:
    if len(actors) > MAX_ACTORS:
        raise errors.DepthExceeded(f"more than {MAX_ACTORS} actors")
    return actors


def _is_presentation(token: str, kind: str) -> bool:
    if kind in (VP_TYPE, ACCESS_TOKEN_TYPE):
        return kind == VP_TYPE
    # `jwt` says no more than that it is one; its JOSE type decides (RFC 8693, section 3).
    typ = parse_compact(token).type
    if typ not in ("vp+jwt", "at+jwt"):
        raise errors.WrongType("a JWT of this type is not exchanged here")
    return typ == "vp+jwt"
