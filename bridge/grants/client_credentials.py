"""`client_credentials` with `private_key_jwt` (RFC 6749, 4.4): an agent or an operator, each for itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bridge.authority import authority_at, granted_scopes, token_end
from bridge.model import Authority, Grant, Resource
from bridge.model.operators import ROLE_SCOPES, OrganisationOperator
from did_agent.errors import EmptyGrant
from did_agent.policy.combination import grant


def judge_agent(
    did: str, *, requested: frozenset[str] | None, resource: Resource, authority: Authority, now: datetime
) -> Grant:
    """Return the grant of an agent that acts for itself: what its registered credentials cover, no `act`.

    Raises: EmptyGrant.
    """
    combined = granted_scopes(requested, resource, agent=authority.capabilities)
    return Grant(
        type="client_credentials",
        client_id=did,
        subject=did,
        subject_profile="ai_agent",
        resource=resource.id,
        scopes=combined.granted,
        combination=combined,
        authority=authority,
        credential_ids=authority.credential_ids,
        expires=token_end(now, authority.valid_until),
    )


def judge_organisation_operator(
    operator: OrganisationOperator, *, requested: frozenset[str] | None, resource: Resource, now: datetime
) -> Grant:
    """Return the grant of an organisation's operator: its role at the issuer, and nothing else anywhere.

    Raises: EmptyGrant.
    """
    own = frozenset({ROLE_SCOPES[operator.role]})
    judged = judge_operator(operator.did, requested=requested, resource=resource, now=now)
    scopes = grant(requested, limits={"role": own, "operator": judged.scopes})
    return replace(judged, scopes=scopes, organisation=operator.organisation)


def judge_operator(did: str, *, requested: frozenset[str] | None, resource: Resource, now: datetime) -> Grant:
    """Return the grant of an operator: the scopes of the deployment's own parties, and nothing elsewhere.

    Raises: EmptyGrant.
    """
    served = frozenset(resource.scopes) if resource.built_in else frozenset[str]()
    if requested is not None and not requested <= resource.scopes.keys():
        raise EmptyGrant("the resource has no such scope")
    return Grant(
        type="client_credentials",
        client_id=did,
        subject=did,
        subject_profile="service",
        resource=resource.id,
        scopes=grant(requested, limits={"operator": served}),
        authority=authority_at(resource.id, (), now=now),
        credential_ids=(),
        expires=token_end(now),
    )
