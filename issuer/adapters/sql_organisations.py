"""Organisations and proposals in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import BigInteger, Column, Index, String, Table, Text, and_, insert, select, update

from did_agent.adapters.sql import insert_if_absent
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from issuer.adapters.registry_tables import switches
from issuer.adapters.rows import Rows, behind
from issuer.adapters.tables import metadata
from issuer.model import HOME
from issuer.model.organisations import Organisation, Proposal

_organisations: Final = Table(
    "issuer_organisations",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("title", Text, nullable=False),
    Column("resources", Text, nullable=False),
    Column("dual_control", String(64), nullable=False),
    Column("by", String(256), nullable=False),
    Column("created", BigInteger, nullable=False),
)
_proposals: Final = Table(
    "issuer_proposals",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("control", String(16), nullable=False),
    Column("action", String(64), nullable=False),
    Column("method", String(8), nullable=False),
    Column("path", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("by", String(256), nullable=False),
    Column("proposed", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("decided_by", String(256)),
    Column("decided", BigInteger),
    Index("issuer_proposals_proposed", "organisation", "proposed", "id"),
)
_STOPS: Final = and_(switches.c.scope == "organisation", switches.c.target == HOME, switches.c.lifted.is_(None))
_SUSPENDED: Final = select(switches.c.id).where(_STOPS, switches.c.organisation == _organisations.c.name).exists()
_WITH_STATE: Final = select(_organisations, _SUSPENDED.label("suspended"))


class OrganisationRows(Rows):
    """Implements `issuer.ports.organisations.OrganisationWork`."""

    async def add_organisation(self, organisation: Organisation) -> bool:
        """Add an organisation; False when there is one of this name."""
        return await insert_if_absent(self._do, _organisations, _row(organisation))

    async def put_resources(self, name: str, resources: Sequence[str]) -> bool:
        """Store at which resources an organisation may grant; False when there is none of this name."""
        values = {"resources": json.dumps(list(resources))}
        done = await self._do.execute(update(_organisations).where(_organisations.c.name == name).values(values))
        return bool(done.rowcount == 1)

    async def put_controls(self, organisation: Organisation) -> None:
        """Store what takes two people, and the organisation if it is not known yet."""
        if await insert_if_absent(self._do, _organisations, _row(organisation)):
            return
        own = _organisations.c.name == organisation.name
        values = {"dual_control": _row(organisation)["dual_control"]}
        await self._do.execute(update(_organisations).where(own).values(values))

    async def organisation(self, name: str) -> Organisation | None:
        """Return an organisation."""
        query = _WITH_STATE.where(_organisations.c.name == name)
        found = (await self._do.execute(query)).one_or_none()
        return None if found is None else _organisation(found)

    async def suspension(self, name: str) -> str | None:
        """Return the kill switch by which the deployment's own admins stopped an organisation."""
        query = select(switches.c.id).where(_STOPS, switches.c.organisation == name)
        return (await self._do.execute(query)).scalar_one_or_none()

    async def organisations(self) -> Sequence[Organisation]:
        """Return every organisation, by name."""
        query = _WITH_STATE.order_by(_organisations.c.name)
        return [_organisation(row) for row in (await self._do.execute(query)).all()]

    async def add_proposal(self, proposal: Proposal) -> None:
        """Keep a proposal."""
        row = {
            "organisation": proposal.organisation,
            "id": proposal.id,
            "control": proposal.control,
            "action": proposal.action,
            "method": proposal.method,
            "path": proposal.path,
            "body": proposal.body,
            "by": proposal.by,
            "proposed": numeric_date(proposal.proposed),
            "expires": numeric_date(proposal.expires),
            "verdict": proposal.verdict,
        }
        await self._do.execute(insert(_proposals).values(row))

    async def proposal(self, identifier: str, *, organisation: str) -> Proposal | None:
        """Return a proposal."""
        own = and_(_proposals.c.organisation == organisation, _proposals.c.id == identifier)
        found = (await self._do.execute(select(_proposals).where(own))).one_or_none()
        return None if found is None else _proposal(found)

    async def proposals(
        self, organisation: str, *, after: tuple[datetime, str] | None = None, limit: int
    ) -> Sequence[Proposal]:
        """Return proposals, the newest first; with `after`, the time and id of one, those that follow it."""
        query = select(_proposals).where(_proposals.c.organisation == organisation)
        if after is not None:
            query = query.where(behind(_proposals.c.proposed, _proposals.c.id, after))
        query = query.order_by(_proposals.c.proposed.desc(), _proposals.c.id).limit(limit)
        return [_proposal(row) for row in (await self._do.execute(query)).all()]

    async def decide_proposal(
        self, proposal: Proposal, verdict: Literal["approved", "rejected"], *, by: str, now: datetime
    ) -> bool:
        """Decide an open proposal, once; False when somebody did before."""
        own = and_(_proposals.c.organisation == proposal.organisation, _proposals.c.id == proposal.id)
        waiting = and_(own, _proposals.c.verdict == "open", _proposals.c.expires > numeric_date(now))
        values = {"verdict": verdict, "decided_by": by, "decided": numeric_date(now)}
        return bool((await self._do.execute(update(_proposals).where(waiting).values(values))).rowcount == 1)


def _row(organisation: Organisation) -> dict[str, Any]:
    return {
        "name": organisation.name,
        "title": organisation.title,
        "resources": json.dumps(organisation.resources),
        "dual_control": " ".join(sorted(organisation.dual_control)),
        "by": organisation.by,
        "created": numeric_date(organisation.created),
    }


def _organisation(row: Any) -> Organisation:
    return Organisation(
        name=row.name,
        title=row.title,
        resources=tuple(json.loads(row.resources)),
        dual_control=frozenset(row.dual_control.split()),
        by=row.by,
        created=from_numeric_date(row.created),
        suspended=bool(row.suspended),
    )


def _proposal(row: Any) -> Proposal:
    return Proposal(
        organisation=row.organisation,
        id=row.id,
        control=row.control,
        action=row.action,
        method=row.method,
        path=row.path,
        body=row.body,
        by=row.by,
        proposed=from_numeric_date(row.proposed),
        expires=from_numeric_date(row.expires),
        verdict=row.verdict,
        decided_by=row.decided_by,
        decided=None if row.decided is None else from_numeric_date(row.decided),
    )
