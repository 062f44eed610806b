"""Wire forms of capability templates, roles, requests and webhooks: closed on the way in, explicit on the way out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from did_agent.clock import format_timestamp
from did_agent.credential.capability import Capability, parse_bare_capability
from issuer.model.grants import (
    MAX_BULK,
    AgentRole,
    AssigneeKind,
    Assignment,
    CapabilityTemplate,
    Entitlement,
    GrantingPolicy,
    NewGrant,
)
from issuer.model.requests import DEFAULT_SECONDS, GrantRequest, Narrowing, NewRequest
from issuer.model.webhooks import Delivery, Scheme
from issuer.service.webhooks import Shown

Label = Annotated[StrictStr, Field(min_length=1, max_length=64)]
Line = Annotated[StrictStr, Field(max_length=512)]
Why = Annotated[StrictStr, Field(min_length=1, max_length=256)]
Name = Annotated[StrictStr, Field(min_length=1, max_length=256)]
Capabilities = Annotated[list[dict[str, Any]], Field(max_length=16)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BulkEntry(_Closed):
    """What one agent gets."""

    agent: Name
    capabilities: Capabilities = []
    template: Label | None = None
    valid_seconds: StrictInt | None = None
    max_depth: StrictInt | None = None
    renewable_seconds: StrictInt = 0
    on_behalf_of: Line | None = None

    def new(self) -> NewGrant:
        """Return what is to be granted.  Raises: BadCredential, BadConstraint."""
        return NewGrant(
            agent=self.agent,
            capabilities=read_capabilities(self.capabilities),
            template=self.template,
            valid_seconds=self.valid_seconds,
            max_depth=self.max_depth,
            renewable_seconds=self.renewable_seconds,
            on_behalf_of=self.on_behalf_of,
        )


class IssueMany(_Closed):
    """What many agents get, all or none."""

    entries: Annotated[list[BulkEntry], Field(min_length=1, max_length=MAX_BULK)]


class Renew(_Closed):
    """Whether the credential that is renewed ends at once."""

    end_old: StrictBool = False


class PutCapability(_Closed):
    """A capability template, or its next version."""

    name: Label
    description: Line = ""
    capabilities: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=16)]
    valid_seconds: StrictInt = 86_400
    max_depth: StrictInt = 1
    renewable_seconds: StrictInt = 0
    needs_approval: StrictBool = False
    managers: StrictBool = False

    def template(self, now: datetime) -> CapabilityTemplate:
        """Return the template.  Raises: BadCredential, BadConstraint."""
        return CapabilityTemplate(
            name=self.name,
            version=1,
            description=self.description,
            capabilities=read_capabilities(self.capabilities),
            valid_seconds=self.valid_seconds,
            max_depth=self.max_depth,
            renewable_seconds=self.renewable_seconds,
            needs_approval=self.needs_approval,
            managers=self.managers,
            created=now,
            by="",
        )


class PutRole(_Closed):
    """A role, or what is in it from now on."""

    name: Label
    description: Line = ""
    templates: Annotated[list[Label], Field(min_length=1, max_length=16)]


class Assign(_Closed):
    """Who gets a role."""

    kind: AssigneeKind
    target: Name

    def to(self, role: str, now: datetime) -> Assignment:
        """Return the assignment."""
        return Assignment(role=role, kind=self.kind, target=self.target, by="", created=now)


class Unassign(_Closed):
    """Who loses a role, and why."""

    kind: AssigneeKind
    target: Name
    reason: Why


class PutPolicy(_Closed):
    """What an organisation's admin lets others do."""

    max_valid_seconds: StrictInt = 86_400
    manager_resources: Annotated[list[Annotated[StrictStr, Field(max_length=2048)]], Field(max_length=64)] = []
    separation: StrictBool = True


class LearnTools(_Closed):
    """What is known of the tools of a resource: by name title, description and inputSchema."""

    resource: Annotated[StrictStr, Field(min_length=1, max_length=2048)]
    tools: Annotated[dict[Annotated[StrictStr, Field(max_length=128)], dict[str, Any]], Field(max_length=256)]


class MakeRequest(_Closed):
    """What is asked for: exactly one of capabilities, template and role; an agent asks for itself."""

    agent: Name | None = None
    capabilities: Capabilities = []
    template: Label | None = None
    role: Label | None = None
    valid_seconds: StrictInt | None = None
    max_depth: StrictInt | None = None
    reason: Why
    expires_in: StrictInt = DEFAULT_SECONDS

    def new(self, agent: str) -> NewRequest:
        """Return what is asked for.  Raises: BadCredential, BadConstraint."""
        return NewRequest(
            agent=agent,
            capabilities=read_capabilities(self.capabilities),
            template=self.template,
            role=self.role,
            valid_seconds=self.valid_seconds,
            max_depth=self.max_depth,
            reason=self.reason,
            expires_in=self.expires_in,
        )


