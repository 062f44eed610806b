"""Credential offers in SQL; every secret is a digest, and what counts once is a conditional write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, delete, func, insert, select, update

from did_agent.clock import numeric_date
from did_agent.credential.capability import parse_bare_capability
from did_agent.encoding.timestamp import from_numeric_date
from issuer.adapters.rows import Rows, behind
from issuer.adapters.tables import agents, metadata
from issuer.model import Source
from issuer.model.grants import Terms
from issuer.model.offers import Deferred, Notifiable, Offer, OfferToken, Verdict

_MOST: Final = 16  # offers to one agent for one person that are looked at

_offers: Final = Table(
    "issuer_offers",
    metadata,
    Column("organisation", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("agent_id", String(64), nullable=False),
    Column("configurations", Text, nullable=False),
    Column("terms", Text),
    Column("copies", Integer, nullable=False),
    Column("enrols", Integer, nullable=False),
    Column("needs_approval", Integer, nullable=False),
    Column("person", String(256)),
    Column("handle_digest", String(64), nullable=False, unique=True),
    Column("code_digest", String(64), unique=True),
    Column("tx_digest", String(64)),
    Column("attempts_left", Integer, nullable=False),
    Column("code_spent", Integer, nullable=False),
    Column("issued", Text, nullable=False),
    Column("verdict", String(16)),
    Column("withdrawn", Integer, nullable=False),
    Column("made_by", String(256), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Index("issuer_offers_id", "id", unique=True),
    Index("issuer_offers_agent", "organisation", "agent_id", "created"),
    Index("issuer_offers_created", "organisation", "created", "id"),
)
_tokens: Final = Table(
    "issuer_offer_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("offer_id", String(64), nullable=False, index=True),
    Column("client_id", String(256)),
    Column("jkt", String(64)),
    Column("identifiers", Text, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
)
_deferred: Final = Table(
    "issuer_offer_deferred",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("offer_id", String(64), nullable=False, index=True),
    Column("configuration", String(64), nullable=False),
    Column("count", Integer, nullable=False),
    Column("did", String(256), nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
)
_notifiable: Final = Table(
    "issuer_offer_notifications",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("offer_id", String(64), nullable=False, index=True),
    Column("credential_ids", Text, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
)


class OfferRows(Rows):
    """Implements `issuer.ports.offers.OfferWork`."""

    async def add_offer(self, offer: Offer) -> None:
        """Add an offer."""
        await self._do.execute(insert(_offers).values(_offer_row(offer)))

    async def offer(self, identifier: str, *, organisation: str | None) -> Offer | None:
        """Return one offer, held until the transaction ends."""
        condition = _offers.c.id == identifier
        return await self._one_offer(
            condition if organisation is None else condition & (_offers.c.organisation == organisation)
        )

    async def offer_by_code(self, code_digest: str) -> Offer | None:
        """Return the offer of a pre-authorized code, held until the transaction ends."""
        return await self._one_offer(_offers.c.code_digest == code_digest)

    async def offer_by_handle(self, handle_digest: str) -> Offer | None:
        """Return the offer that is served under a handle."""
        return await self._one_offer(_offers.c.handle_digest == handle_digest)

    async def offers(
        self,
        *,
        organisation: str,
        agent_id: str | None,
        after: tuple[datetime, str] | None,
        limit: int,
        owner: str | None = None,
    ) -> Sequence[Offer]:
        """Return offers, newest first, after the one made at a time with an id; with `owner` those to its agents."""
        query = select(_offers).where(_offers.c.organisation == organisation)
        if agent_id is not None:
            query = query.where(_offers.c.agent_id == agent_id)
        if owner is not None:
            theirs = (agents.c.organisation == organisation) & (agents.c.owner == owner)
            query = query.where(_offers.c.agent_id.in_(select(agents.c.agent_id).where(theirs)))
        if after is not None:
            query = query.where(behind(_offers.c.created, _offers.c.id, after))
        query = query.order_by(_offers.c.created.desc(), _offers.c.id).limit(limit)
        return [_offer_of(row) for row in (await self._do.execute(query)).all()]

    async def offers_to(self, agent_id: str, person: str, *, now: datetime) -> Sequence[Offer]:
        """Return what is offered to an agent for a person who signs in, oldest first, held until the end."""
        query = select(_offers).where(
            _offers.c.agent_id == agent_id,
            _offers.c.person == person,
            _offers.c.withdrawn == 0,
            _offers.c.expires > numeric_date(now),
        )
        query = query.order_by(_offers.c.created, _offers.c.id).limit(_MOST).with_for_update()
        return [_offer_of(row) for row in (await self._do.execute(query)).all()]

    async def spend_code(self, offer_id: str) -> bool:
        """Spend the pre-authorized code; False when it was spent."""
        return await self._change_offer(offer_id, _offers.c.code_spent == 0, code_spent=1)

    async def take_attempt(self, offer_id: str) -> bool:
        """Count one attempt at the transaction code; False when none is left."""
        left = _offers.c.attempts_left
        return await self._change_offer(offer_id, left > 0, attempts_left=left - 1)

    async def count_issued(self, offer: Offer, issued: Mapping[str, int]) -> bool:
        """Store how many credentials were issued; False when somebody else counted meanwhile."""
        return await self._change_offer(offer.id, _offers.c.issued == _counts(offer.issued), issued=_counts(issued))

    async def decide_offer(self, offer_id: str, verdict: Verdict) -> bool:
        """Store the decision on an offer; False when there is one."""
        return await self._change_offer(offer_id, _offers.c.verdict.is_(None), verdict=verdict)

    async def withdraw_offer(self, offer_id: str) -> bool:
        """Withdraw an offer and all that was opened with it; False when it was withdrawn before."""
        for table in (_tokens, _deferred):
            await self._do.execute(delete(table).where(table.c.offer_id == offer_id))
        return await self._change_offer(offer_id, _offers.c.withdrawn == 0, withdrawn=1)

    async def add_offer_token(self, token: OfferToken, *, now: datetime) -> None:
        """Add an access token; what ended is forgotten."""
        row = {
            "digest": token.digest,
            "offer_id": token.offer_id,
            "client_id": token.client_id,
            "jkt": token.jkt,
            "identifiers": json.dumps(token.identifiers),
            "expires": numeric_date(token.expires),
        }
        await self._keep_for_offer(_tokens, row, now)

    async def offer_token(self, digest: str) -> OfferToken | None:
        """Return an access token."""
        row = (await self._do.execute(select(_tokens).where(_tokens.c.digest == digest))).one_or_none()
        if row is None:
            return None
        return OfferToken(
            digest=row.digest,
            offer_id=row.offer_id,
            client_id=row.client_id,
            jkt=row.jkt,
            identifiers=tuple(json.loads(row.identifiers)),
            expires=from_numeric_date(row.expires),
        )

    async def end_offer_tokens(self, offer_id: str) -> int:
        """End the access tokens of an offer and return how many there were."""
        return int((await self._do.execute(delete(_tokens).where(_tokens.c.offer_id == offer_id))).rowcount)

    async def add_deferred(self, deferred: Deferred, *, now: datetime) -> None:
        """Keep a request that waits; what ended is forgotten."""
        row = {
            "digest": deferred.digest,
            "offer_id": deferred.offer_id,
            "configuration": deferred.configuration,
            "count": deferred.count,
            "did": deferred.did,
            "expires": numeric_date(deferred.expires),
        }
        await self._keep_for_offer(_deferred, row, now)

    async def deferred(self, digest: str) -> Deferred | None:
        """Return a request that waits."""
        row = (await self._do.execute(select(_deferred).where(_deferred.c.digest == digest))).one_or_none()
        if row is None:
            return None
        names = ("digest", "offer_id", "configuration", "did")
        said = {name: getattr(row, name) for name in names}
        return Deferred(**said, count=row._mapping["count"], expires=from_numeric_date(row.expires))  # noqa: SLF001

    async def deferred_count(self, offer_id: str, configuration: str) -> int:
        """Return how many credentials of a configuration wait."""
        condition = (_deferred.c.offer_id == offer_id) & (_deferred.c.configuration == configuration)
        found = await self._do.execute(select(func.sum(_deferred.c["count"])).where(condition))
        return int(found.scalar_one() or 0)

    async def remove_deferred(self, digest: str) -> bool:
        """Forget a request; False when it is gone."""
        return bool((await self._do.execute(delete(_deferred).where(_deferred.c.digest == digest))).rowcount == 1)

    async def add_notifiable(self, notifiable: Notifiable, *, now: datetime) -> None:
        """Keep which credentials a notification will be about; what ended is forgotten."""
        row = {
            "digest": notifiable.digest,
            "offer_id": notifiable.offer_id,
            "credential_ids": json.dumps(notifiable.credential_ids),
            "expires": numeric_date(notifiable.expires),
        }
        await self._keep_for_offer(_notifiable, row, now)

    async def notifiable(self, digest: str) -> Notifiable | None:
        """Return which credentials a notification is about."""
        row = (await self._do.execute(select(_notifiable).where(_notifiable.c.digest == digest))).one_or_none()
        if row is None:
            return None
        return Notifiable(
            digest=row.digest,
            offer_id=row.offer_id,
            credential_ids=tuple(json.loads(row.credential_ids)),
            expires=from_numeric_date(row.expires),
        )

    async def _one_offer(self, condition: Any) -> Offer | None:
        found = (await self._do.execute(select(_offers).where(condition).with_for_update())).one_or_none()
        return None if found is None else _offer_of(found)

    async def _change_offer(self, offer_id: str, condition: Any, **values: Any) -> bool:
        done = await self._do.execute(update(_offers).where(_offers.c.id == offer_id, condition).values(**values))
        return bool(done.rowcount == 1)

    async def _keep_for_offer(self, table: Table, row: Mapping[str, Any], now: datetime) -> None:
        await self._do.execute(delete(table).where(table.c.expires < numeric_date(now)))
        await self._do.execute(insert(table).values(**row))


def _counts(issued: Mapping[str, int]) -> str:
    return json.dumps(dict(issued), sort_keys=True)


def _offer_row(offer: Offer) -> dict[str, Any]:
    return {
        "organisation": offer.organisation,
        "id": offer.id,
        "agent_id": offer.agent_id,
        "configurations": json.dumps(offer.configurations),
        "terms": None if offer.terms is None else json.dumps(_terms_json(offer.terms)),
        "copies": offer.copies,
        "enrols": int(offer.enrols),
        "needs_approval": int(offer.needs_approval),
        "person": offer.person,
        "handle_digest": offer.handle_digest,
        "code_digest": offer.code_digest,
        "tx_digest": offer.tx_digest,
        "attempts_left": offer.attempts_left,
        "code_spent": int(offer.code_spent),
        "issued": _counts(offer.issued),
        "verdict": offer.verdict,
        "withdrawn": int(offer.withdrawn),
        "made_by": offer.made_by,
        "created": numeric_date(offer.created),
        "expires": numeric_date(offer.expires),
    }


def _offer_of(row: Any) -> Offer:
    return Offer(
        organisation=row.organisation,
        id=row.id,
        agent_id=row.agent_id,
        configurations=tuple(json.loads(row.configurations)),
        terms=None if row.terms is None else _terms_of(json.loads(row.terms)),
        copies=row.copies,
        enrols=bool(row.enrols),
        needs_approval=bool(row.needs_approval),
        person=row.person,
        handle_digest=row.handle_digest,
        code_digest=row.code_digest,
        tx_digest=row.tx_digest,
        attempts_left=row.attempts_left,
        code_spent=bool(row.code_spent),
        issued=json.loads(row.issued),
        verdict=row.verdict,
        withdrawn=bool(row.withdrawn),
        made_by=row.made_by,
        created=from_numeric_date(row.created),
        expires=from_numeric_date(row.expires),
    )


def _terms_json(terms: Terms) -> dict[str, object]:
    source, until = terms.source, terms.source.renewable_until
    return {
        "source": [source.template, source.version, source.role, source.request_id],
        "renewable_until": None if until is None else numeric_date(until),
        "capabilities": [capability.to_json() for capability in terms.capabilities],
        "valid_seconds": terms.valid_seconds,
        "max_depth": terms.max_depth,
        "on_behalf_of": terms.on_behalf_of,
    }


def _terms_of(said: dict[str, Any]) -> Terms:
    template, version, role, request_id = said["source"]
    until = said["renewable_until"]
    return Terms(
        source=Source(
            template=template,
            version=version,
            role=role,
            request_id=request_id,
            renewable_until=None if until is None else from_numeric_date(until),
        ),
        capabilities=tuple(parse_bare_capability(_bare(one)) for one in said["capabilities"]),
        valid_seconds=said["valid_seconds"],
        max_depth=said["max_depth"],
        on_behalf_of=said["on_behalf_of"],
    )


def _bare(said: dict[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in ("resource", "tools", "limits") if name in said}
