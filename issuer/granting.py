"""Granting: which capability credential an active agent gets, under its place in the status lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from did_agent.credential.capability import Capability, covered_by
from did_agent.credential.issuance import build_capability_credential, build_identity_credential, issue, new_id
from did_agent.credential.model import parse_capability_credential
from did_agent.did.key import did_key
from did_agent.errors import InsufficientScope, InvalidParameter, StateConflict
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.data_integrity import DEFAULT_SUITE
from issuer.model import DIRECT, Agent, Grant, Operator, Source
from issuer.model.grants import MAX_RENEWABLE, AgentRole, CapabilityTemplate, GrantingPolicy, NewGrant, Terms
from issuer.model.status import Place
from issuer.status_lists import entries_of

MAX_SECONDS: Final = 86_400  # longest life of a capability credential
MAX_DEPTH: Final = 4  # delegations a credential may allow
DEPTH: Final = 1  # where nobody says
LAST_PART: Final = 3  # a credential is renewed in the last third of its life


def require_grantable(agent: Agent, capabilities: Sequence[Capability], *, valid_seconds: int, max_depth: int) -> str:
    """Return the DID a credential may be issued to.

    Raises: StateConflict, InvalidParameter.
    """
    if agent.state != "active" or agent.did is None:
        raise StateConflict(f"{agent.name} is {agent.state}; only an active agent gets credentials")
    if not 0 < valid_seconds <= MAX_SECONDS:
        raise InvalidParameter(f"valid_seconds: 1 to {MAX_SECONDS}")
    if not 0 <= max_depth <= MAX_DEPTH:
        raise InvalidParameter(f"max_depth: 0 to {MAX_DEPTH}")
    if any(held.limits is not None and held.limits.max_tokens is not None for held in capabilities):
        # Better no credential than one that promises a ceiling nobody counts yet.
        raise InvalidParameter("capabilities: maxTokens is not enforced by this release and so is not granted")
    return agent.did


def grant_capabilities(  # a credential says many things
    agent: Agent,
    capabilities: Sequence[Capability],
    *,
    key: SigningKey,
    issuer_url: str,
    place: Place,
    valid_seconds: int,
    max_depth: int,
    on_behalf_of: str | None,
    now: datetime,
    cryptosuite: str = DEFAULT_SUITE,
    source: Source = DIRECT,
) -> Grant:
    """Return a signed capability credential with a revocation and a suspension entry.

    Raises: StateConflict, InvalidParameter, BadCredential, BadConstraint.
    """
    did = require_grantable(agent, capabilities, valid_seconds=valid_seconds, max_depth=max_depth)
    until = now + timedelta(seconds=valid_seconds)
    document = build_capability_credential(
        id=new_id(),
        issuer=did_key(key.public),
        subject=did,
        valid_from=now,
        valid_until=until,
        capabilities=capabilities,
        max_depth=max_depth,
        on_behalf_of=on_behalf_of,
        account=source.begun if any(held.limits is not None for held in capabilities) else None,
        statuses=entries_of(place, issuer_url),
    )
    signed = issue(document, key, now=now, cryptosuite=cryptosuite)
    return Grant(
        organisation=agent.organisation,
        id=str(signed["id"]),
        agent_id=agent.agent_id,
        did=did,
        document=signed,
        issued=now,
        valid_until=until,
        list_number=place.list_number,
        list_index=place.index,
        source=source,
    )


def identify(agent: Agent, *, key: SigningKey, now: datetime, cryptosuite: str = DEFAULT_SUITE) -> dict[str, object]:
    """Return the signed credential that says who an agent is and who answers for it."""
    document = build_identity_credential(
        id=new_id(),
        issuer=did_key(key.public),
        subject=str(agent.did),
        valid_from=now,
        valid_until=now + timedelta(seconds=MAX_SECONDS),
        agent_id=agent.agent_id,
        name=agent.name,
        sponsor=agent.sponsor,
        description=agent.description or None,
        software=agent.metadata or None,
    )
    return issue(document, key, now=now, cryptosuite=cryptosuite)


def decide_terms(
    new: NewGrant,
    template: CapabilityTemplate | None,
    policy: GrantingPolicy,
    *,
    now: datetime,
    role: str | None = None,
    request_id: str | None = None,
) -> Terms:
    """Return what a credential shall say: as the template and the organisation have it, or less.

    Raises: InvalidParameter, StateConflict for a template that is withdrawn.
    """
    if template is None:
        return _own_terms(new, policy, now=now, request_id=request_id)
    if template.withdrawn is not None:
        raise StateConflict(f"{template.name} is withdrawn")
    longest = min(template.valid_seconds, policy.max_valid_seconds)
    until = now + timedelta(seconds=template.renewable_seconds) if template.renewable_seconds else None
    return Terms(
        capabilities=narrowed(new.capabilities, template.capabilities),
        valid_seconds=_at_most("valid_seconds", new.valid_seconds, longest),
        max_depth=_at_most("max_depth", new.max_depth, template.max_depth),
        on_behalf_of=new.on_behalf_of,
        source=Source(
            template=template.name, version=template.version, role=role, request_id=request_id, renewable_until=until
        ),
    )


def narrowed(wanted: Sequence[Capability], given: Sequence[Capability]) -> tuple[Capability, ...]:
    """Return what is wanted of what is given, all of it where nothing is named.

    Raises: InvalidParameter for anything beyond.
    """
    if not all(any(covered_by(one, held) for held in given) for one in wanted):
        raise InvalidParameter("capabilities: more than there is to give")
    return tuple(wanted or given)


def require_may_grant(
    by: Operator, terms: Terms, policy: GrantingPolicy, templates: Sequence[CapabilityTemplate]
) -> None:
    """Return when somebody may grant this: managers within what an admin lets them (WEB-04).

    `templates` are those of the organisation that managers may grant.
    Raises: InsufficientScope.
    """
    if "admin" in by.roles:
        return
    if "manager" not in by.roles:
        raise InsufficientScope("only admins and managers grant")
    if terms.source.template is not None:
        if not any(one.name == terms.source.template for one in templates):
            raise InsufficientScope(f"managers may not grant {terms.source.template}")
        return
    for one in terms.capabilities:
        is_free = set(one.resources) <= set(policy.manager_resources)
        if not is_free and not any(_gives(template, one, terms) for template in templates):
            raise InsufficientScope("managers may not grant this; an admin says what they may")


def require_alone(template: CapabilityTemplate | None) -> None:
    """Return when one person may grant a template.  Raises: StateConflict."""
    if template is not None and template.needs_approval:
        raise StateConflict(f"{template.name} is granted on request, by somebody else's approval")


def has_budget(capabilities: Sequence[Capability]) -> bool:
    """Tell whether something is counted for good: each grant of it is one more budget."""
    limits = [one.limits for one in capabilities if one.limits is not None]
    return any(
        (one.max_calls is not None and one.window_seconds is None) or one.single_use or one.max_amount is not None
        for one in limits
    )


def continues(before: Grant, after: Grant) -> bool:
    """Tell whether a credential goes on with what was spent of another, where that is counted for good.

    Accounts are counted under their issuer's key: after another one has taken its place, a budget would begin anew.
    """
    if before.document["issuer"] == after.document["issuer"]:
        return True
    return not has_budget(parse_capability_credential(after.document).capabilities)


def require_renewable(seconds: int) -> None:
    """Return when credentials may be renewed for so long.  Raises: InvalidParameter."""
    if not 0 <= seconds <= MAX_RENEWABLE:
        raise InvalidParameter(f"renewable_seconds: 0 to {MAX_RENEWABLE}")


def renewal_of(
    grant: Grant,
    first: Grant,
    template: CapabilityTemplate | None,
    roles: Sequence[AgentRole],
    policy: GrantingPolicy,
    *,
    now: datetime,
) -> Terms:
    """Return what the credential after this one says: the same, and never for longer than was decided at first.

    `first` is the one its line began with: under another key a credential has what was left of its life, and what
    follows it lives as long as the first again.
    Raises: StateConflict.
    """
    state, source, life = grant.state_at(now), grant.source, grant.valid_until - grant.issued
    if state != "active":
        raise StateConflict(f"the credential is {state}")
    if source.renewable_until is None:
        raise StateConflict("the credential is not renewable")
    if now < (opens := grant.valid_until - life / LAST_PART):
        raise StateConflict(f"too early: it is renewed from {opens:%FT%TZ} on")
    parsed = parse_capability_credential(grant.document)
    longest = min(int((first.valid_until - first.issued).total_seconds()), policy.max_valid_seconds)
    if source.template is not None:
        longest = min(longest, _standing(template, parsed.capabilities, parsed.max_depth).valid_seconds)
    if source.role is not None and not any(
        role.name == source.role and source.template in role.templates for role in roles
    ):
        raise StateConflict(f"the agent does not have the role {source.role} any more")
    until = min(now + timedelta(seconds=longest), source.renewable_until)
    if until <= grant.valid_until:
        raise StateConflict("the credential has reached the end of its renewals")
    return Terms(
        capabilities=parsed.capabilities,
        valid_seconds=int((until - now).total_seconds()),
        max_depth=parsed.max_depth,
        on_behalf_of=parsed.on_behalf_of,
        source=replace(source, begun=first.id),
    )


def newest(grants: Sequence[Grant]) -> Grant | None:
    """Return the one issued last; of what went over to another key at the moment it was issued, the one that stands."""
    return max(grants, key=lambda one: (one.issued, one.revoked is None), default=None)


def resumed(terms: Terms, last: Grant | None, *, now: datetime) -> Terms | None:
    """Return the terms of a budget that a role gives, continuing where the last credential of it lapsed.

    `last` is the newest whose time is not over, if there is one.  None while it is in force; when it was revoked, or
    said something else, a budget does not begin anew before that time either.
    """
    if last is None:
        return terms
    until = last.source.renewable_until
    says = parse_capability_credential(last.document).capabilities
    if last.state_at(now) != "expired" or until is None or says != terms.capabilities:
        return None
    source = replace(terms.source, begun=last.begun, renewable_until=until)
    left = int((until - now).total_seconds())
    return replace(terms, source=source, valid_seconds=min(terms.valid_seconds, left)) if left > 0 else None


def _own_terms(new: NewGrant, policy: GrantingPolicy, *, now: datetime, request_id: str | None) -> Terms:
    if not new.capabilities:
        raise InvalidParameter("capabilities: name some, or a template")
    require_renewable(new.renewable_seconds)
    until = now + timedelta(seconds=new.renewable_seconds) if new.renewable_seconds else None
    return Terms(
        capabilities=new.capabilities,
        valid_seconds=_at_most("valid_seconds", new.valid_seconds, min(MAX_SECONDS, policy.max_valid_seconds)),
        max_depth=DEPTH if new.max_depth is None else new.max_depth,
        on_behalf_of=new.on_behalf_of,
        source=Source(request_id=request_id, renewable_until=until),
    )


def _at_most(name: str, wanted: int | None, most: int) -> int:
    if wanted is not None and wanted > most:
        raise InvalidParameter(f"{name}: at most {most}")
    return most if wanted is None else wanted


def _gives(template: CapabilityTemplate, wanted: Capability, terms: Terms) -> bool:
    until = terms.source.renewable_until
    return (
        terms.valid_seconds <= template.valid_seconds
        and terms.max_depth <= template.max_depth
        and until is None
        and not template.needs_approval
        and any(covered_by(wanted, held) for held in template.capabilities)
    )


def _standing(
    template: CapabilityTemplate | None, capabilities: Sequence[Capability], max_depth: int
) -> CapabilityTemplate:
    if template is None or template.withdrawn is not None:
        raise StateConflict("its template is withdrawn")
    covered = all(any(covered_by(one, held) for held in template.capabilities) for one in capabilities)
    if not covered or max_depth > template.max_depth or not template.renewable_seconds:
        raise StateConflict("its template gives less by now: ask for a new one")
    return template
