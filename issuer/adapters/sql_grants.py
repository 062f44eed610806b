"""Credentials in SQL."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    String,
    Table,
    Text,
    and_,
    delete,
    func,
    or_,
    select,
    update,
)

from did_agent.adapters.sql import insert_if_absent, insert_many
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import StateConflict
from issuer.adapters.agent_records import pass_switches
from issuer.adapters.rows import Rows, behind
from issuer.adapters.sql_agents import agent_of
from issuer.adapters.tables import agents, delegations, grants, metadata
from issuer.model import Agent, Grant, GrantState, Source
from issuer.model.grants import Retry

CHUNK: Final = 1_000  # ids of one statement
_retries: Final = Table(
    "issuer_retries",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("credentials", Text, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
)


class GrantRows(Rows):
    """Implements `issuer.ports.grants.GrantWork`, but for `granted_from`."""

    async def add_grant(self, grant: Grant) -> bool:
        """Add a credential; False when its status index is taken."""
        return await insert_if_absent(self._do, grants, grant_row(grant))

    async def add_grants(self, made: Sequence[Grant]) -> None:
        """Add many; all or none."""
        await insert_many(self._do, grants, [grant_row(grant) for grant in made])

    async def grant(self, identifier: str, *, organisation: str | None) -> Grant | None:
        """Return one credential."""
        query = select(grants).where(grants.c.id == identifier)
        if organisation is not None:
            query = query.where(grants.c.organisation == organisation)
        found = (await self._do.execute(query)).one_or_none()
        return None if found is None else grant_of(found)

    async def grants_by_id(self, identifiers: Sequence[str], *, organisation: str) -> Sequence[Grant]:
        """Return credentials in the order they are asked for."""
        found: dict[str, Grant] = {}
        for part in _parts(identifiers):
            query = select(grants).where(grants.c.organisation == organisation, grants.c.id.in_(part))
            found |= {row.id: grant_of(row) for row in (await self._do.execute(query)).all()}
        return [found[one] for one in identifiers if one in found]

    async def grants(
        self,
        *,
        organisation: str,
        agent_id: str | None,
        state: GrantState | None,
        now: datetime,
        limit: int,
        owner: str | None = None,
        after: tuple[datetime, str] | None = None,
    ) -> Sequence[Grant]:
        """Return credentials that are in a state now, newest first; with `owner` those of its agents alone.

        With `after`, the time and id of one, those that follow it.
        """
        query = select(grants).where(grants.c.organisation == organisation)
        query = query.order_by(grants.c.issued.desc(), grants.c.id).limit(limit)
        if agent_id is not None:
            query = query.where(grants.c.agent_id == agent_id)
        if after is not None:
            query = query.where(behind(grants.c.issued, grants.c.id, after))
        if owner is not None:
            theirs = (agents.c.organisation == organisation) & (agents.c.owner == owner)
            query = query.where(grants.c.agent_id.in_(select(agents.c.agent_id).where(theirs)))
        if state is not None:
            # Chosen before the limit cuts: ended credentials must not crowd out those in force.
            over, revoked = grants.c.valid_until <= numeric_date(now), grants.c.revoked.is_not(None)
            suspended = grants.c.suspended.is_not(None)
            fits = {
                "revoked": revoked,
                "expired": ~revoked & over,
                "suspended": ~revoked & ~over & suspended,
                "active": ~revoked & ~over & ~suspended,
            }
            query = query.where(fits[state])
        return [grant_of(row) for row in (await self._do.execute(query)).all()]

    async def agents_by_name(self, identifiers: Sequence[str], *, organisation: str) -> dict[str, Agent]:
        """Return agents by what they were asked for, held until the transaction ends."""
        found: dict[str, Agent] = {}
        await pass_switches(self._do)
        for part in _parts(sorted(set(identifiers))):
            dids = [one for one in part if one.startswith("did:")]
            ids = [one for one in part if not one.startswith("did:")]
            columns = ((agents.c.agent_id, ids), (agents.c.did, dids))
            named = or_(*(column.in_(names) for column, names in columns if names))
            query = select(agents).where(agents.c.organisation == organisation, named)
            # In one order, so that two requests for the same agents do not wait for each other in a circle.
            rows = (await self._do.execute(query.order_by(agents.c.agent_id).with_for_update())).all()
            for agent in map(agent_of, rows):
                found |= {agent.agent_id: agent} | ({agent.did: agent} if agent.did else {})
        return found

    async def lineage(self, identifier: str, *, organisation: str, now: datetime) -> Sequence[str]:
        """Return a credential and all of its line that are not over, as ids."""
        of_line = line_of(identifier, organisation)
        is_meant = or_(grants.c.id == identifier, grants.c.valid_until > numeric_date(now))
        return list((await self._do.execute(select(grants.c.id).where(of_line, is_meant))).scalars())

    async def handed_on(self, identifiers: Sequence[str]) -> Sequence[str]:
        """Return those of which agents registered delegations."""
        found: list[str] = []
        for part in _parts(identifiers):
            query = select(delegations.c.parent_id).where(delegations.c.parent_id.in_(part)).distinct()
            found += (await self._do.execute(query)).scalars()
        return found

    async def revoke_grant(self, identifier: str, now: datetime) -> bool:
        """Mark a credential revoked; False when it was already."""
        return bool(await self.revoke_grants([identifier], now))

    async def revoke_grants(self, identifiers: Sequence[str], now: datetime) -> Sequence[str]:
        """Mark many revoked and return those that were not."""
        return await self._mark(identifiers, grants.c.revoked.is_(None), revoked=numeric_date(now))

    async def suspend_grants(self, identifiers: Sequence[str], now: datetime) -> Sequence[str]:
        """Mark credentials suspended and return those that were neither that nor over."""
        live = grants.c.revoked.is_(None) & (grants.c.valid_until > numeric_date(now))
        return await self._mark(identifiers, live & grants.c.suspended.is_(None), suspended=numeric_date(now))

    async def resume_grants(self, identifiers: Sequence[str], now: datetime) -> Sequence[str]:
        """Take suspensions back and return whose."""
        live = grants.c.revoked.is_(None) & (grants.c.valid_until > numeric_date(now))
        return await self._mark(identifiers, live & grants.c.suspended.is_not(None), suspended=None)

    async def mark_renewed(self, identifier: str, successor: str) -> bool:
        """Say what a credential was renewed to; False when it was renewed before."""
        return bool(await self._mark([identifier], grants.c.renewed_to.is_(None), renewed_to=successor))

    async def remember(
        self, retry: Retry, credentials: Sequence[str], *, organisation: str, now: datetime, expires: datetime
    ) -> bool:
        """Keep what came of a request, and forget what is over; False when there was one under the same key."""
        await self._do.execute(delete(_retries).where(_retries.c.expires < numeric_date(now)))
        row = {
            "organisation": organisation,
            "key": retry.key,
            "digest": retry.digest,
            "credentials": json.dumps(list(credentials)),
            "expires": numeric_date(expires),
        }
        return await insert_if_absent(self._do, _retries, row)

    async def remembered(self, retry: Retry, *, organisation: str) -> Sequence[str] | None:
        """Return what came of an earlier request under the key."""
        query = select(_retries).where(_retries.c.organisation == organisation, _retries.c.key == retry.key)
        found = (await self._do.execute(query)).one_or_none()
        if found is None:
            return None
        if found.digest != retry.digest:
            raise StateConflict("this Idempotency-Key was used for another request")
        known: list[str] = json.loads(found.credentials)
        return known

    async def _mark(self, identifiers: Sequence[str], condition: Any, **values: object) -> list[str]:
        changed: list[str] = []
        for part in _parts(identifiers):
            marked = update(grants).where(grants.c.id.in_(part), condition).values(**values).returning(grants.c.id)
            changed += (await self._do.execute(marked)).scalars()
        return changed


def line_of(identifier: str, organisation: str) -> ColumnElement[bool]:
    """Return the condition that a credential is of the line of another: it, what it continues, what continues it."""
    asked = grants.alias()
    named = select(func.coalesce(asked.c.begun, asked.c.id))
    first = named.where(asked.c.organisation == organisation, asked.c.id == identifier).scalar_subquery()
    return and_(grants.c.organisation == organisation, or_(grants.c.begun == first, grants.c.id == first))


def grant_row(grant: Grant) -> dict[str, Any]:
    """Return the row of a credential."""
    source = grant.source
    return {
        "organisation": grant.organisation,
        "id": grant.id,
        "agent_id": grant.agent_id,
        "did": grant.did,
        "document": json.dumps(grant.document),
        "issued": numeric_date(grant.issued),
        "valid_until": numeric_date(grant.valid_until),
        "list_number": grant.list_number,
        "list_index": grant.list_index,
        "template": source.template,
        "template_version": source.version,
        "role": source.role,
        "request_id": source.request_id,
        "renewable_until": None if source.renewable_until is None else numeric_date(source.renewable_until),
        "begun": source.begun,
    }


def grant_of(row: Any) -> Grant:
    """Return the credential of a row."""
    return Grant(
        organisation=row.organisation,
        id=row.id,
        agent_id=row.agent_id,
        did=row.did,
        document=json.loads(row.document),
        issued=from_numeric_date(row.issued),
        valid_until=from_numeric_date(row.valid_until),
        list_number=row.list_number,
        list_index=row.list_index,
        revoked=_moment(row.revoked),
        suspended=_moment(row.suspended),
        renewed_to=row.renewed_to,
        source=Source(
            template=row.template,
            version=row.template_version,
            role=row.role,
            request_id=row.request_id,
            renewable_until=_moment(row.renewable_until),
            begun=row.begun,
        ),
    )


def _moment(value: int | None) -> datetime | None:
    return None if value is None else from_numeric_date(value)


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[begin : begin + CHUNK] for begin in range(0, len(values), CHUNK))
