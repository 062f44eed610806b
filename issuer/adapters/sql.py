"""The issuer's store in SQLite or PostgreSQL; one flip of a status bit is one row."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from did_agent.adapters.outbox import outbox_table, record
from did_agent.adapters.sql import insert_if_absent, transaction
from did_agent.audit.event import AuditEvent
from did_agent.clock import numeric_date
from did_agent.credential.status import Purpose
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import StateConflict
from issuer.model import Agent, Enrolment, Grant, GrantState, Notice

metadata: Final = MetaData()
outbox: Final = outbox_table(metadata, "issuer")
_agents: Final = Table(
    "issuer_agents",
    metadata,
    Column("agent_id", String(64), primary_key=True),
    Column("skeleton", String(128), nullable=False, unique=True),
    Column("did", String(256), unique=True),
    Column("name", String(128), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("sponsor", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("redirect_uris", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
)
_enrolments: Final = Table(
    "issuer_enrolments",
    metadata,
    Column("agent_id", String(64), primary_key=True),
    Column("challenge_digest", String(64), nullable=False),
    Column("expires", BigInteger, nullable=False),
)
_grants: Final = Table(
    "issuer_credentials",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("agent_id", String(64), nullable=False, index=True),
    Column("did", String(256), nullable=False),
    Column("document", Text, nullable=False),
    Column("issued", BigInteger, nullable=False, index=True),
    Column("valid_until", BigInteger, nullable=False),
    Column("list_number", Integer, nullable=False),
    Column("list_index", Integer, nullable=False),
    Column("revoked", BigInteger),
    UniqueConstraint("list_number", "list_index"),
)
_notices: Final = Table(
    "issuer_notices",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)


class SQLStore:
    """Opens transactions on the issuer's tables; implements `issuer.ports.Store`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def work(self) -> AsyncIterator[SQLWork]:
        """Open one.  Raises: StoreUnavailable."""
        async with transaction(self._engine) as connection:
            yield SQLWork(connection)


