"""The bridge's store in SQLite or PostgreSQL; every method is one or two statements of the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, String, bindparam, delete, func, insert, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.adapters import tables
from bridge.adapters.rows import Rows, digest_of
from bridge.adapters.sql_backchannel import AskingRows, askings
from bridge.adapters.sql_clients import ClientRows, pushed_requests
from bridge.adapters.sql_consents import ConsentRows
from bridge.adapters.sql_federation import FederationRows, identities
from bridge.adapters.sql_feed import FeedRows
from bridge.adapters.sql_keys import SigningKeyRows
from bridge.adapters.sql_lending import LendingRows
from bridge.adapters.sql_operators import OperatorRows
from bridge.adapters.sql_passkeys import PasskeyRows, passkeys
from bridge.adapters.sql_policy import PolicyRows
from bridge.adapters.sql_refresh import RefreshRows, code_content, families, read_code
from bridge.adapters.sql_registration import RegistrationRows, counters, forget_unused
from bridge.adapters.sql_signals import SignalRows, signals
from bridge.adapters.sql_tasks import TaskRows, tasks
from bridge.adapters.sql_token_status import TokenStatusRows, forget_lists, places
from bridge.adapters.sql_upstream import UpstreamRows, pending_logins
from bridge.model import Code, Resource, Session, Spend, User
from did_agent.adapters import outbox, sql
from did_agent.audit.event import AuditEvent
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.tokens.security_event import RESUMPTIONS, SUSPENSIONS, EventKind, SecurityEvent

KEEP_SECONDS: Final = 86_400  # how long what is over is kept, so that late questions still find it
_REVERSIBLE: Final = (*SUSPENSIONS, *RESUMPTIONS)
_RESUMED: Final[Sequence[ColumnElement[str]]] = [literal_column(f"'{kind}'") for kind in RESUMPTIONS]
_OVER: Final = (
    askings.c.expires,
    tables.codes.c.expires,
    tables.sessions.c.created,
    tables.tokens.c.expires,
    pending_logins.c.expires,
    pushed_requests.c.expires,
    families.c.expires,
    counters.c.expires,
    tasks.c.expires,
    signals.c.expires,
    places.c.expires,
)
# What every token request runs, put together once.
_RESOURCE: Final = sql.Prepared(select(tables.resources).where(tables.resources.c.id == bindparam("wanted")))
_USER: Final = sql.Prepared(select(tables.users).where(tables.users.c.username == bindparam("wanted")))
_SHARE_HEAD: Final = select(tables.feed_head.c.seq).with_for_update(read=True)
_ADD_TOKEN: Final = sql.Prepared(insert(tables.tokens))
_ADD_LINK: Final = sql.Prepared(insert(tables.dependencies))


@cache
def _endings(count: int) -> sql.Prepared:
    subjects = [bindparam(f"subject_{number}", type_=String) for number in range(count)]
    table = tables.endings
    return sql.Prepared(select(table.c.kind).where(table.c.subject.in_(subjects), table.c.kind.not_in(_RESUMED)))


class SQLStore:
    """Opens units of work on one database; `recorded` hears of each that wrote an audit event."""

    def __init__(self, engine: AsyncEngine, *, recorded: Callable[[], None]) -> None:
        self._engine, self._recorded, self._flips = engine, recorded, 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SQLTransaction]:
        """Open a unit of work.

        Raises: StoreUnavailable.
        """
        async with sql.transaction(self._engine) as connection:
            work = SQLTransaction(connection)
            yield work
        self._flips += work.flips
        if work.has_events:
            self._recorded()

    def flips(self) -> int:
        """Return how often this process changed places in status lists."""
        return self._flips

    async def prepare(self, built_in: Sequence[Resource], *, now: datetime) -> None:
        """Write the deployment's own resources into tables that are there, and forget what is over."""
        async with sql.transaction(self._engine) as connection:
            await sql.insert_if_absent(connection, tables.feed_head, {"id": 1, "seq": 0})
            await connection.execute(delete(tables.resources).where(tables.resources.c.built_in))
            for resource in built_in:
                await SQLTransaction(connection).put_resource(resource)
        await self.forget(now)

    async def forget(self, now: datetime) -> None:
        """Delete what cannot matter any more: spent values, codes, sessions and tokens that are long over."""
        async with sql.transaction(self._engine) as connection:
            await sql.purge_spent(connection, tables.single_use, now)
            for ended in _OVER:
                await connection.execute(delete(ended.table).where(ended < numeric_date(now) - KEEP_SECONDS))
            await forget_unused(connection, now)
            await forget_lists(connection)
            orphans = tables.dependencies.c.token_id.not_in(select(tables.tokens.c.id))
            await connection.execute(delete(tables.dependencies).where(orphans))


