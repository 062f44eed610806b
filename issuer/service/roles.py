"""Capability templates, roles, who has them, and what an organisation lets its managers grant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from did_agent.errors import NotFound, StateConflict
from issuer.access import require_within
from issuer.model import Operator
from issuer.model.grants import AgentRole, Assignment, CapabilityTemplate, GrantingPolicy
from issuer.naming import require_text
from issuer.ports import Work
from issuer.roles import require_assignable, require_policy, require_role, require_template
from issuer.service.ending import end_credentials
from issuer.service.office import Office


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Who may be granted what, by name."""

    office: Office

    async def policy(self, *, by: Operator) -> GrantingPolicy:
        """Return what the organisation decided.  Raises: StoreUnavailable."""
        async with self.office.store.work() as work:
            return await work.granting_policy(by.organisation)

    async def put_policy(self, policy: GrantingPolicy, *, by: Operator) -> GrantingPolicy:
        """Decide what managers may grant, how long credentials live, and whether approvers are somebody else.

        Raises: InvalidParameter, StoreUnavailable.
        """
        policy = require_policy(replace(policy, organisation=by.organisation))
        async with self.office.store.work() as work:
            await work.put_granting_policy(policy)
            words = f"managers grant at {len(policy.manager_resources)} resources; at most {policy.max_valid_seconds} s"
            words += "; approvers are somebody else" if policy.separation else "; approvers may be who asked"
            await work.record(self.office.event(by, "granting-policy.put", None, words))
        self.office.news.wake_audit()
        return policy

    async def add_template(self, template: CapabilityTemplate, *, by: Operator) -> CapabilityTemplate:
        """Add a template or its next version; what was made from earlier ones stays as it is.

        Raises: InvalidParameter, StateConflict, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            last = await work.capability_template(template.name, organisation=by.organisation)
            version = 1 if last is None else last.version + 1
            template = require_template(
                replace(
                    template,
                    organisation=by.organisation,
                    version=version,
                    created=self.office.clock(),
                    by=by.principal or "",
                )
            )
            if not await work.add_capability_template(template):
                raise StateConflict("somebody else changed it meanwhile")
            event = self.office.event(by, "capability.put", template.name, f"version {version}")
            await work.record(replace(event, details={**event.details, "version": str(version)}))
        self.office.news.wake_audit()
        return template

    async def template(self, name: str, *, version: int | None, by: Operator) -> CapabilityTemplate:
        """Return a template.  Raises: NotFound, StoreUnavailable."""
        async with self.office.store.work() as work:
            found = await work.capability_template(name, organisation=by.organisation, version=version)
        if found is None:
            raise NotFound("there is no such capability template")
        return found

    async def templates(self, *, after: str, limit: int, by: Operator) -> Sequence[CapabilityTemplate]:
        """Return the newest versions, by name.  Raises: StoreUnavailable."""
        async with self.office.store.work() as work:
            return await work.capability_templates(organisation=by.organisation, after=after, limit=limit)

    async def withdraw_template(self, name: str, *, reason: str, by: Operator) -> tuple[Sequence[str], bool]:
        """Withdraw a template and revoke all that came from it; say also whether the bridge has heard already.

        Raises: NotFound, InvalidParameter, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            found = await work.capability_template(name, organisation=by.organisation)
            if found is None or found.withdrawn is not None:
                raise NotFound("there is no such capability template")
            await work.withdraw_template(name, organisation=by.organisation, now=now)
            live = await work.granted_from(organisation=by.organisation, template=name, now=now)
            ended = await self._end(work, live, reason=reason, action="capability.withdraw", target=name, by=by)
        return ended, await self._told()

    async def put_role(self, role: AgentRole, *, by: Operator) -> tuple[AgentRole, Sequence[str]]:
        """Create a role or change it; what came from templates it has no more is revoked.

        Raises: NotFound, InvalidParameter, StoreUnavailable.
        """
        now = self.office.clock()
        async with self.office.store.work() as work:
            known = await work.capability_templates(
                organisation=by.organisation, names=role.templates, limit=max(1, len(role.templates))
            )
            before = await work.role(role.name, organisation=by.organisation)
            created = now if before is None else before.created
            role = require_role(replace(role, organisation=by.organisation, created=created), known)
            await work.put_role(role)
            live: list[str] = []
            for name in set(() if before is None else before.templates) - set(role.templates):
                live += await work.granted_from(organisation=by.organisation, role=role.name, template=name, now=now)
            words = f"the role {role.name} has {', '.join(role.templates)}"
            ended = await self._end(work, live, reason=words[:256], action="role.put", target=role.name, by=by)
        await self._told()
        return role, ended

    async def role(self, name: str, *, by: Operator) -> AgentRole:
        """Return a role.  Raises: NotFound, StoreUnavailable."""
        async with self.office.store.work() as work:
            return _found(await work.role(name, organisation=by.organisation))

    async def list(self, *, after: str, limit: int, by: Operator) -> Sequence[AgentRole]:
        """Return roles, by name.  Raises: StoreUnavailable."""
        async with self.office.store.work() as work:
            return await work.agent_roles(organisation=by.organisation, after=after, limit=limit)

    async def remove(self, name: str, *, reason: str, by: Operator) -> tuple[Sequence[str], bool]:
        """Remove a role, take it from all who have it, and revoke what came from it.

        Raises: NotFound, InvalidParameter, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            _found(await work.role(name, organisation=by.organisation))
            await work.remove_role(name, organisation=by.organisation)
            live = await work.granted_from(organisation=by.organisation, role=name, now=now)
            ended = await self._end(work, live, reason=reason, action="role.remove", target=name, by=by)
        return ended, await self._told()

    async def assign(self, assignment: Assignment, *, by: Operator) -> Assignment:
        """Give a role to an agent, a group or all made from a template of agents.

        Raises: NotFound, StateConflict, InsufficientScope, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            given = await give_role(work, self.office, assignment, by=by)
        self.office.news.wake_audit()
        return given

    async def unassign(self, assignment: Assignment, *, reason: str, by: Operator) -> tuple[Sequence[str], bool]:
        """Take a role away, and revoke what came from it; say also whether the bridge has heard already.

        Raises: NotFound, InsufficientScope, InvalidParameter, StoreUnavailable.
        """
        now, reason = self.office.clock(), require_text("reason", reason)
        async with self.office.store.work() as work:
            _found(await work.role(assignment.role, organisation=by.organisation))
            wanted = await _addressed(work, replace(assignment, organisation=by.organisation), by)
            if not await work.unassign(wanted):
                raise NotFound("it does not have this role")
            live = await work.granted_from(organisation=by.organisation, role=wanted.role, now=now, unfounded=True)
            target = f"{wanted.role} {wanted.kind} {wanted.target}"
            ended = await self._end(work, live, reason=reason, action="role.unassign", target=target, by=by)
        return ended, await self._told()

    async def assignments(
        self, *, role: str | None, after: tuple[str, str, str], limit: int, by: Operator
    ) -> Sequence[Assignment]:
        """Return who has roles.  Raises: NotFound when there is no such role, StoreUnavailable."""
        async with self.office.store.work() as work:
            if role is not None and await work.role(role, organisation=by.organisation) is None:
                raise NotFound("there is no such role")
            return await work.assignments(organisation=by.organisation, role=role, after=after, limit=limit)

    async def learn_tools(self, resource: str, tools: Mapping[str, object], *, by: Operator) -> None:
        """Keep what is known of the tools of a resource, for those who fill in forms.  Raises: StoreUnavailable."""
        async with self.office.store.work() as work:
            await work.learn_tools(by.organisation, resource, tools)
            await work.record(self.office.event(by, "known-tools.put", resource[:256], f"{len(tools)} tools"))
        self.office.news.wake_audit()

    async def known_tools(self, resource: str | None, *, by: Operator) -> tuple[Sequence[str], Mapping[str, object]]:
        """Return the resources whose tools are known, and the tools of one of them.  Raises: StoreUnavailable."""
        async with self.office.store.work() as work:
            resources = await work.known_resources(by.organisation)
            tools = {} if resource is None else await work.known_tools(by.organisation, resource)
        return resources, tools

    async def _end(
        self, work: Work, live: Sequence[str], *, reason: str, action: str, target: str, by: Operator
    ) -> Sequence[str]:
        now = self.office.clock()
        ended = await end_credentials(work, live, organisation=by.organisation, reason=reason, now=now)
        event = self.office.event(by, action, target[:256], reason)
        details = {**event.details, "revoked": str(len(ended))}
        await work.record(replace(event, credential_ids=tuple(ended[:100]), details=details))
        return ended

    async def _told(self) -> bool:
        self.office.news.wake_audit()
        return await self.office.news.push()


