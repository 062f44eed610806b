"""Blueprints of agents, and the instances made from them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from did_agent.credential.issuance import new_id
from did_agent.errors import InvalidParameter, NotFound, StateConflict
from issuer.access import own_alone
from issuer.description import require_agent, require_label
from issuer.enrolment import invite
from issuer.model import Agent, Operator
from issuer.model.registry import MAX_BATCH, ImportRow, Template
from issuer.naming import MAX_NAME, skeleton
from issuer.service.grouping import require_groups
from issuer.service.office import Office

_SUFFIX = 4  # random bytes of a generated name


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """What agents have in common."""

    office: Office

    async def put(self, template: Template, *, by: Operator) -> Template:
        """Keep a new version of a blueprint; one that says the same is no new version.

        Raises: InvalidParameter, StateConflict when somebody else wrote it at the same moment, StoreUnavailable.
        """
        require_label("name", template.name)
        require_agent(_instance(template, name="instance", by=by))
        async with self.office.store.work() as work:
            last = await work.template(template.name, organisation=by.organisation)
            wanted = replace(
                template,
                organisation=by.organisation,
                version=1 if last is None else last.version + 1,
                created=self.office.clock(),
                by=by.principal or "",
            )
            if last is not None and replace(wanted, version=last.version, created=last.created, by=last.by) == last:
                return last
            await require_groups(work, wanted.groups, organisation=by.organisation, by=by)
            if not await work.add_template(wanted):
                raise StateConflict("somebody else changed this blueprint at the same moment")
            words = f"blueprint {wanted.name}, version {wanted.version}"
            await work.record(self.office.event(by, "template.put", wanted.name, words))
        self.office.news.wake_audit()
        return wanted

    async def show(self, name: str, *, version: int | None, by: Operator) -> Template:
        """Return a version of a blueprint, without one the current.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return _required(await work.template(name, organisation=by.organisation, version=version))

    async def list(self, *, after: str, limit: int, by: Operator) -> Sequence[Template]:
        """Return the current blueprints, by name.

        Raises: StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return await work.templates(organisation=by.organisation, after=after, limit=limit)

    async def instantiate(
        self, name: str, *, names: Sequence[str], count: int | None, by: Operator
    ) -> Sequence[tuple[Agent, str]]:
        """Register agents made from a blueprint, all or none; return each with the challenge it enrols by.

        Raises: NotFound, InvalidParameter, StateConflict when a name is taken, StoreUnavailable.
        """
        if (count is None) == (not names) or not 0 < (count or len(names)) <= MAX_BATCH:
            raise InvalidParameter(f"either names or a count, 1 to {MAX_BATCH}")
        now = self.office.clock()
        async with self.office.store.work() as work:
            template = _required(await work.template(name, organisation=by.organisation))
            called = names or _made_up(template, count or 0)
            agents = [replace(_instance(template, name=one, by=by), created=now, changed=now) for one in called]
            rows = [
                ImportRow(key=one.agent_id, agent=require_agent(one), skeleton=skeleton(one.name)) for one in agents
            ]
            await require_groups(work, template.groups, organisation=by.organisation)
            invited = [invite(agent.agent_id, now=now) for agent in agents]
            words = f"made from {template.name}, version {template.version}"
            results = await work.add_agents(
                rows, by=by.principal or "", reason=words, invitations=[kept for _, kept in invited]
            )
            refused = next((result for result in results if result.outcome == "refused"), None)
            if refused is not None:
                raise StateConflict(refused.detail or "an agent could not be registered")
            said = f"{len(agents)} agents {words}"
            await work.record(self.office.event(by, "template.instantiate", name, said))
        self.office.news.wake_audit()
        return [(agent, challenge) for agent, (challenge, _) in zip(agents, invited, strict=True)]


def _instance(template: Template, *, name: str, by: Operator) -> Agent:
    return Agent(
        organisation=by.organisation,
        agent_id=new_id(),
        name=name,
        sponsor=template.sponsor,
        owner=own_alone(by) or by.principal or "",
        description=template.description,
        metadata=template.metadata,
        redirect_uris=template.redirect_uris,
        tags=template.tags,
        groups=template.groups,
        template=template.name,
        state="pending",
        did=None,
        created=template.created,
        changed=template.created,
    )


def _made_up(template: Template, count: int) -> Sequence[str]:
    stem = template.name[: MAX_NAME - 2 * _SUFFIX - 1]
    return [f"{stem}-{secrets.token_hex(_SUFFIX)}" for _ in range(count)]


def _required(template: Template | None) -> Template:
    if template is None:
        raise NotFound("there is no such blueprint")
    return template
