"""What the issuer keeps of capability templates, roles and granting policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from issuer.model import Agent
from issuer.model.grants import AgentRole, Assignment, CapabilityTemplate, GrantingPolicy


class RoleWork(Protocol):
    """The part of a transaction that is about roles."""

    async def granting_policy(self, organisation: str) -> GrantingPolicy:
        """Return what an organisation decided, or the default."""
        ...

    async def put_granting_policy(self, policy: GrantingPolicy) -> None:
        """Store what an organisation decided."""
        ...

    async def add_capability_template(self, template: CapabilityTemplate) -> bool:
        """Add a version; False when it exists."""
        ...

    async def capability_template(
        self, name: str, *, organisation: str, version: int | None = None
    ) -> CapabilityTemplate | None:
        """Return a version of a template, without one the newest, withdrawn or not."""
        ...

    async def capability_templates(
        self, *, organisation: str, names: Sequence[str] | None = None, after: str = "", limit: int
    ) -> Sequence[CapabilityTemplate]:
        """Return the newest versions that are not withdrawn, by name."""
        ...

    async def withdraw_template(self, name: str, *, organisation: str, now: datetime) -> None:
        """Withdraw all versions of a template."""
        ...

    async def put_role(self, role: AgentRole) -> None:
        """Create a role or change what is in it."""
        ...

    async def role(self, name: str, *, organisation: str) -> AgentRole | None:
        """Return a role, held until the transaction ends."""
        ...

    async def agent_roles(self, *, organisation: str, after: str, limit: int) -> Sequence[AgentRole]:
        """Return roles, by name."""
        ...

    async def remove_role(self, name: str, *, organisation: str) -> None:
        """Forget a role and who has it."""
        ...

    async def assign(self, assignment: Assignment) -> bool:
        """Give a role to somebody; False when they have it."""
        ...

    async def unassign(self, assignment: Assignment) -> bool:
        """Take a role away; False when they do not have it."""
        ...

    async def assignments(
        self, *, organisation: str, role: str | None, after: tuple[str, str, str], limit: int
    ) -> Sequence[Assignment]:
        """Return who has roles, by role, kind and target."""
        ...

    async def roles_of(self, agent: Agent) -> Sequence[AgentRole]:
        """Return the roles an agent has: for itself, by its groups, by its template."""
        ...

    async def templates_given(self, groups: Sequence[str], *, organisation: str) -> Sequence[CapabilityTemplate]:
        """Return the capability templates that members of groups get by roles."""
        ...

    async def learn_tools(self, organisation: str, resource: str, tools: Mapping[str, object]) -> None:
        """Keep what is known of the tools of a resource."""
        ...

    async def known_tools(self, organisation: str, resource: str) -> Mapping[str, object]:
        """Return what is known of the tools of a resource."""
        ...

    async def known_resources(self, organisation: str) -> Sequence[str]:
        """Return the resources of which tools are known."""
        ...
