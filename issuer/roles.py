"""Capability templates and roles: what may be in them, and what an agent is entitled to by them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from did_agent.errors import InsufficientScope, InvalidParameter, NotFound, StateConflict
from issuer.granting import MAX_DEPTH, MAX_SECONDS, require_renewable
from issuer.model import Operator
from issuer.model.grants import MAX_TEMPLATES, AgentRole, CapabilityTemplate, Entitlement, GrantingPolicy
from issuer.naming import require_text

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")
_RESOURCES: Final = 64  # where managers may grant any tool


def require_label(name: str) -> str:
    """Return the name of a template or role.  Raises: InvalidParameter."""
    if not _NAME.fullmatch(name):
        raise InvalidParameter("name: small letters, digits and hyphens, a letter first, at most 64")
    return name


def require_template(template: CapabilityTemplate) -> CapabilityTemplate:
    """Return the template if credentials can be made from it.  Raises: InvalidParameter."""
    require_label(template.name)
    require_text("description", template.description)
    if not 0 < template.valid_seconds <= MAX_SECONDS:
        raise InvalidParameter(f"valid_seconds: 1 to {MAX_SECONDS}")
    if not 0 <= template.max_depth <= MAX_DEPTH:
        raise InvalidParameter(f"max_depth: 0 to {MAX_DEPTH}")
    if any(held.limits is not None and held.limits.max_tokens is not None for held in template.capabilities):
        raise InvalidParameter("capabilities: maxTokens is not enforced by this release and so is not granted")
    require_renewable(template.renewable_seconds)
    return template


def require_role(role: AgentRole, known: Sequence[CapabilityTemplate]) -> AgentRole:
    """Return the role if all its templates stand.  Raises: InvalidParameter, NotFound."""
    require_label(role.name)
    require_text("description", role.description)
    if not role.templates or len(role.templates) > MAX_TEMPLATES or len(set(role.templates)) != len(role.templates):
        raise InvalidParameter(f"templates: 1 to {MAX_TEMPLATES}, each once")
    if missing := set(role.templates) - {one.name for one in known}:
        raise NotFound(f"there is no template {min(missing)}")
    return role


def require_assignable(by: Operator, templates: Sequence[CapabilityTemplate], *, on_request: bool) -> None:
    """Return when somebody may give a role with these templates (WEB-04).

    Raises: InsufficientScope, StateConflict.
    """
    if "admin" not in by.roles and not ("manager" in by.roles and all(one.managers for one in templates)):
        raise InsufficientScope("the role gives what managers may not grant")
    if not on_request and any(one.needs_approval for one in templates):
        raise StateConflict("the role gives what is granted on request, by somebody else's approval")


def require_policy(policy: GrantingPolicy) -> GrantingPolicy:
    """Return the granting policy if it can be.  Raises: InvalidParameter."""
    if not 0 < policy.max_valid_seconds <= MAX_SECONDS:
        raise InvalidParameter(f"max_valid_seconds: 1 to {MAX_SECONDS}")
    if len(policy.manager_resources) > _RESOURCES:
        raise InvalidParameter(f"manager_resources: at most {_RESOURCES}")
    return policy


def entitled(roles: Sequence[AgentRole], templates: Sequence[CapabilityTemplate]) -> tuple[Entitlement, ...]:
    """Return what roles give, each template once: by the first role that has it."""
    known = {one.name: one for one in templates}
    found: dict[str, Entitlement] = {}
    for role in roles:
        for name in role.templates:
            if name in known:
                found.setdefault(name, Entitlement(role=role.name, template=known[name]))
    return tuple(found.values())
