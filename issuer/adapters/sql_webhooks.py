"""Webhooks in SQL: who listens to what, and a queue that is written in the transaction of what it tells of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from did_agent.adapters.sql import Prepared
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from issuer.adapters.rows import Rows, behind
from issuer.adapters.tables import metadata
from issuer.model.webhooks import Announcement, Delivery, DeliveryState, Endpoint
from issuer.webhooks import PATIENCE, topics_for

_endpoints: Final = Table(
    "issuer_webhook_endpoints",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("url", Text, nullable=False),
    Column("topics", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("scheme", String(8), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("previous_until", BigInteger),
    Column("disabled", Text),
    Column("by", String(256), nullable=False),
    Column("created", BigInteger, nullable=False),
)
_topics: Final = Table(  # of endpoints that are not disabled
    "issuer_webhook_topics",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("topic", String(64), primary_key=True),
    Column("endpoint_id", String(64), primary_key=True),
)
_deliveries: Final = Table(
    "issuer_webhook_deliveries",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("endpoint_id", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("gives_up", BigInteger, nullable=False),
    Column("next_attempt", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("outcome", String(64)),
    Index("issuer_webhook_deliveries_due", "state", "next_attempt"),
    Index("issuer_webhook_deliveries_newest", "organisation", "endpoint_id", "created"),
)
_WANTED: Final = ("organisation", "all", "family", "kind")
_LISTENERS: Final = Prepared(  # asked with every event that might be told
    select(_topics.c.endpoint_id)
    .where(
        _topics.c.organisation == bindparam("organisation", type_=String),
        _topics.c.topic.in_([bindparam(name, type_=String) for name in _WANTED[1:]]),
    )
    .distinct()
)


class WebhookRows(Rows):
    """Implements `issuer.ports.webhooks.WebhookWork`, but for `record_all`."""

    async def announce(self, told: Sequence[Announcement], *, endpoint_id: str | None = None) -> None:
        """Queue announcements for all who listen to their kind, or for one endpoint whatever it listens to."""
        listeners: dict[tuple[str, str], list[str]] = {}
        rows = []
        for one in told:
            key = (one.organisation, one.kind)
            if key not in listeners:
                listeners[key] = [endpoint_id] if endpoint_id is not None else await self._listeners(*key)
            rows += [_queued(one, receiver) for receiver in listeners[key]]
        if rows:
            await self._do.execute(insert(_deliveries), rows)

    async def add_endpoint(self, endpoint: Endpoint) -> None:
        """Add an endpoint."""
        row = {
            "organisation": endpoint.organisation,
            "id": endpoint.id,
            **_changeable(endpoint),
            "scheme": endpoint.scheme,
            "by": endpoint.by,
            "created": numeric_date(endpoint.created),
        }
        await self._do.execute(insert(_endpoints).values(row))
        await self._listen(endpoint)

    async def endpoint(self, identifier: str, *, organisation: str) -> Endpoint | None:
        """Return an endpoint, held until the transaction ends."""
        own = (_endpoints.c.organisation == organisation) & (_endpoints.c.id == identifier)
        found = (await self._do.execute(select(_endpoints).where(own).with_for_update())).one_or_none()
        return None if found is None else _endpoint(found)

    async def endpoints(self, organisation: str) -> Sequence[Endpoint]:
        """Return an organisation's endpoints, oldest first."""
        query = select(_endpoints).where(_endpoints.c.organisation == organisation)
        rows = (await self._do.execute(query.order_by(_endpoints.c.created, _endpoints.c.id))).all()
        return [_endpoint(row) for row in rows]

    async def change_endpoint(self, endpoint: Endpoint) -> None:
        """Store address, topics, key generation and whether it is disabled."""
        own = (_endpoints.c.organisation == endpoint.organisation) & (_endpoints.c.id == endpoint.id)
        await self._do.execute(update(_endpoints).where(own).values(_changeable(endpoint)))
        await self._unlisten(endpoint)
        await self._listen(endpoint)

    async def remove_endpoint(self, endpoint: Endpoint) -> None:
        """Forget an endpoint and all on its way to it."""
        await self._unlisten(endpoint)
        await self._do.execute(delete(_deliveries).where(*_to(endpoint)))
        own = (_endpoints.c.organisation == endpoint.organisation) & (_endpoints.c.id == endpoint.id)
        await self._do.execute(delete(_endpoints).where(own))

    async def deliveries(
        self, endpoint: Endpoint, *, state: DeliveryState | None, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[Delivery]:
        """Return what was or is on its way to an endpoint, newest first."""
        query = select(_deliveries).where(*_to(endpoint))
        if state is not None:
            query = query.where(_deliveries.c.state == state)
        if after is not None:
            query = query.where(behind(_deliveries.c.created, _deliveries.c.id, after))
        order = (_deliveries.c.created.desc(), _deliveries.c.id)
        return [_delivery(row) for row in (await self._do.execute(query.order_by(*order).limit(limit))).all()]

    async def send_again(self, endpoint: Endpoint, identifier: str, *, now: datetime, gives_up: datetime) -> bool:
        """Queue a delivery anew; False when there is none of this id."""
        fresh = {
            "state": "waiting",
            "attempts": 0,
            "next_attempt": numeric_date(now),
            "gives_up": numeric_date(gives_up),
        }
        one = (*_to(endpoint), _deliveries.c.id == identifier)
        return bool((await self._do.execute(update(_deliveries).where(*one).values(fresh))).rowcount == 1)

    async def claim_deliveries(
        self, *, now: datetime, until: datetime, limit: int, each: int
    ) -> Sequence[tuple[Endpoint, Delivery]]:
        """Return deliveries that are due, at most `each` to an endpoint; nobody else gets them before `until`."""
        due = (_deliveries.c.state == "waiting") & (_deliveries.c.next_attempt <= numeric_date(now))
        due &= _deliveries.c.endpoint_id.in_(select(_endpoints.c.id).where(_endpoints.c.disabled.is_(None)))
        # One that is down and has much waiting must not keep the others from their turn.
        turn = func.row_number().over(
            partition_by=(_deliveries.c.organisation, _deliveries.c.endpoint_id), order_by=_deliveries.c.next_attempt
        )
        ranked = select(_deliveries, turn.label("turn")).where(due).subquery()
        query = select(ranked).where(ranked.c.turn <= each).order_by(ranked.c.next_attempt).limit(limit)
        claimed: list[tuple[Endpoint, Delivery]] = []
        for row in (await self._do.execute(query)).all():
            found = _delivery(row)
            endpoint = await self._endpoint_of(found)
            if endpoint is not None and await self._claim(found, until):
                claimed.append((endpoint, found))
        return claimed

    async def settle_delivery(self, delivery: Delivery) -> None:
        """Store what became of an attempt."""
        values = {
            "state": delivery.state,
            "attempts": delivery.attempts,
            "next_attempt": numeric_date(delivery.next_attempt),
            "outcome": delivery.outcome,
        }
        await self._do.execute(update(_deliveries).where(*_one(delivery)).values(values))

    async def forget_deliveries(self, before: datetime) -> None:
        """Forget what was delivered or given up before a moment."""
        over = (_deliveries.c.state != "waiting") & (_deliveries.c.next_attempt < numeric_date(before))
        await self._do.execute(delete(_deliveries).where(over))

    async def _listeners(self, organisation: str, kind: str) -> list[str]:
        values = dict(zip(_WANTED, (organisation, *topics_for(kind)), strict=True))
        return [endpoint_id for (endpoint_id,) in await _LISTENERS.run(self._do, values)]

    async def _listen(self, endpoint: Endpoint) -> None:
        if endpoint.disabled is None:
            rows = [
                {"organisation": endpoint.organisation, "topic": topic, "endpoint_id": endpoint.id}
                for topic in endpoint.topics
            ]
            await self._do.execute(insert(_topics), rows)

    async def _unlisten(self, endpoint: Endpoint) -> None:
        own = (_topics.c.organisation == endpoint.organisation) & (_topics.c.endpoint_id == endpoint.id)
        await self._do.execute(delete(_topics).where(own))

    async def _endpoint_of(self, delivery: Delivery) -> Endpoint | None:
        own = (_endpoints.c.organisation == delivery.organisation) & (_endpoints.c.id == delivery.endpoint_id)
        found = (await self._do.execute(select(_endpoints).where(own))).one_or_none()
        return None if found is None else _endpoint(found)

    async def _claim(self, delivery: Delivery, until: datetime) -> bool:
        seen = _deliveries.c.next_attempt == numeric_date(delivery.next_attempt)
        taken = update(_deliveries).where(*_one(delivery), _deliveries.c.state == "waiting", seen)
        return bool((await self._do.execute(taken.values(next_attempt=numeric_date(until)))).rowcount == 1)


def _to(endpoint: Endpoint) -> tuple[Any, ...]:
    return (_deliveries.c.organisation == endpoint.organisation, _deliveries.c.endpoint_id == endpoint.id)


def _one(delivery: Delivery) -> tuple[Any, ...]:
    own = (_deliveries.c.organisation == delivery.organisation, _deliveries.c.endpoint_id == delivery.endpoint_id)
    return (*own, _deliveries.c.id == delivery.id)


def _changeable(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "url": endpoint.url,
        "topics": " ".join(endpoint.topics),
        "description": endpoint.description,
        "generation": endpoint.generation,
        "previous_until": None if endpoint.previous_until is None else numeric_date(endpoint.previous_until),
        "disabled": endpoint.disabled,
    }


def _queued(told: Announcement, endpoint_id: str) -> dict[str, Any]:
    at = numeric_date(told.at)
    return {
        "organisation": told.organisation,
        "endpoint_id": endpoint_id,
        "id": told.id,
        "kind": told.kind,
        "body": told.body,
        "created": at,
        "gives_up": numeric_date(told.at + PATIENCE),
        "next_attempt": at,
        "attempts": 0,
        "state": "waiting",
    }


def _endpoint(row: Any) -> Endpoint:
    return Endpoint(
        organisation=row.organisation,
        id=row.id,
        url=row.url,
        topics=tuple(row.topics.split(" ")),
        description=row.description,
        scheme=row.scheme,
        generation=row.generation,
        previous_until=None if row.previous_until is None else from_numeric_date(row.previous_until),
        disabled=row.disabled,
        by=row.by,
        created=from_numeric_date(row.created),
    )


def _delivery(row: Any) -> Delivery:
    return Delivery(
        organisation=row.organisation,
        endpoint_id=row.endpoint_id,
        id=row.id,
        kind=row.kind,
        body=row.body,
        created=from_numeric_date(row.created),
        gives_up=from_numeric_date(row.gives_up),
        next_attempt=from_numeric_date(row.next_attempt),
        attempts=row.attempts,
        state=row.state,
        outcome=row.outcome,
    )
