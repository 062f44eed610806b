"""Webhooks: who is told, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from did_agent.audit.event import AuditEvent
from did_agent.credential.issuance import new_id
from did_agent.errors import InvalidParameter, NotFound, PeerUnavailable, QuotaExceeded, StateConflict
from issuer.model import Operator
from issuer.model.webhooks import MAX_ENDPOINTS, Delivery, DeliveryState, Endpoint, Scheme
from issuer.naming import require_text
from issuer.ports import Work
from issuer.service.office import Office
from issuer.webhooks import (
    OVERLAP,
    PATIENCE,
    announcement_of,
    public_key,
    require_topics,
    require_url_text,
    shared_secret,
)


class Addresses(Protocol):
    """Knows which addresses anything is sent to."""

    def require_address(self, url: str) -> None:
        """Return if it is one.  Raises: PeerUnavailable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An endpoint with the keys by which its receiver knows us; the secret only when it is made."""

    endpoint: Endpoint
    public_keys: tuple[str, ...] = ()
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks:
    """Who is told of what."""

    office: Office
    root: bytes = field(repr=False)  # what keys of endpoints are derived from
    addresses: Addresses

    async def add(self, url: str, topics: Sequence[str], *, description: str, scheme: Scheme, by: Operator) -> Shown:
        """Add an endpoint; the answer holds its secret, if it has one, for the only time.

        Raises: InvalidParameter, QuotaExceeded, StoreUnavailable.
        """
        endpoint = Endpoint(
            organisation=by.organisation,
            id=new_id(),
            url=self._address(url),
            topics=require_topics(topics),
            description=require_text("description", description),
            scheme=scheme,
            by=by.principal or "",
            created=self.office.clock(),
        )
        async with self.office.store.work() as work:
            if len(await work.endpoints(by.organisation)) >= MAX_ENDPOINTS:
                raise QuotaExceeded(f"an organisation has at most {MAX_ENDPOINTS} webhooks")
            await work.add_endpoint(endpoint)
            await self._record(work, endpoint, "webhook.create", f"{endpoint.url[:200]} is told", by)
        self.office.news.wake_audit()
        return self._shown(endpoint, fresh=True)

    async def list(self, *, by: Operator) -> Sequence[Shown]:
        """Return all endpoints of the organisation.  Raises: StoreUnavailable."""
        async with self.office.store.work() as work:
            return [self._shown(one) for one in await work.endpoints(by.organisation)]

    async def show(self, identifier: str, *, by: Operator) -> Shown:
        """Return an endpoint.  Raises: NotFound, StoreUnavailable."""
        async with self.office.store.work() as work:
            return self._shown(await _found(work, identifier, by))

    async def change(
        self, identifier: str, *, url: str | None, topics: Sequence[str] | None, enabled: bool | None, by: Operator
    ) -> Shown:
        """Change where an endpoint is, what it is told, and whether at all.

        Raises: NotFound, InvalidParameter, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            endpoint = await _found(work, identifier, by)
            if url is not None:
                endpoint = replace(endpoint, url=self._address(url))
            if topics is not None:
                endpoint = replace(endpoint, topics=require_topics(topics))
            if enabled is not None:
                endpoint = replace(endpoint, disabled=None if enabled else "by an operator")
            await work.change_endpoint(endpoint)
            await self._record(work, endpoint, "webhook.change", f"{endpoint.url[:200]} is told otherwise", by)
        self.office.news.wake_audit()
        return self._shown(endpoint)

    async def rotate(self, identifier: str, *, by: Operator) -> Shown:
        """Give an endpoint another key; the one before signs as well for a day.

        Raises: NotFound, StateConflict while an earlier one still does, StoreUnavailable.
        """
        now = self.office.clock()
        async with self.office.store.work() as work:
            endpoint = await _found(work, identifier, by)
            if endpoint.previous_until is not None and now < endpoint.previous_until:
                raise StateConflict(
                    f"two keys sign until {endpoint.previous_until:%FT%TZ}; a third would end the first"
                )
            endpoint = replace(endpoint, generation=endpoint.generation + 1, previous_until=now + OVERLAP)
            await work.change_endpoint(endpoint)
            await self._record(work, endpoint, "webhook.rotate", f"key {endpoint.generation}", by)
        self.office.news.wake_audit()
        return self._shown(endpoint, fresh=True)

    async def remove(self, identifier: str, *, by: Operator) -> Endpoint:
        """Forget an endpoint and all on its way to it.  Raises: NotFound, StoreUnavailable."""
        async with self.office.store.work() as work:
            endpoint = await _found(work, identifier, by)
            await work.remove_endpoint(endpoint)
            await self._record(work, endpoint, "webhook.remove", f"{endpoint.url[:200]} is told nothing", by)
        self.office.news.wake_audit()
        return endpoint

    async def test(self, identifier: str, *, by: Operator) -> str:
        """Send an endpoint something to try its receiver by, and return the id it will have.

        Raises: NotFound, StateConflict, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            endpoint = await _found(work, identifier, by)
            if endpoint.disabled is not None:
                raise StateConflict(f"the webhook is disabled: {endpoint.disabled}")
            event = await self._record(work, endpoint, "webhook.try", "a test", by)
            told = announcement_of(replace(event, action="webhook.test"))  # for this one alone, whatever it listens to
            assert told is not None  # noqa: S101  # the table has it
            await work.announce([told], endpoint_id=endpoint.id)
        self.office.news.wake_audit()
        return told.id

    async def deliveries(
        self,
        identifier: str,
        *,
        state: DeliveryState | None,
        after: tuple[datetime, str] | None,
        limit: int,
        by: Operator,
    ) -> Sequence[Delivery]:
        """Return what was or is on its way to an endpoint, newest first.  Raises: NotFound, StoreUnavailable."""
        async with self.office.store.work() as work:
            endpoint = await _found(work, identifier, by)
            return await work.deliveries(endpoint, state=state, after=after, limit=limit)

    async def send_again(self, identifier: str, delivery_id: str, *, by: Operator) -> None:
        """Try a delivery anew, from the beginning.  Raises: NotFound, StoreUnavailable."""
        now = self.office.clock()
        async with self.office.store.work() as work:
            endpoint = await _found(work, identifier, by)
            if not await work.send_again(endpoint, delivery_id, now=now, gives_up=now + PATIENCE):
                raise NotFound("there is no such delivery")
            await self._record(work, endpoint, "webhook.resend", delivery_id[:200], by)
        self.office.news.wake_audit()

    def _address(self, url: str) -> str:
        try:
            self.addresses.require_address(require_url_text(url))
        except PeerUnavailable as error:
            raise InvalidParameter(f"url: {error.detail}") from error
        return url

    def _shown(self, endpoint: Endpoint, *, fresh: bool = False) -> Shown:
        if endpoint.scheme == "v1":
            secret = shared_secret(self.root, endpoint, endpoint.generation) if fresh else None
            return Shown(endpoint=endpoint, secret=secret)
        generations = [endpoint.generation]
        if endpoint.previous_until is not None and self.office.clock() < endpoint.previous_until:
            generations.append(endpoint.generation - 1)
        return Shown(endpoint=endpoint, public_keys=tuple(public_key(self.root, endpoint, one) for one in generations))

    async def _record(self, work: Work, endpoint: Endpoint, action: str, words: str, by: Operator) -> AuditEvent:
        event = self.office.event(by, action, endpoint.id, words)
        await work.record(event)
        return event


async def _found(work: Work, identifier: str, by: Operator) -> Endpoint:
    endpoint = await work.endpoint(identifier, organisation=by.organisation)
    if endpoint is None:
        raise NotFound("there is no such webhook")
    return endpoint
