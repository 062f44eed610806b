"""Blueprints, their versions, and groups in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update

from did_agent.adapters.sql import insert_if_absent
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import StateConflict
from issuer.adapters.registry_tables import groups, templates
from issuer.adapters.rows import Rows
from issuer.adapters.tables import labels
from issuer.model.registry import Group, Template


class TemplateRows(Rows):
    """Implements `issuer.ports.registry.BlueprintWork`."""

    async def add_template(self, template: Template) -> bool:
        """Add a version and make it the current one; False when this version exists."""
        own = (templates.c.organisation == template.organisation) & (templates.c.name == template.name)
        if not await insert_if_absent(self._do, templates, _row(template)):
            return False
        older = update(templates).where(own, templates.c.version < template.version)
        await self._do.execute(older.values(is_current=0))
        return True

    async def template(self, name: str, *, organisation: str, version: int | None = None) -> Template | None:
        """Return a version of a blueprint, without one the current."""
        query = select(templates).where(templates.c.organisation == organisation, templates.c.name == name)
        wanted = templates.c.is_current == 1 if version is None else templates.c.version == version
        found = (await self._do.execute(query.where(wanted))).one_or_none()
        return None if found is None else _template(found)

    async def templates(self, *, organisation: str, after: str, limit: int) -> Sequence[Template]:
        """Return the current versions, by name."""
        query = select(templates).where(
            templates.c.organisation == organisation, templates.c.is_current == 1, templates.c.name > after
        )
        rows = (await self._do.execute(query.order_by(templates.c.name).limit(limit))).all()
        return [_template(row) for row in rows]

    async def put_group(self, group: Group) -> None:
        """Create a group or say what it is for."""
        key = (groups.c.organisation == group.organisation) & (groups.c.name == group.name)
        done = await self._do.execute(update(groups).where(key).values(description=group.description))
        if done.rowcount != 1:
            row = {
                "organisation": group.organisation,
                "name": group.name,
                "description": group.description,
                "created": numeric_date(group.created),
            }
            await self._do.execute(insert(groups).values(row))

    async def group(self, name: str, *, organisation: str) -> Group | None:
        """Return a group."""
        query = select(groups).where(groups.c.organisation == organisation, groups.c.name == name)
        found = (await self._do.execute(query)).one_or_none()
        return None if found is None else _group(found)

    async def unknown_groups(self, names: Sequence[str], *, organisation: str) -> Sequence[str]:
        """Return those names that no group of the organisation has."""
        if not names:
            return ()
        # Held, so that a group somebody is put into is not removed meanwhile.
        query = select(groups.c.name).where(groups.c.organisation == organisation, groups.c.name.in_(names))
        known = set((await self._do.execute(query.with_for_update(read=True))).scalars())
        return [name for name in names if name not in known]

    async def groups(self, *, organisation: str, after: str, limit: int) -> Sequence[Group]:
        """Return groups, by name."""
        query = select(groups).where(groups.c.organisation == organisation, groups.c.name > after)
        rows = (await self._do.execute(query.order_by(groups.c.name).limit(limit))).all()
        return [_group(row) for row in rows]

    async def remove_group(self, name: str, *, organisation: str) -> None:
        """Forget a group.  Raises: StateConflict while somebody is in it."""
        key = (groups.c.organisation == organisation) & (groups.c.name == name)
        await self._do.execute(delete(groups).where(key))
        within = (labels.c.organisation == organisation) & (labels.c.kind == "group") & (labels.c.value == name)
        if (await self._do.execute(select(labels.c.agent_id).where(within).limit(1))).first() is not None:
            raise StateConflict("agents are in this group")


def _row(template: Template) -> dict[str, Any]:
    return {
        "organisation": template.organisation,
        "name": template.name,
        "version": template.version,
        "is_current": 1,
        "sponsor": template.sponsor,
        "description": template.description,
        "metadata": json.dumps(dict(template.metadata)),
        "redirect_uris": json.dumps(template.redirect_uris),
        "tags": json.dumps(template.tags),
        "groups": json.dumps(template.groups),
        "created": numeric_date(template.created),
        "by": template.by,
    }


def _template(row: Any) -> Template:
    return Template(
        organisation=row.organisation,
        name=row.name,
        version=row.version,
        sponsor=row.sponsor,
        description=row.description,
        metadata=json.loads(row.metadata),
        redirect_uris=tuple(json.loads(row.redirect_uris)),
        tags=tuple(json.loads(row.tags)),
        groups=tuple(json.loads(row.groups)),
        created=from_numeric_date(row.created),
        by=row.by,
    )


def _group(row: Any) -> Group:
    return Group(
        organisation=row.organisation,
        name=row.name,
        description=row.description,
        created=from_numeric_date(row.created),
    )