class SQLWork:
    """One transaction; implements `issuer.ports.Work`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add_agent(self, agent: Agent, enrolment: Enrolment, *, skeleton: str) -> None:
        """Add a pending agent.  Raises: StateConflict when a name like it is taken."""
        row = {
            "agent_id": agent.agent_id,
            "skeleton": skeleton,
            "name": agent.name,
            "state": agent.state,
            "sponsor": agent.sponsor,
            "description": agent.description,
            "metadata": json.dumps(dict(agent.metadata)),
            "redirect_uris": json.dumps(agent.redirect_uris),
            "created": numeric_date(agent.created),
            "changed": numeric_date(agent.changed),
        }
        if not await insert_if_absent(self._connection, _agents, row):
            raise StateConflict(f"an agent with a name like {agent.name} exists")
        invitation = {
            "agent_id": enrolment.agent_id,
            "challenge_digest": enrolment.challenge_digest,
            "expires": numeric_date(enrolment.expires),
        }
        await self._connection.execute(insert(_enrolments).values(invitation))

    async def agent(self, identifier: str) -> Agent | None:
        """Return the agent with this `agent_id` or DID, held until the transaction ends."""
        named = or_(_agents.c.agent_id == identifier, _agents.c.did == identifier)
        found = (await self._connection.execute(select(_agents).where(named).with_for_update())).one_or_none()
        return None if found is None else _agent(found)

    async def agents(self, *, name: str | None, state: str | None, after: str, limit: int) -> Sequence[Agent]:
        """Return agents in the order of their ids."""
        query = select(_agents).where(_agents.c.agent_id > after).order_by(_agents.c.agent_id).limit(limit)
        if name is not None:
            query = query.where(_agents.c.name == name)
        if state is not None:
            query = query.where(_agents.c.state == state)
        return [_agent(row) for row in (await self._connection.execute(query)).all()]

    async def change_agent(self, agent: Agent) -> None:
        """Store state, DID and time of change.  Raises: StateConflict when the DID belongs to another agent."""
        values = {"state": agent.state, "did": agent.did, "changed": numeric_date(agent.changed)}
        try:
            await self._connection.execute(update(_agents).where(_agents.c.agent_id == agent.agent_id).values(values))
        except IntegrityError as error:
            raise StateConflict("this key belongs to another agent") from error

    async def spend_enrolment(self, agent_id: str, challenge_digest: str, now: datetime) -> bool:
        """Spend the invitation; False when it is unknown, spent or over."""
        spent = await self._connection.execute(
            delete(_enrolments).where(
                _enrolments.c.agent_id == agent_id,
                _enrolments.c.challenge_digest == challenge_digest,
                _enrolments.c.expires > numeric_date(now),
            )
        )
        return bool(spent.rowcount == 1)

    async def add_grant(self, grant: Grant) -> bool:
        """Add a credential; False when its status index is taken."""
        row = {
            "id": grant.id,
            "agent_id": grant.agent_id,
            "did": grant.did,
            "document": json.dumps(grant.document),
            "issued": numeric_date(grant.issued),
            "valid_until": numeric_date(grant.valid_until),
            "list_number": grant.list_number,
            "list_index": grant.list_index,
        }
        return await insert_if_absent(self._connection, _grants, row)

    async def grant(self, identifier: str) -> Grant | None:
        """Return one credential."""
        query = select(_grants).where(_grants.c.id == identifier)
        found = (await self._connection.execute(query)).one_or_none()
        return None if found is None else _grant(found)

    async def grants(
        self, *, agent_id: str | None, state: GrantState | None, now: datetime, limit: int
    ) -> Sequence[Grant]:
        """Return credentials that are in a state now, newest first."""
        query = select(_grants).order_by(_grants.c.issued.desc(), _grants.c.id).limit(limit)
        if agent_id is not None:
            query = query.where(_grants.c.agent_id == agent_id)
        if state is not None:
            # Chosen before the limit cuts: ended credentials must not crowd out those in force.
            over, revoked = _grants.c.valid_until <= numeric_date(now), _grants.c.revoked.is_not(None)
            query = query.where({"revoked": revoked, "expired": ~revoked & over, "active": ~revoked & ~over}[state])
        return [_grant(row) for row in (await self._connection.execute(query)).all()]

    async def revoke_grant(self, identifier: str, now: datetime) -> bool:
        """Mark a credential revoked; False when it was already."""
        condition = (_grants.c.id == identifier) & _grants.c.revoked.is_(None)
        done = await self._connection.execute(update(_grants).where(condition).values(revoked=numeric_date(now)))
        return bool(done.rowcount == 1)

    async def next_list(self, capacity: int) -> int:
        """Return the number of the status list that still has room."""
        count = (await self._connection.execute(select(func.count()).select_from(_grants))).scalar_one()
        return int(count) // capacity + 1

    async def set_bits(self, purpose: Purpose, number: int) -> Sequence[int]:
        """Return the indices that are set in a status list."""
        query = select(_grants.c.list_index).where(_grants.c.list_number == number)
        if purpose == "revocation":
            query = query.where(_grants.c.revoked.is_not(None))
        else:
            ended = _agents.c.state.in_(("suspended", "retired"))
            query = query.join(_agents, _agents.c.agent_id == _grants.c.agent_id).where(ended)
        return list((await self._connection.execute(query)).scalars())

    async def add_notice(self, notice: Notice) -> None:
        """Queue what the bridge must hear."""
        row = {
            "id": notice.id,
            "kind": notice.kind,
            "subject": notice.subject,
            "reason": notice.reason,
            "at": numeric_date(notice.at),
        }
        await self._connection.execute(insert(_notices).values(row))

    async def notices(self, limit: int) -> Sequence[Notice]:
        """Return what the bridge has not confirmed, oldest first."""
        query = select(_notices).order_by(_notices.c.seq).limit(limit)
        return [_notice(row) for row in (await self._connection.execute(query)).all()]

    async def remove_notice(self, identifier: str) -> None:
        """Forget what the bridge has confirmed."""
        await self._connection.execute(delete(_notices).where(_notices.c.id == identifier))

    async def record(self, event: AuditEvent) -> None:
        """Queue an audit event for the ledger."""
        await record(self._connection, outbox, event)


def _agent(row: Any) -> Agent:
    return Agent(
        agent_id=row.agent_id,
        name=row.name,
        sponsor=row.sponsor,
        description=row.description,
        metadata=json.loads(row.metadata),
        redirect_uris=tuple(json.loads(row.redirect_uris)),
        state=row.state,
        did=row.did,
        created=from_numeric_date(row.created),
        changed=from_numeric_date(row.changed),
    )


def _grant(row: Any) -> Grant:
    return Grant(
        id=row.id,
        agent_id=row.agent_id,
        did=row.did,
        document=json.loads(row.document),
        issued=from_numeric_date(row.issued),
        valid_until=from_numeric_date(row.valid_until),
        list_number=row.list_number,
        list_index=row.list_index,
        revoked=None if row.revoked is None else from_numeric_date(row.revoked),
    )


def _notice(row: Any) -> Notice:
    return Notice(id=row.id, kind=row.kind, subject=row.subject, reason=row.reason, at=from_numeric_date(row.at))
