"""`client_credentials` with `private_key_jwt` (RFC 6749, 4.4): an agent or an operator, each for itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from bridge.authority import authority_at, granted_scopes
from bridge.model import TOKEN_SECONDS, Authority, Grant, Resource
from did_agent.errors import EmptyGrant


def judge_agent(
    did: str, *, requested: frozenset[str] | None, resource: Resource, authority: Authority, now: datetime
) -> Grant:
    """Return the grant of an agent that acts for itself: what its registered credentials cover, no `act`.

    Raises: EmptyGrant.
    """
    return Grant(
        type="client_credentials",
        client_id=did,
        subject=did,
        subject_profile="ai_agent",
        actors=(),
        resource=resource.id,
        scopes=granted_scopes(requested, resource, agent=authority.capabilities),
        authority=authority,
        entitlements=None,
        credential_ids=authority.credential_ids,
        expires=min(now + timedelta(seconds=TOKEN_SECONDS), authority.valid_until),
    )


def judge_operator(did: str, *, requested: frozenset[str] | None, resource: Resource, now: datetime) -> Grant:
    """Return the grant of an operator: the scopes of the deployment's own parties, and nothing elsewhere.

    Raises: EmptyGrant.
    """
    if not resource.built_in:
        raise EmptyGrant("nothing is left after the rights of the operator: it has none at this resource")
    served = frozenset(resource.scopes)
    if requested is not None and not requested <= served:
        raise EmptyGrant(f"the resource has no scope {min(requested - served)[:80]}")
    return Grant(
        type="client_credentials",
        client_id=did,
        subject=did,
        subject_profile="service",
        actors=(),
        resource=resource.id,
        scopes=requested or served,
        authority=authority_at(resource.id, (), now=now),
        entitlements=None,
        credential_ids=(),
        expires=now + timedelta(seconds=TOKEN_SECONDS),
    )
