"""Groups of agents: keeping them, and who is in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from did_agent.errors import InvalidParameter, NotFound
from issuer.access import require_within
from issuer.description import MAX_LABELS, described, require_label
from issuer.model import Operator
from issuer.model.registry import MAX_BATCH, Description, Group, Happening
from issuer.naming import require_text, skeleton
from issuer.ports import Work
from issuer.roles import require_assignable
from issuer.service.office import Office
from issuer.service.roles import end_unfounded


async def require_groups(work: Work, names: Sequence[str], *, organisation: str, by: Operator | None = None) -> None:
    """Return if the organisation has all these groups; they stay until the transaction ends.

    With `by` also only if that person may give what members of them get by roles (WEB-04).
    Raises: InvalidParameter, InsufficientScope.
    """
    if by is not None and "admin" not in by.roles and names:
        templates = await work.templates_given(names, organisation=organisation)
        if templates:
            require_assignable(by, templates, on_request=True)
    unknown = await work.unknown_groups(names, organisation=organisation)
    if unknown:
        raise InvalidParameter(f"groups: there is no group {unknown[0]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Agents that are dealt with together."""

    office: Office

    async def put(self, name: str, description: str, *, by: Operator) -> Group:
        """Create a group or say anew what it is for.

        Raises: InvalidParameter, StoreUnavailable.
        """
        require_label("name", name)
        said = require_text("description", description)
        async with self.office.store.work() as work:
            known = await work.group(name, organisation=by.organisation)
            group = known or Group(
                organisation=by.organisation, name=name, description=said, created=self.office.clock()
            )
            group = replace(group, description=said)
            await work.put_group(group)
            await work.record(self.office.event(by, "group.put", name, said or name))
        self.office.news.wake_audit()
        return group

    async def show(self, name: str, *, by: Operator) -> Group:
        """Return a group.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return _required(await work.group(name, organisation=by.organisation))

    async def list(self, *, after: str, limit: int, by: Operator) -> Sequence[Group]:
        """Return groups, by name.

        Raises: StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return await work.groups(organisation=by.organisation, after=after, limit=limit)

    async def remove(self, name: str, *, by: Operator) -> None:
        """Forget a group nobody is in.

        Raises: NotFound, StateConflict, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            _required(await work.group(name, organisation=by.organisation))
            await work.remove_group(name, organisation=by.organisation)
            await work.record(self.office.event(by, "group.remove", name, f"group {name} was removed"))
        self.office.news.wake_audit()

    async def change(self, name: str, *, add: Sequence[str], remove: Sequence[str], by: Operator) -> int:
        """Put agents into a group and take others out of it, all or none; say how many were changed.

        Raises: NotFound, InvalidParameter, StateConflict when a switch covers the group, StoreUnavailable.
        """
        if not 0 < len(add) + len(remove) <= MAX_BATCH or set(add) & set(remove):
            raise InvalidParameter(f"add, remove: 1 to {MAX_BATCH} agents, none of them in both")
        now, changed = self.office.clock(), 0
        async with self.office.store.work() as work:
            await require_groups(
                work,
                [_required(await work.group(name, organisation=by.organisation)).name],
                organisation=by.organisation,
                by=by if add else None,
            )
            # In one order, so that two changes of the same agents do not wait for each other in a circle.
            for identifier in sorted({*add, *remove}):
                agent = require_within(by, await work.agent(identifier, organisation=by.organisation))
                names = {*agent.groups, name} if identifier in add else {*agent.groups} - {name}
                if names == set(agent.groups):
                    continue
                if len(names) > MAX_LABELS:
                    raise InvalidParameter(f"{agent.name}: at most {MAX_LABELS} groups")
                result = replace(described(agent, Description(groups=sorted(names)), by=by), changed=now)
                await work.describe_agent(result, skeleton=skeleton(result.name))
                if identifier in remove:
                    await end_unfounded(work, self.office, agent_id=agent.agent_id, reason=f"left group {name}", by=by)
                said = f"{'put into' if identifier in add else 'taken out of'} group {name}"
                await work.add_history(
                    Happening(
                        organisation=agent.organisation,
                        agent_id=agent.agent_id,
                        event="describe",
                        before=agent.state,
                        after=result.state,
                        actor=by.principal or "",
                        reason=said,
                        at=now,
                    )
                )
                changed += 1
            explanation = f"{len(add)} agents put into {name}, {len(remove)} taken out"
            await work.record(self.office.event(by, "group.change", name, explanation))
        self.office.news.wake_audit()
        return changed


def _required(group: Group | None) -> Group:
    if group is None:
        raise NotFound("there is no such group")
    return group