async def give_role(
    work: Work, office: Office, assignment: Assignment, *, by: Operator, request_id: str | None = None
) -> Assignment:
    """Give a role inside a transaction; `request_id` says that somebody else asked for it.

    Raises: NotFound, StateConflict, InsufficientScope.
    """
    role = _found(await work.role(assignment.role, organisation=by.organisation))
    templates = await work.capability_templates(
        organisation=by.organisation, names=role.templates, limit=max(1, len(role.templates))
    )
    require_assignable(by, templates, on_request=request_id is not None)
    given = replace(
        assignment, organisation=by.organisation, by=by.principal or "", request_id=request_id, created=office.clock()
    )
    given = await _addressed(work, given, by)
    if not await work.assign(given):
        raise StateConflict("it has this role already")
    target = f"{given.role} {given.kind} {given.target}"
    await work.record(office.event(by, "role.assign", target[:256], f"{given.kind} {given.target} has {given.role}"))
    return given


async def end_unfounded(work: Work, office: Office, *, agent_id: str, reason: str, by: Operator) -> Sequence[str]:
    """Revoke what an agent got by roles it does not have any more: for whoever changes its groups or template."""
    now = office.clock()
    live = await work.granted_from(organisation=by.organisation, agent_id=agent_id, now=now, unfounded=True)
    return await end_credentials(work, live, organisation=by.organisation, reason=reason, now=now)


async def _addressed(work: Work, assignment: Assignment, by: Operator) -> Assignment:
    """Return an assignment by the agent's id where it named its DID; nothing is given to who is not there."""
    if assignment.kind != "agent":
        return replace(assignment, target=require_text("target", assignment.target))
    agent = require_within(by, await work.agent(assignment.target, organisation=by.organisation, hold=False))
    return replace(assignment, target=agent.agent_id)


def _found(role: AgentRole | None) -> AgentRole:
    if role is None:
        raise NotFound("there is no such role")
    return role
