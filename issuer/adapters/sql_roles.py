"""Capability templates, roles, granting policies and known tools in SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    String,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)

from did_agent.adapters.sql import Prepared, insert_if_absent
from did_agent.clock import numeric_date
from did_agent.credential.capability import parse_capability
from did_agent.encoding.timestamp import from_numeric_date
from issuer.adapters.rows import Rows
from issuer.adapters.tables import agents, grants, labels, metadata
from issuer.model import Agent
from issuer.model.grants import AgentRole, Assignment, CapabilityTemplate, GrantingPolicy

_policies: Final = Table(
    "issuer_granting_policies",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("max_valid_seconds", Integer, nullable=False),
    Column("manager_resources", Text, nullable=False),
    Column("separation", Integer, nullable=False),
)
_templates: Final = Table(
    "issuer_capability_templates",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("description", Text, nullable=False),
    Column("capabilities", Text, nullable=False),
    Column("valid_seconds", Integer, nullable=False),
    Column("max_depth", Integer, nullable=False),
    Column("renewable_seconds", Integer, nullable=False),
    Column("needs_approval", Integer, nullable=False),
    Column("managers", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("by", String(256), nullable=False),
    Column("withdrawn", BigInteger),
)
_roles: Final = Table(
    "issuer_roles",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("description", Text, nullable=False),
    Column("templates", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
)
_assignments: Final = Table(
    "issuer_role_assignments",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("target", String(64), primary_key=True),
    Column("role", String(64), primary_key=True),
    Column("by", String(256), nullable=False),
    Column("request_id", String(64)),
    Column("created", BigInteger, nullable=False),
)
_tools: Final = Table(
    "issuer_known_tools",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("resource", String(2048), primary_key=True),
    Column("tools", Text, nullable=False),
)
_POLICY: Final = Prepared(  # read with every credential that is issued
    select(_policies.c.max_valid_seconds, _policies.c.manager_resources, _policies.c.separation).where(
        _policies.c.organisation == bindparam("wanted", type_=String)
    )
)


class RoleRows(Rows):
    """Implements `issuer.ports.roles.RoleWork`, and of `issuer.ports.grants.GrantWork` what roles decide."""

    async def granting_policy(self, organisation: str) -> GrantingPolicy:
        """Return what an organisation decided, or the default."""
        found = await _POLICY.run(self._do, {"wanted": organisation})
        if not found:
            return GrantingPolicy(organisation=organisation)
        seconds, resources, separation = found[0]
        return GrantingPolicy(
            organisation=organisation,
            max_valid_seconds=seconds,
            manager_resources=tuple(json.loads(resources)),
            separation=bool(separation),
        )

    async def put_granting_policy(self, policy: GrantingPolicy) -> None:
        """Store what an organisation decided."""
        values = {
            "max_valid_seconds": policy.max_valid_seconds,
            "manager_resources": json.dumps(policy.manager_resources),
            "separation": int(policy.separation),
        }
        await self._put(_policies, {"organisation": policy.organisation}, values)

    async def add_capability_template(self, template: CapabilityTemplate) -> bool:
        """Add a version; False when it exists."""
        row = {
            "organisation": template.organisation,
            "name": template.name,
            "version": template.version,
            "description": template.description,
            "capabilities": json.dumps([one.to_json() for one in template.capabilities]),
            "valid_seconds": template.valid_seconds,
            "max_depth": template.max_depth,
            "renewable_seconds": template.renewable_seconds,
            "needs_approval": int(template.needs_approval),
            "managers": int(template.managers),
            "created": numeric_date(template.created),
            "by": template.by,
        }
        return await insert_if_absent(self._do, _templates, row)

    async def capability_template(
        self, name: str, *, organisation: str, version: int | None = None
    ) -> CapabilityTemplate | None:
        """Return a version of a template, without one the newest, withdrawn or not."""
        query = select(_templates).where(_templates.c.organisation == organisation, _templates.c.name == name)
        if version is not None:
            query = query.where(_templates.c.version == version)
        found = (await self._do.execute(query.order_by(_templates.c.version.desc()).limit(1))).one_or_none()
        return None if found is None else _template(found)

    async def capability_templates(
        self, *, organisation: str, names: Sequence[str] | None = None, after: str = "", limit: int
    ) -> Sequence[CapabilityTemplate]:
        """Return the newest versions that are not withdrawn, by name."""
        newest = select(_templates.c.name, func.max(_templates.c.version)).where(
            _templates.c.organisation == organisation
        )
        query = select(_templates).where(
            _templates.c.organisation == organisation,
            _templates.c.withdrawn.is_(None),
            _templates.c.name > after,
            tuple_(_templates.c.name, _templates.c.version).in_(newest.group_by(_templates.c.name)),
        )
        if names is not None:
            query = query.where(_templates.c.name.in_(names))
        rows = (await self._do.execute(query.order_by(_templates.c.name).limit(limit))).all()
        return [_template(row) for row in rows]

    async def withdraw_template(self, name: str, *, organisation: str, now: datetime) -> None:
        """Withdraw all versions of a template."""
        key = (_templates.c.organisation == organisation) & (_templates.c.name == name)
        withdrawn = update(_templates).where(key, _templates.c.withdrawn.is_(None)).values(withdrawn=numeric_date(now))
        await self._do.execute(withdrawn)

    async def put_role(self, role: AgentRole) -> None:
        """Create a role or change what is in it."""
        values = {
            "description": role.description,
            "templates": json.dumps(role.templates),
            "created": numeric_date(role.created),
        }
        await self._put(_roles, {"organisation": role.organisation, "name": role.name}, values)

    async def role(self, name: str, *, organisation: str) -> AgentRole | None:
        """Return a role, held until the transaction ends."""
        query = select(_roles).where(_roles.c.organisation == organisation, _roles.c.name == name)
        found = (await self._do.execute(query.with_for_update())).one_or_none()
        return None if found is None else _role(found)

    async def agent_roles(self, *, organisation: str, after: str, limit: int) -> Sequence[AgentRole]:
        """Return roles, by name."""
        query = select(_roles).where(_roles.c.organisation == organisation, _roles.c.name > after)
        return [_role(row) for row in (await self._do.execute(query.order_by(_roles.c.name).limit(limit))).all()]

    async def remove_role(self, name: str, *, organisation: str) -> None:
        """Forget a role and who has it."""
        held = (_assignments.c.organisation == organisation) & (_assignments.c.role == name)
        await self._do.execute(delete(_assignments).where(held))
        await self._do.execute(delete(_roles).where(_roles.c.organisation == organisation, _roles.c.name == name))

    async def assign(self, assignment: Assignment) -> bool:
        """Give a role to somebody; False when they have it."""
        row = {
            **_key(assignment),
            "by": assignment.by,
            "request_id": assignment.request_id,
            "created": numeric_date(assignment.created),
        }
        return await insert_if_absent(self._do, _assignments, row)

    async def unassign(self, assignment: Assignment) -> bool:
        """Take a role away; False when they do not have it."""
        key = [_assignments.c[name] == value for name, value in _key(assignment).items()]
        return bool((await self._do.execute(delete(_assignments).where(*key))).rowcount == 1)

    async def assignments(
        self, *, organisation: str, role: str | None, after: tuple[str, str, str], limit: int
    ) -> Sequence[Assignment]:
        """Return who has roles, by role, kind and target."""
        order = (_assignments.c.role, _assignments.c.kind, _assignments.c.target)
        query = select(_assignments).where(_assignments.c.organisation == organisation, tuple_(*order) > after)
        if role is not None:
            query = query.where(_assignments.c.role == role)
        rows = (await self._do.execute(query.order_by(*order).limit(limit))).all()
        return [
            Assignment(**{**row._asdict(), "created": from_numeric_date(row.created)})  # the row's public method
            for row in rows
        ]

    async def roles_of(self, agent: Agent) -> Sequence[AgentRole]:
        """Return the roles an agent has: for itself, by its groups, by its template."""
        ways = [(_assignments.c.kind == "agent") & (_assignments.c.target == agent.agent_id)]
        ways.append((_assignments.c.kind == "group") & _assignments.c.target.in_(agent.groups))
        if agent.template is not None:
            ways.append((_assignments.c.kind == "template") & (_assignments.c.target == agent.template))
        held = select(_assignments.c.role).where(_assignments.c.organisation == agent.organisation, or_(*ways))
        query = select(_roles).where(_roles.c.organisation == agent.organisation, _roles.c.name.in_(held))
        return [_role(row) for row in (await self._do.execute(query.order_by(_roles.c.name))).all()]

    async def templates_given(self, groups: Sequence[str], *, organisation: str) -> Sequence[CapabilityTemplate]:
        """Return the capability templates that members of groups get by roles."""
        held = select(_assignments.c.role).where(
            _assignments.c.organisation == organisation,
            _assignments.c.kind == "group",
            _assignments.c.target.in_(groups),
        )
        query = select(_roles.c.templates).where(_roles.c.organisation == organisation, _roles.c.name.in_(held))
        names = {name for found in (await self._do.execute(query)).scalars() for name in json.loads(found)}
        if not names:
            return ()
        return await self.capability_templates(organisation=organisation, names=sorted(names), limit=len(names))

    async def granted_from(
        self,
        *,
        organisation: str,
        now: datetime,
        role: str | None = None,
        template: str | None = None,
        agent_id: str | None = None,
        unfounded: bool = False,
        counting: bool = False,
    ) -> Sequence[str]:
        """Return live credentials that came from a role or a template, or those that these do not give any more."""
        at = numeric_date(now)
        live = and_(grants.c.valid_until > at, grants.c.revoked.is_(None))
        counts = or_(grants.c.valid_until > at, grants.c.renewable_until > at)
        query = select(grants.c.id).where(grants.c.organisation == organisation, counts if counting else live)
        for column, wanted in ((grants.c.role, role), (grants.c.template, template), (grants.c.agent_id, agent_id)):
            query = query if wanted is None else query.where(column == wanted)
        if unfounded:
            query = query.where(~_is_founded())
        return list((await self._do.execute(query.order_by(grants.c.id))).scalars())

    async def learn_tools(self, organisation: str, resource: str, tools: Mapping[str, object]) -> None:
        """Keep what is known of the tools of a resource."""
        await self._put(_tools, {"organisation": organisation, "resource": resource}, {"tools": json.dumps(tools)})

    async def known_tools(self, organisation: str, resource: str) -> Mapping[str, object]:
        """Return what is known of the tools of a resource."""
        query = select(_tools.c.tools).where(_tools.c.organisation == organisation, _tools.c.resource == resource)
        known: Mapping[str, object] = json.loads((await self._do.execute(query)).scalar_one_or_none() or "{}")
        return known

    async def known_resources(self, organisation: str) -> Sequence[str]:
        """Return the resources of which tools are known."""
        query = select(_tools.c.resource).where(_tools.c.organisation == organisation).order_by(_tools.c.resource)
        return list((await self._do.execute(query.limit(1_000))).scalars())

    async def _put(self, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        if not await insert_if_absent(self._do, table, {**key, **values}):
            own = [table.c[name] == value for name, value in key.items()]
            await self._do.execute(update(table).where(*own).values(**values))


def _is_founded() -> Any:
    """Return the condition that a credential's template stands and its role is still the agent's.

    Which templates a role has is not asked here: whoever takes one out of a role says so.
    """
    stands = exists().where(
        _templates.c.organisation == grants.c.organisation,
        _templates.c.name == grants.c.template,
        _templates.c.withdrawn.is_(None),
    )
    member = exists().where(
        labels.c.organisation == grants.c.organisation,
        labels.c.kind == "group",
        labels.c.value == _assignments.c.target,
        labels.c.agent_id == grants.c.agent_id,
    )
    instance = exists().where(
        agents.c.organisation == grants.c.organisation,
        agents.c.agent_id == grants.c.agent_id,
        agents.c.template == _assignments.c.target,
    )
    held = exists().where(
        _assignments.c.organisation == grants.c.organisation,
        _assignments.c.role == grants.c.role,
        or_(
            (_assignments.c.kind == "agent") & (_assignments.c.target == grants.c.agent_id),
            (_assignments.c.kind == "group") & member,
            (_assignments.c.kind == "template") & instance,
        ),
    )
    return and_(or_(grants.c.template.is_(None), stands), or_(grants.c.role.is_(None), held))


def _key(assignment: Assignment) -> dict[str, str]:
    return {
        "organisation": assignment.organisation,
        "kind": assignment.kind,
        "target": assignment.target,
        "role": assignment.role,
    }


def _role(row: Any) -> AgentRole:
    return AgentRole(
        organisation=row.organisation,
        name=row.name,
        description=row.description,
        templates=tuple(json.loads(row.templates)),
        created=from_numeric_date(row.created),
    )


def _template(row: Any) -> CapabilityTemplate:
    return CapabilityTemplate(
        organisation=row.organisation,
        name=row.name,
        version=row.version,
        description=row.description,
        capabilities=tuple(parse_capability(one) for one in json.loads(row.capabilities)),
        valid_seconds=row.valid_seconds,
        max_depth=row.max_depth,
        renewable_seconds=row.renewable_seconds,
        needs_approval=bool(row.needs_approval),
        managers=bool(row.managers),
        created=from_numeric_date(row.created),
        by=row.by,
        withdrawn=None if row.withdrawn is None else from_numeric_date(row.withdrawn),
    )