class SQLTransaction(
    AskingRows,
    ClientRows,
    ConsentRows,
    FeedRows,
    FederationRows,
    PolicyRows,
    OperatorRows,
    RefreshRows,
    LendingRows,
    SigningKeyRows,
    RegistrationRows,
    SignalRows,
    TaskRows,
    TokenStatusRows,
    UpstreamRows,
    PasskeyRows,
    Rows,
):
    """One unit of work; implements `bridge.ports.Transaction`."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection)
        self.has_events = False

    async def record(self, event: AuditEvent) -> None:
        self.has_events = True
        await outbox.record(self._do, tables.outbox, event)

    async def spend(self, value: Spend) -> bool:
        return await sql.spend(self._do, tables.single_use, value.purpose, digest_of(value.key), value.expires)

    async def denied(self, ids: Iterable[str]) -> EventKind | None:
        # Shared with other issuers, exclusive of `announce`: see the table.
        if self._do.dialect.name == "postgresql":  # SQLite has one writer, and this is it
            await self._do.execute(_SHARE_HEAD)
        subjects = {f"subject_{number}": name for number, name in enumerate(sorted(set(ids)))}
        kinds = [kind for (kind,) in await _endings(len(subjects)).run(self._do, subjects)]
        # The final reason first: what is revoked and suspended is revoked.
        return cast("EventKind | None", min(kinds, key=_REVERSIBLE.__contains__, default=None))

    async def resource(self, resource_id: str) -> Resource | None:
        found = await _RESOURCE.run(self._do, {"wanted": resource_id})
        return _resource(dict(zip(tables.resources.columns.keys(), found[0], strict=True))) if found else None

    async def resources(self) -> Sequence[Resource]:
        return await self._resources()

    async def put_resource(self, resource: Resource) -> None:
        values: dict[str, Any] = {
            "name": resource.name,
            "scopes": json.dumps(dict(resource.scopes)),
            "binding": resource.binding,
            "admits": resource.admits,
            "signing_alg": resource.signing_alg,
            "built_in": resource.built_in,
            "organisation": resource.organisation,
            "shared_with": " ".join(sorted(resource.shared_with)),
        }
        await self._put(tables.resources.c.id, resource.id, values)

    async def user(self, username: str) -> User | None:
        found = await _USER.run(self._do, {"wanted": username})
        return _user(dict(zip(tables.users.columns.keys(), found[0], strict=True))) if found else None

    async def users(self) -> Sequence[User]:
        return await self._users()

    async def put_user(self, user: User) -> None:
        rights = {resource: sorted(scopes) for resource, scopes in user.rights.items()}
        values = {"name": user.name, "password_hash": user.password_hash, "rights": json.dumps(rights)}
        values["groups"] = json.dumps(sorted(user.groups))
        values |= {"organisation": user.organisation, "operates": " ".join(sorted(user.operates))}
        await self.sign_out(user.username)
        await self._put(tables.users.c.username, user.username, values)

    async def delete_user(self, username: str) -> bool:
        await self.sign_out(username)
        # Whoever gets the name next is not who signed in under it before.
        for owner in (identities.c.username, passkeys.c.username):
            await self._do.execute(delete(owner.table).where(owner == username))
        return bool((await self._do.execute(delete(tables.users).where(tables.users.c.username == username))).rowcount)

    async def session(self, digest: str) -> Session | None:
        rows = await self._rows(tables.sessions, tables.sessions.c.digest == digest)
        times = [{name: from_numeric_date(row[name]) for name in ("created", "seen")} for row in rows]
        return Session(**{**rows[0], **times[0]}) if rows else None

    async def put_session(self, session: Session) -> None:
        times = {"created": numeric_date(session.created), "seen": numeric_date(session.seen)}
        await self._put(tables.sessions.c.digest, session.digest, {"username": session.username, **times})

    async def end_session(self, digest: str) -> None:
        await self._do.execute(delete(tables.sessions).where(tables.sessions.c.digest == digest))

    async def failures(self, username: str, *, since: datetime) -> int:
        table = tables.login_failures
        query = select(func.count()).where(table.c.username == digest_of(username), table.c.at > numeric_date(since))
        return int((await self._do.execute(query)).scalar_one())

    async def add_failure(self, username: str, *, now: datetime, forget_before: datetime) -> None:
        table = tables.login_failures
        await self._do.execute(delete(table).where(table.c.at <= numeric_date(forget_before)))
        await self._do.execute(insert(table).values(username=digest_of(username), at=numeric_date(now)))

    async def take_back_failure(self, username: str) -> None:
        table = tables.login_failures
        newest = select(func.max(table.c.seq)).where(table.c.username == digest_of(username))
        await self._do.execute(delete(table).where(table.c.seq == newest.scalar_subquery()))

    async def code(self, digest: str) -> Code | None:
        rows = await self._rows(tables.codes, tables.codes.c.digest == digest)
        return _code(rows[0]) if rows else None

    async def add_code(self, code: Code) -> None:
        values = {
            "digest": code.digest,
            "username": code.username,
            "content": json.dumps(code_content(code)),
            "expires": numeric_date(code.expires),
        }
        await self._do.execute(insert(tables.codes).values(values))

    async def add_token(self, token_id: str, *, expires: datetime, depends_on: Iterable[str]) -> None:
        await _ADD_TOKEN.run(self._do, {"id": token_id, "expires": numeric_date(expires)})
        links = [{"token_id": token_id, "depends_on": name} for name in sorted(set(depends_on))]
        await _ADD_LINK.run_each(self._do, links)

    async def is_standing(self, token_id: str) -> bool:
        issued = await self._rows(tables.tokens, tables.tokens.c.id == token_id)
        return bool(issued) and not await self._rows(tables.endings, tables.endings.c.subject == token_id)

    async def tokens_under(self, ids: Iterable[str], *, now: datetime) -> Sequence[str]:
        tokens, links = tables.tokens, tables.dependencies
        live = tokens.c.expires > numeric_date(now)
        frontier, found = set(ids), set[str]()
        named = await self._do.execute(select(tokens.c.id).where(tokens.c.id.in_(sorted(frontier)), live))
        found.update(named.scalars())
        while frontier:  # ends: a token is made from earlier ones only
            made_from = select(links.c.token_id).where(links.c.depends_on.in_(sorted(frontier)))
            query = select(tokens.c.id).where(tokens.c.id.in_(made_from), live)
            frontier = set((await self._do.execute(query)).scalars()) - found
            found |= frontier
        return sorted(found)

    async def status_dependencies(self, *, now: datetime) -> Sequence[str]:
        tokens, links = tables.tokens, tables.dependencies
        query = select(links.c.depends_on).join(tokens, tokens.c.id == links.c.token_id).distinct()
        named = links.c.depends_on.startswith("status ", autoescape=True)
        ended = select(tables.endings.c.subject).where(tables.endings.c.subject == tokens.c.id).exists()
        live = tokens.c.expires > numeric_date(now), ~ended
        return list((await self._do.execute(query.where(named, *live))).scalars())

    async def add_evidence(self, digest: str, documents: Sequence[Mapping[str, object]]) -> None:
        content = json.dumps([dict(document) for document in documents])
        await sql.insert_if_absent(self._do, tables.evidence, {"digest": digest, "documents": content})

    async def evidence(self, digest: str) -> Sequence[object] | None:
        rows = await self._rows(tables.evidence, tables.evidence.c.digest == digest)
        return cast("list[object]", json.loads(rows[0]["documents"])) if rows else None

    async def announce(self, event: SecurityEvent, signed: str, *, key: str) -> bool:
        head = tables.feed_head
        seq = (await self._do.execute(select(head.c.seq).with_for_update())).scalar_one() + 1
        row = {"seq": seq, "key": digest_of(key), "token": signed}
        if not await sql.insert_if_absent(self._do, tables.feed, row):
            return False
        await self._do.execute(update(head).values(seq=seq))
        if event.kind != "risk-signal":  # it ends nothing
            at = numeric_date(event.issued_at)
            await self._end(event.subject, event.kind, at)
            await self._flip_tokens([event.subject], version=seq, at=at)
        return True

    async def feed_head(self) -> int:
        return int((await self._do.execute(select(tables.feed_head.c.seq))).scalar_one())

    async def feed(self, *, after: int, limit: int) -> Sequence[tuple[int, str]]:
        table = tables.feed
        query = select(table.c.seq, table.c.token).where(table.c.seq > after).order_by(table.c.seq).limit(limit)
        return [(row.seq, row.token) for row in await self._do.execute(query)]

    async def _end(self, subject: str, kind: str, at: int) -> None:
        for known in await self._rows(tables.endings, tables.endings.c.subject == subject):
            # Revoked and retired are final; suspending and resuming go by their own time, not by their arrival.
            if known["kind"] not in _REVERSIBLE or (kind in _REVERSIBLE and known["at"] > at):
                return
        await self._put(tables.endings.c.subject, subject, {"kind": kind, "at": at})

    async def sign_out(self, username: str) -> None:
        for owner in (tables.sessions.c.username, tables.codes.c.username, families.c.username, askings.c.username):
            await self._do.execute(delete(owner.table).where(owner == username))

    async def _resources(self, *conditions: Any) -> list[Resource]:
        return [_resource(row) for row in await self._rows(tables.resources, *conditions)]

    async def _users(self, *conditions: Any) -> list[User]:
        return [_user(row) for row in await self._rows(tables.users, *conditions)]


def _user(row: Mapping[str, Any]) -> User:
    rights = {name: frozenset(held) for name, held in json.loads(row["rights"]).items()}
    groups, operates = frozenset(json.loads(row["groups"])), frozenset(row["operates"].split())
    return User(**{**row, "rights": rights, "groups": groups, "operates": operates})


def _resource(row: Mapping[str, Any]) -> Resource:
    kept = {"built_in": bool(row["built_in"]), "shared_with": frozenset(row["shared_with"].split())}
    return Resource(**{**row, "scopes": json.loads(row["scopes"]), **kept})


def _code(row: Mapping[str, Any]) -> Code:
    return read_code(json.loads(row["content"]), expires=from_numeric_date(row["expires"]))
