"""Requests for rights: who may ask, who may say yes, and to how much of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from did_agent.credential.issuance import new_id
from did_agent.errors import InsufficientScope, InvalidParameter, StateConflict, TooManyPending
from issuer.granting import narrowed
from issuer.model import Agent, Operator
from issuer.model.grants import CapabilityTemplate, GrantingPolicy, NewGrant
from issuer.model.requests import MAX_PENDING, MAX_SECONDS, GrantRequest, Narrowing, NewRequest, Wanted
from issuer.naming import require_text


def open_request(new: NewRequest, agent: Agent, *, pending: int, by: Operator, now: datetime) -> GrantRequest:
    """Return the request that somebody may make for an agent.

    Raises: InvalidParameter, StateConflict, TooManyPending.
    """
    if agent.state != "active":
        raise StateConflict(f"{agent.name} is {agent.state}; only for an active agent is anything asked")
    if pending >= MAX_PENDING:
        raise TooManyPending(f"{agent.name} has {MAX_PENDING} requests open")
    if not 0 < new.expires_in <= MAX_SECONDS:
        raise InvalidParameter(f"expires_in: 1 to {MAX_SECONDS}")
    return GrantRequest(
        organisation=agent.organisation,
        id=new_id(),
        agent_id=agent.agent_id,
        wanted=_wanted(new),
        name=new.template or new.role,
        capabilities=new.capabilities,
        valid_seconds=new.valid_seconds,
        max_depth=new.max_depth,
        reason=_said("reason", new.reason),
        by=by.principal or "",
        created=now,
        expires=now + timedelta(seconds=new.expires_in),
    )


def require_pending(request: GrantRequest, now: datetime) -> None:
    """Return when a request waits for its decision.  Raises: StateConflict."""
    state = request.state_at(now)
    if state != "pending":
        raise StateConflict(f"the request is {state}")


def require_other(request: GrantRequest, agent: Agent, policy: GrantingPolicy, *, by: Operator) -> None:
    """Return when the approver is somebody else (WEB-04): not who asked, nor who owns the agent that gets it.

    Raises: InsufficientScope.
    """
    involved = {request.by, agent.did, agent.owner}
    if policy.separation and ({by.principal, *by.actors} & involved or by.principal is None):
        raise InsufficientScope("a request is approved by neither who made it nor the agent's owner")


def approved_grant(
    request: GrantRequest, template: CapabilityTemplate | None, narrowing: Narrowing, agent: Agent
) -> NewGrant:
    """Return what is granted: what was asked for, or less of it.

    Raises: InvalidParameter.
    """
    offered = request.capabilities or (() if template is None else template.capabilities)
    wanted = narrowing.capabilities if narrowing.capabilities is not None else request.capabilities
    return NewGrant(
        agent=agent.agent_id,
        capabilities=narrowed(wanted, offered) if wanted else (),
        template=request.name,
        valid_seconds=_less("valid_seconds", narrowing.valid_seconds, request.valid_seconds),
        max_depth=_less("max_depth", narrowing.max_depth, request.max_depth),
    )


def require_whole(narrowing: Narrowing) -> None:
    """Return when nothing is taken away: a role is given or not.  Raises: InvalidParameter."""
    if narrowing != Narrowing():
        raise InvalidParameter("a role is given as it is, or denied")


def needing_approval(templates: Sequence[CapabilityTemplate]) -> Sequence[str]:
    """Return the names of templates that nobody grants alone."""
    return [one.name for one in templates if one.needs_approval]


def _wanted(new: NewRequest) -> Wanted:
    named: list[Wanted] = []
    if new.capabilities:
        named.append("capabilities")
    if new.template is not None:
        named.append("template")
    if new.role is not None:
        named.append("role")
    if len(named) != 1:
        raise InvalidParameter("ask for capabilities, for a template or for a role")
    if named == ["role"] and (new.valid_seconds, new.max_depth) != (None, None):
        raise InvalidParameter("a role says itself how long its credentials are valid, and how deep")
    return named[0]


def _said(label: str, text: str) -> str:
    if not text.strip():
        raise InvalidParameter(f"{label}: say why")
    return require_text(label, text)


def _less(name: str, less: int | None, asked: int | None) -> int | None:
    if less is not None and asked is not None and less > asked:
        raise InvalidParameter(f"{name}: an approval may give less than was asked for, not more")
    return asked if less is None else less