class Approve(_Closed):
    """Why yes, and to how much of it."""

    reason: Why
    capabilities: Capabilities | None = None
    valid_seconds: StrictInt | None = None
    max_depth: StrictInt | None = None

    def narrowing(self) -> Narrowing:
        """Return what is taken away.  Raises: BadCredential, BadConstraint."""
        return Narrowing(
            capabilities=None if self.capabilities is None else read_capabilities(self.capabilities),
            valid_seconds=self.valid_seconds,
            max_depth=self.max_depth,
        )


class AddWebhook(_Closed):
    """An address that is told of events."""

    url: Annotated[StrictStr, Field(min_length=1, max_length=1024)]
    topics: Annotated[list[Label], Field(min_length=1, max_length=32)]
    description: Line = ""
    scheme: Scheme = "v1a"


class ChangeWebhook(_Closed):
    """What of a webhook is otherwise from now on."""

    url: Annotated[StrictStr, Field(min_length=1, max_length=1024)] | None = None
    topics: Annotated[list[Label], Field(min_length=1, max_length=32)] | None = None
    enabled: StrictBool | None = None


def read_capabilities(listed: Sequence[dict[str, Any]]) -> tuple[Capability, ...]:
    """Return capabilities as requests carry them.  Raises: BadCredential, BadConstraint."""
    return tuple(map(parse_bare_capability, listed))


def template_out(template: CapabilityTemplate) -> dict[str, object]:
    """Return the wire form of a capability template."""
    return {
        "name": template.name,
        "version": template.version,
        "description": template.description,
        "capabilities": [_bare(one) for one in template.capabilities],
        "valid_seconds": template.valid_seconds,
        "max_depth": template.max_depth,
        "renewable_seconds": template.renewable_seconds,
        "needs_approval": template.needs_approval,
        "managers": template.managers,
        "created": format_timestamp(template.created),
        "by": template.by,
        "withdrawn": _stamp(template.withdrawn),
    }


def role_out(role: AgentRole) -> dict[str, object]:
    """Return the wire form of a role."""
    return {
        "name": role.name,
        "description": role.description,
        "templates": list(role.templates),
        "created": format_timestamp(role.created),
    }


def assignment_out(assignment: Assignment) -> dict[str, object]:
    """Return the wire form of an assignment."""
    return {
        "role": assignment.role,
        "kind": assignment.kind,
        "target": assignment.target,
        "by": assignment.by,
        "request": assignment.request_id,
        "created": format_timestamp(assignment.created),
    }


def entitlement_out(one: Entitlement) -> dict[str, object]:
    """Return the wire form of what a role gives."""
    return {"role": one.role, "template": template_out(one.template)}


def policy_out(policy: GrantingPolicy) -> dict[str, object]:
    """Return the wire form of a granting policy."""
    return {
        "max_valid_seconds": policy.max_valid_seconds,
        "manager_resources": list(policy.manager_resources),
        "separation": policy.separation,
    }


def request_out(request: GrantRequest, now: datetime) -> dict[str, object]:
    """Return the wire form of a request."""
    return {
        "id": request.id,
        "agent_id": request.agent_id,
        "state": request.state_at(now),
        "wanted": request.wanted,
        "name": request.name,
        "capabilities": [_bare(one) for one in request.capabilities],
        "valid_seconds": request.valid_seconds,
        "max_depth": request.max_depth,
        "reason": request.reason,
        "by": request.by,
        "created": format_timestamp(request.created),
        "expires": format_timestamp(request.expires),
        "decided_by": request.decided_by,
        "decided": _stamp(request.decided),
        "why": request.why,
        "credential_id": request.credential_id,
    }


def webhook_out(shown: Shown) -> dict[str, object]:
    """Return the wire form of a webhook; its secret is in the answer that made it and in no other."""
    endpoint = shown.endpoint
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "topics": list(endpoint.topics),
        "description": endpoint.description,
        "scheme": endpoint.scheme,
        "generation": endpoint.generation,
        "previous_until": _stamp(endpoint.previous_until),
        "disabled": endpoint.disabled,
        "by": endpoint.by,
        "created": format_timestamp(endpoint.created),
        "public_keys": list(shown.public_keys),
        "secret": shown.secret,
    }


def delivery_out(delivery: Delivery) -> dict[str, object]:
    """Return the wire form of a delivery."""
    return {
        "id": delivery.id,
        "type": delivery.kind,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "outcome": delivery.outcome,
        "created": format_timestamp(delivery.created),
        "next_attempt": format_timestamp(delivery.next_attempt) if delivery.state == "waiting" else None,
    }


def _bare(capability: Capability) -> dict[str, object]:
    entry = capability.to_json()
    del entry["type"]
    return entry


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else format_timestamp(moment)
