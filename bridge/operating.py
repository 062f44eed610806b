"""What a person with a role may do at the deployment's own parties: its scopes there, never more (WEB-04)."""

from __future__ import annotations

from datetime import datetime

from bridge.authority import authority_at, token_end
from bridge.model import AUDIT_ERASE, AUDIT_READ, BRIDGE_ADMIN, Agent, Code, Grant, OAuthRequest, Resource, User
from bridge.model.clients import OAuthClient
from bridge.model.operators import LOG_READERS, ROLE_SCOPES
from did_agent.errors import BadGrant, EmptyGrant, UnknownResource
from did_agent.policy.combination import CONSENT, grant
from did_agent.tokens.access_token import HOME

_ROLE = "role"


def scopes_of(user: User) -> frozenset[str]:
    """Return the scopes that a person's roles are, at whichever party has them."""
    log = {AUDIT_READ} if user.operates & LOG_READERS else set[str]()
    log |= {AUDIT_ERASE} if "admin" in user.operates else set[str]()
    # The bridge is one for all organisations: only who runs the deployment administers it.
    own = {BRIDGE_ADMIN} if user.organisation == HOME and "admin" in user.operates else set[str]()
    return frozenset({ROLE_SCOPES[role] for role in user.operates} | log | own)


def offered(requested: frozenset[str] | None, user: User, resource: Resource) -> frozenset[str]:
    """Return what a person can let a program do with their role at a party of the deployment.

    Raises: EmptyGrant.
    """
    _require_known(requested, resource)
    return grant(requested, limits={_ROLE: scopes_of(user), "resource": frozenset(resource.scopes)})


def is_console(client: OAuthClient, agent: Agent | None, asked: OAuthRequest) -> bool:
    """Tell whether a person may bring their role along to a program: one that an operator registered for that."""
    return client.operates and agent is None and asked.get("authorization_details") is None


def judge(
    code: Code, *, requested: frozenset[str] | None, user: User | None, resource: Resource, now: datetime
) -> Grant:
    """Return the grant of a person who operates their organisation: consent ∩ role, as it is now.

    Raises: BadGrant when the account is gone, UnknownResource where an agent would act, EmptyGrant.
    """
    if user is None:
        raise BadGrant("the account does not exist any more")
    if code.request.actor is not None or code.request.details is not None:
        raise UnknownResource("the deployment's own parties are for people themselves, in scopes")
    _require_known(requested, resource)
    limits = {_ROLE: scopes_of(user), "resource": frozenset(resource.scopes), CONSENT: code.scopes}
    return Grant(
        type="authorization_code",
        client_id=code.request.client_id,
        subject=user.username,
        subject_profile="user",
        resource=resource.id,
        scopes=grant(requested, limits=limits),
        authority=authority_at(resource.id, (), now=now),
        credential_ids=(),
        expires=token_end(now),
        made_from=frozenset({code.digest}),
        organisation=user.organisation,
        is_operating=True,
    )


def _require_known(requested: frozenset[str] | None, resource: Resource) -> None:
    unknown = (requested or frozenset()) - resource.scopes.keys()
    if unknown:
        raise EmptyGrant(f"the resource has no scope {min(unknown)[:80]}")
