"""Requests for rights in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, func, insert, select, update

from did_agent.clock import numeric_date
from did_agent.credential.capability import parse_capability
from did_agent.encoding.timestamp import from_numeric_date
from issuer.adapters.rows import Rows, behind
from issuer.adapters.tables import agents, metadata
from issuer.model.requests import GrantRequest, RequestState

_requests: Final = Table(
    "issuer_requests",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("agent_id", String(64), nullable=False),
    Column("wanted", String(16), nullable=False),
    Column("name", String(64)),
    Column("capabilities", Text, nullable=False),
    Column("valid_seconds", Integer),
    Column("max_depth", Integer),
    Column("reason", Text, nullable=False),
    Column("by", String(256), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("answer", String(16)),
    Column("decided_by", String(256)),
    Column("decided", BigInteger),
    Column("why", Text),
    Column("credential_id", String(64)),
    Index("issuer_requests_created", "organisation", "created", "id"),
    Index("issuer_requests_agent", "organisation", "agent_id", "created"),
)


class RequestRows(Rows):
    """Implements `issuer.ports.requests.RequestWork`."""

    async def add_request(self, request: GrantRequest) -> None:
        """Add a request."""
        row = {
            "organisation": request.organisation,
            "id": request.id,
            "agent_id": request.agent_id,
            "wanted": request.wanted,
            "name": request.name,
            "capabilities": json.dumps([one.to_json() for one in request.capabilities]),
            "valid_seconds": request.valid_seconds,
            "max_depth": request.max_depth,
            "reason": request.reason,
            "by": request.by,
            "created": numeric_date(request.created),
            "expires": numeric_date(request.expires),
        }
        await self._do.execute(insert(_requests).values(row))

    async def request(self, identifier: str, *, organisation: str) -> GrantRequest | None:
        """Return one request."""
        query = select(_requests).where(_requests.c.organisation == organisation, _requests.c.id == identifier)
        found = (await self._do.execute(query)).one_or_none()
        return None if found is None else _request(found)

    async def requests(
        self,
        *,
        organisation: str,
        now: datetime,
        state: RequestState | None = None,
        agent_id: str | None = None,
        owner: str | None = None,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> Sequence[GrantRequest]:
        """Return requests, newest first."""
        query = select(_requests).where(_requests.c.organisation == organisation)
        if agent_id is not None:
            query = query.where(_requests.c.agent_id == agent_id)
        if owner is not None:
            own = (agents.c.organisation == organisation) & (agents.c.owner == owner)
            query = query.where(_requests.c.agent_id.in_(select(agents.c.agent_id).where(own)))
        if state is not None:
            query = query.where(_is(state, now))
        if after is not None:
            query = query.where(behind(_requests.c.created, _requests.c.id, after))
        rows = await self._do.execute(query.order_by(_requests.c.created.desc(), _requests.c.id).limit(limit))
        return [_request(row) for row in rows.all()]

    async def pending_requests(self, agent_id: str, *, organisation: str, now: datetime) -> int:
        """Return how many requests for an agent wait."""
        mine = (_requests.c.organisation == organisation) & (_requests.c.agent_id == agent_id)
        query = select(func.count()).select_from(_requests).where(mine, _is("pending", now))
        return int((await self._do.execute(query)).scalar_one())

    async def decide_request(self, decided: GrantRequest) -> bool:
        """Store a decision; False when there is one."""
        own = (_requests.c.organisation == decided.organisation) & (_requests.c.id == decided.id)
        values = {
            "answer": decided.answer,
            "decided_by": decided.decided_by,
            "decided": None if decided.decided is None else numeric_date(decided.decided),
            "why": decided.why,
            "credential_id": decided.credential_id,
        }
        done = await self._do.execute(update(_requests).where(own, _requests.c.answer.is_(None)).values(values))
        return bool(done.rowcount == 1)


def _is(state: RequestState, now: datetime) -> Any:
    if state in ("pending", "expired"):
        over = _requests.c.expires <= numeric_date(now)
        return _requests.c.answer.is_(None) & (over if state == "expired" else ~over)
    return _requests.c.answer == state


def _request(row: Any) -> GrantRequest:
    return GrantRequest(
        organisation=row.organisation,
        id=row.id,
        agent_id=row.agent_id,
        wanted=row.wanted,
        name=row.name,
        capabilities=tuple(parse_capability(one) for one in json.loads(row.capabilities)),
        valid_seconds=row.valid_seconds,
        max_depth=row.max_depth,
        reason=row.reason,
        by=row.by,
        created=from_numeric_date(row.created),
        expires=from_numeric_date(row.expires),
        answer=row.answer,
        decided_by=row.decided_by,
        decided=None if row.decided is None else from_numeric_date(row.decided),
        why=row.why,
        credential_id=row.credential_id,
    )
