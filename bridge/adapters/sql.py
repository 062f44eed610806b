"""The bridge's store in SQLite or PostgreSQL; every method is one or two statements of the caller's transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Table, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.adapters import tables
from bridge.model import AuthorizationRequest, Code, FeedItem, Resource, Session, Spend, TokenRecord, User
from did_agent.adapters import outbox, sql
from did_agent.audit.event import AuditEvent
from did_agent.clock import numeric_date
from did_agent.encoding import base64url
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import StoreUnavailable
from did_agent.tokens.security_event import EventKind, SecurityEvent

MAX_FAMILY: Final = 64  # rounds of following tokens made from tokens; chains are at most 8 deep
_REVERSIBLE: Final = ("agent-suspended", "agent-resumed")


class SQLStore:
    """Opens units of work on one database."""

    def __init__(self, engine: AsyncEngine, *, committed: Callable[[], None]) -> None:
        self._engine, self._committed = engine, committed

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SQLTransaction]:
        """Open a unit of work.

        Raises: StoreUnavailable.
        """
        async with sql.transaction(self._engine) as connection:
            work = SQLTransaction(connection)
            yield work
        if work.has_events:
            self._committed()

    async def prepare(self, built_in: Sequence[Resource], *, now: datetime) -> None:
        """Create missing tables, write the deployment's own resources, and forget what cannot matter any more."""
        await sql.create_schema(self._engine, tables.metadata)
        async with sql.transaction(self._engine) as connection:
            work = SQLTransaction(connection)
            head = sql.insert_if_absent(connection.dialect.name, tables.feed_head)
            await connection.execute(head.values(id=1, seq=0))
            await connection.execute(delete(tables.resources).where(tables.resources.c.built_in))
            for resource in built_in:
                await work.put_resource(resource)
            await work.purge(now)


