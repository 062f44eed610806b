"""`jwt-bearer`: a JWT by somebody we believe becomes a token (RFC 7523, 2.1): a VP, an ID-JAG or a workload token.

The JOSE type says which it is, and picks the rules; parameters never do.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from bridge.authority import granted_scopes, token_end
from bridge.model import MAX_ACTORS, Authority, Grant, OAuthRequest, Resource, Spend, User
from bridge.model.federation import TrustedIssuer, WorkloadRule
from did_agent.errors import BadGrant, ChainBroken, DepthExceeded, MissingParameter, WrongType
from did_agent.proof.jwt import SKEW, unverified_jws
from did_agent.tokens.confirmation import Confirmation
from did_agent.tokens.id_jag import TYPE as ID_JAG_TYPE
from did_agent.tokens.id_jag import IdentityAssertion
from did_agent.tokens.workload import WorkloadToken, claim_of, fits

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ID_JAG_PROFILE: Final = "urn:ietf:params:oauth:grant-profile:id-jag"

AssertionKind = Literal["presentation", "id_jag", "workload"]
_KINDS: Final[dict[str, AssertionKind]] = {
    "vp+jwt": "presentation",
    ID_JAG_TYPE: "id_jag",
    "jwt": "workload",
    "": "workload",
}


class Assertion(NamedTuple):
    """An assertion and what it says of itself, for routing alone."""

    text: str
    kind: AssertionKind
    issuer: str  # as claimed
    kid: object


def parse(request: OAuthRequest) -> Assertion:
    """Return the assertion of a request.

    Raises: MissingParameter, BadJOSE, TooLarge, WrongType.
    """
    text = request.get("assertion")
    if text is None:
        raise MissingParameter("assertion is required")
    jws, claims = unverified_jws(text)
    kind = _KINDS.get(jws.type)
    if kind is None:
        raise WrongType("a JWT of this type is no grant")
    return Assertion(text=text, kind=kind, issuer=str(claims.get("iss")), kid=jws.header.get("kid"))


def require_possession(demanded: Confirmation | None, proven: Confirmation | None) -> None:
    """Return when an assertion bound to a key came with the proof of that key.

    Raises: BadGrant.
    """
    if demanded is not None and demanded != proven:
        raise BadGrant("the assertion is bound to a key that was not proven")


def spend_of(found: IdentityAssertion | WorkloadToken) -> Spend:
    """Return what is consumed with an assertion: its issuer and number, never its text (TOK-14).

    Raises: BadGrant for a workload token without a number: nobody could tell its second use.
    """
    if found.id is None:
        raise BadGrant("the token has no jti, and its rule does not allow it to be used again")
    return Spend("assertion", f"{found.issuer} {found.id}", found.expires + timedelta(seconds=SKEW))


def judge_id_jag(
    assertion: IdentityAssertion,
    *,
    agent: str,
    requested: frozenset[str] | None,
    user: User | None,
    resource: Resource,
    authority: Authority,
    now: datetime,
) -> Grant:
    """Return the grant of an agent for a user somebody else vouches for: its own rights ∩ the user's ∩ what was said.

    Raises: BadGrant when the user is not known here, ChainBroken, DepthExceeded, EmptyGrant.
    """
    if user is None:
        raise BadGrant("the identity provider's user has no account here")
    entitlements = user.scopes_at(resource.id)
    said = {} if assertion.scopes is None else {"identity assertion": assertion.scopes}
    is_chain = authority.delegated or bool(assertion.actors)
    combined = granted_scopes(
        requested, resource, agent=authority.capabilities, user=entitlements, earlier=said, is_chain=is_chain
    )
    return Grant(
        type="jwt_bearer",
        client_id=agent,
        subject=user.username,
        subject_profile="user",
        actors=_actors(agent, assertion.actors),
        resource=resource.id,
        scopes=combined.granted,
        combination=combined,
        authority=authority,
        entitlements=entitlements,
        credential_ids=authority.credential_ids,
        expires=token_end(now, authority.valid_until),
        made_from=frozenset({assertion.issuer}),
    )


def judge_workload(
    token: WorkloadToken,
    rule: WorkloadRule,
    *,
    requested: frozenset[str] | None,
    resource: Resource,
    authority: Authority,
    now: datetime,
) -> Grant:
    """Return the grant of an agent whose platform vouches for it: its own rights, within the rule's.

    Raises: EmptyGrant.
    """
    rights = {} if rule.scopes is None else {"workload rule": rule.scopes}
    combined = granted_scopes(requested, resource, agent=authority.capabilities, earlier=rights)
    return Grant(
        type="jwt_bearer",
        client_id=rule.agent,
        subject=rule.agent,
        subject_profile="ai_agent",
        resource=resource.id,
        scopes=combined.granted,
        combination=combined,
        authority=authority,
        credential_ids=authority.credential_ids,
        expires=token_end(now, authority.valid_until, token.expires),
        made_from=frozenset({token.issuer}),
    )


def rule_for(token: WorkloadToken, trusted: TrustedIssuer) -> WorkloadRule:
    """Return the first rule that fits the workload.

    Raises: BadGrant when none does.
    """
    for rule in trusted.rules:
        demanded = all(claim_of(token.claims, name) == value for name, value in rule.claims.items())
        if demanded and fits(rule.subject, token.subject):
            return rule
    raise BadGrant("no rule says which agent this workload is")


def _actors(agent: str, earlier: tuple[str, ...]) -> tuple[str, ...]:
    # The inbound chain is copied unchanged; the provider may already name this agent as who acts now.
    chain = earlier if earlier[:1] == (agent,) else (agent, *earlier)
    if len(set(chain)) != len(chain):
        raise ChainBroken("an agent would stand twice in the chain")
    if len(chain) > MAX_ACTORS:
        raise DepthExceeded(f"more than {MAX_ACTORS} actors")
    return chain