class SQLTransaction:
    """One unit of work; implements `bridge.ports.Transaction`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._do = connection
        self.has_events = False

    async def purge(self, now: datetime) -> None:
        """Forget spent values, tokens and codes that have been over for a day."""
        before = numeric_date(now) - 86_400
        gone = select(tables.tokens.c.id).where(tables.tokens.c.expires < before)
        await sql.purge_spent(self._do, tables.single_use, now)
        await self._do.execute(delete(tables.dependencies).where(tables.dependencies.c.token_id.in_(gone)))
        await self._do.execute(delete(tables.tokens).where(tables.tokens.c.expires < before))
        await self._do.execute(delete(tables.codes).where(tables.codes.c.expires < before))
        await self._do.execute(delete(tables.sessions).where(tables.sessions.c.created < before))

    async def record(self, event: AuditEvent) -> None:
        self.has_events = True
        await outbox.record(self._do, tables.outbox, event)

    async def spend(self, value: Spend) -> bool:
        return await sql.spend(self._do, tables.single_use, value.purpose, _digest(value.key), value.expires)

    async def denied(self, ids: Iterable[str]) -> EventKind | None:
        # Shared with other issuers, exclusive of `announce`: see the table.
        await self._do.execute(select(tables.feed_head.c.seq).with_for_update(read=True))
        query = select(tables.endings.c.kind).where(
            tables.endings.c.subject.in_(sorted(ids)), tables.endings.c.kind != "agent-resumed"
        )
        kinds = (await self._do.execute(query)).scalars().all()
        final = [kind for kind in kinds if kind not in _REVERSIBLE]
        return cast("EventKind | None", next(iter(final or kinds), None))

    async def resource(self, resource_id: str) -> Resource | None:
        row = await self._one(tables.resources, tables.resources.c.id == resource_id)
        return None if row is None else _resource(row)

    async def resources(self) -> Sequence[Resource]:
        rows = await self._do.execute(select(tables.resources).order_by(tables.resources.c.id))
        return [_resource(dict(row)) for row in rows.mappings()]

    async def put_resource(self, resource: Resource) -> None:
        values = {"name": resource.name, "scopes": json.dumps(dict(resource.scopes)), "built_in": resource.built_in}
        await self._put(tables.resources, {"id": resource.id}, values)

    async def user(self, username: str) -> User | None:
        row = await self._one(tables.users, tables.users.c.username == username)
        return None if row is None else _user(row)

    async def users(self) -> Sequence[User]:
        rows = await self._do.execute(select(tables.users).order_by(tables.users.c.username))
        return [_user(dict(row)) for row in rows.mappings()]

    async def put_user(self, user: User) -> None:
        rights = {resource: sorted(scopes) for resource, scopes in user.rights.items()}
        values = {"name": user.name, "password_hash": user.password_hash, "rights": json.dumps(rights)}
        await self._sign_out(user.username)
        await self._put(tables.users, {"username": user.username}, values)

    async def delete_user(self, username: str) -> bool:
        await self._sign_out(username)
        result = await self._do.execute(delete(tables.users).where(tables.users.c.username == username))
        return bool(result.rowcount)

    async def session(self, digest: str) -> Session | None:
        row = await self._one(tables.sessions, tables.sessions.c.digest == digest)
        if row is None:
            return None
        created, seen = from_numeric_date(row["created"]), from_numeric_date(row["seen"])
        return Session(digest=digest, username=row["username"], created=created, seen=seen)

    async def put_session(self, session: Session) -> None:
        values = {
            "username": session.username,
            "created": numeric_date(session.created),
            "seen": numeric_date(session.seen),
        }
        await self._put(tables.sessions, {"digest": session.digest}, values)

    async def end_session(self, digest: str) -> None:
        await self._do.execute(delete(tables.sessions).where(tables.sessions.c.digest == digest))

    async def failures(self, username: str, *, since: datetime) -> int:
        table = tables.login_failures
        query = select(func.count()).where(table.c.username == _digest(username), table.c.at > numeric_date(since))
        return int((await self._do.execute(query)).scalar_one())

    async def add_failure(self, username: str, *, now: datetime, forget_before: datetime) -> None:
        table = tables.login_failures
        await self._do.execute(delete(table).where(table.c.at <= numeric_date(forget_before)))
        await self._do.execute(insert(table).values(username=_digest(username), at=numeric_date(now)))

    async def code(self, digest: str) -> Code | None:
        row = await self._one(tables.codes, tables.codes.c.digest == digest)
        return None if row is None else _code(row)

    async def add_code(self, code: Code) -> None:
        wanted = code.request.scopes
        request = {**asdict(code.request), "scopes": None if wanted is None else sorted(wanted)}
        await self._do.execute(
            insert(tables.codes).values(
                digest=code.digest,
                username=code.username,
                request=json.dumps(request),
                scopes=json.dumps(sorted(code.scopes)),
                expires=numeric_date(code.expires),
                used=False,
            )
        )

    async def use_code(self, digest: str, *, token_id: str | None) -> bool:
        unused = and_(tables.codes.c.digest == digest, tables.codes.c.used.is_(False))
        result = await self._do.execute(update(tables.codes).where(unused).values(used=True, token_id=token_id))
        return bool(result.rowcount)

    async def add_token(self, token: TokenRecord, *, depends_on: Iterable[str]) -> None:
        await self._do.execute(
            insert(tables.tokens).values(
                id=token.id,
                client_id=token.client_id,
                subject=token.subject,
                resource=token.resource,
                expires=numeric_date(token.expires),
                parent_id=token.parent_id,
            )
        )
        rows = [{"token_id": token.id, "depends_on": name} for name in sorted(set(depends_on))]
        await self._do.execute(insert(tables.dependencies), rows)

    async def token(self, token_id: str) -> TokenRecord | None:
        row = await self._one(tables.tokens, tables.tokens.c.id == token_id)
        if row is None:
            return None
        ended = await self._one(tables.endings, tables.endings.c.subject == token_id)
        return TokenRecord(**{**row, "expires": from_numeric_date(row["expires"])}, revoked=ended is not None)

    async def tokens_under(self, ids: Iterable[str], *, now: datetime) -> Sequence[str]:
        tokens, links, found = tables.tokens, tables.dependencies, set[str]()
        live = tokens.c.expires > numeric_date(now)
        frontier = set(ids)
        named = await self._do.execute(select(tokens.c.id).where(tokens.c.id.in_(sorted(frontier)), live))
        found.update(named.scalars())
        for _ in range(MAX_FAMILY):
            query = (
                select(links.c.token_id)
                .join(tokens, tokens.c.id == links.c.token_id)
                .where(links.c.depends_on.in_(sorted(frontier)), live)
            )
            frontier = set((await self._do.execute(query)).scalars()) - found
            if not frontier:
                break
            found |= frontier
        return sorted(found)

    async def add_evidence(self, digest: str, documents: Sequence[Mapping[str, object]]) -> None:
        statement = sql.insert_if_absent(self._do.dialect.name, tables.evidence)
        content = json.dumps([dict(document) for document in documents])
        await self._do.execute(statement.values(digest=digest, documents=content))

    async def evidence(self, digest: str) -> Sequence[object] | None:
        row = await self._one(tables.evidence, tables.evidence.c.digest == digest)
        return None if row is None else cast("list[object]", json.loads(row["documents"]))

    async def announce(self, event: SecurityEvent, signed: str, *, key: str) -> bool:
        head = tables.feed_head
        numbered = update(head).where(head.c.id == 1).values(seq=head.c.seq + 1).returning(head.c.seq)
        seq = (await self._do.execute(numbered)).scalar_one()
        statement = sql.insert_if_absent(self._do.dialect.name, tables.feed)
        result = await self._do.execute(statement.values(seq=seq, key=_digest(key), token=signed))
        if result.rowcount != 1:
            await self._do.execute(update(head).where(head.c.id == 1).values(seq=head.c.seq - 1))
            return False
        await self._end(event.subject, event.kind, numeric_date(event.issued_at))
        return True

    async def feed_head(self) -> int:
        return int((await self._do.execute(select(tables.feed_head.c.seq))).scalar_one())

    async def feed(self, *, after: int, limit: int) -> Sequence[FeedItem]:
        table = tables.feed
        query = select(table.c.seq, table.c.token).where(table.c.seq > after).order_by(table.c.seq).limit(limit)
        return [FeedItem(seq=row.seq, token=row.token) for row in await self._do.execute(query)]

    async def _end(self, subject: str, kind: str, at: int) -> None:
        known = await self._one(tables.endings, tables.endings.c.subject == subject)
        # Revoked and retired are final; suspending and resuming go by their own time, not by their arrival.
        if known is not None and (known["kind"] not in _REVERSIBLE or (kind in _REVERSIBLE and known["at"] > at)):
            return
        await self._put(tables.endings, {"subject": subject}, {"kind": kind, "at": at})

    async def _sign_out(self, username: str) -> None:
        await self._do.execute(delete(tables.sessions).where(tables.sessions.c.username == username))
        await self._do.execute(delete(tables.codes).where(tables.codes.c.username == username))

    async def _one(self, table: Table, condition: Any) -> Mapping[str, Any] | None:
        row = (await self._do.execute(select(table).where(condition))).mappings().first()
        return None if row is None else dict(row)

    async def _put(self, table: Table, key: Mapping[str, object], values: Mapping[str, object]) -> None:
        conditions = [table.c[name] == value for name, value in key.items()]
        changed = await self._do.execute(update(table).where(*conditions).values(**values))
        if not changed.rowcount:
            await self._do.execute(insert(table).values(**key, **values))


def _digest(text: str) -> str:
    # Keys of any length fit the column, and what was typed into a login form is not kept.
    return base64url.encode(hashlib.sha256(text.encode()).digest())


def _resource(row: Mapping[str, Any]) -> Resource:
    return Resource(id=row["id"], name=row["name"], scopes=json.loads(row["scopes"]), built_in=row["built_in"])


def _user(row: Mapping[str, Any]) -> User:
    rights = {resource: frozenset(scopes) for resource, scopes in json.loads(row["rights"]).items()}
    return User(username=row["username"], name=row["name"], password_hash=row["password_hash"], rights=rights)


def _code(row: Mapping[str, Any]) -> Code:
    request = json.loads(row["request"])
    if not isinstance(request, dict):
        raise StoreUnavailable("a stored code cannot be read")
    scopes = request["scopes"]
    return Code(
        digest=row["digest"],
        request=AuthorizationRequest(**{**request, "scopes": None if scopes is None else frozenset(scopes)}),
        username=row["username"],
        scopes=frozenset(json.loads(row["scopes"])),
        expires=from_numeric_date(row["expires"]),
        used=row["used"],
        token_id=row["token_id"],
    )
