"""What every use case of the issuer works with: store, keys, clock, and the record of what was decided."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import cast

from did_agent.audit.event import AuditEvent
from did_agent.clock import Clock
from did_agent.did.key import did_key
from did_agent.errors import DidAgentError
from did_agent.keys.ed25519 import SigningKey
from issuer.model import HOME, Operator
from issuer.model.status import Place
from issuer.ports import News, Store
from issuer.service.places import KeptLists, LeasedPlaces
from issuer.service.ring import Ring
from issuer.status_lists import LIST_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """The issuer's desk: all services share one."""

    store: Store
    news: News
    key: SigningKey
    url: str
    clock: Clock
    list_size: int = LIST_SIZE  # places of a new status list
    places: LeasedPlaces = field(default_factory=LeasedPlaces, repr=False, compare=False)
    ring: Ring = field(default=cast("Ring", None), repr=False, compare=False)  # None: one that nobody changes
    lists: KeptLists = field(default_factory=KeptLists, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the ring of an issuer whose keys nobody changes."""
        if cast("Ring | None", self.ring) is None:
            object.__setattr__(self, "ring", Ring(self.key, clock=self.clock))

    def key_of(self, organisation: str) -> SigningKey:
        """Return the key that signs an organisation's credentials and lists (KEY-04).

        Raises: KeysUnavailable.
        """
        return self.ring.signer(organisation)

    def key_for(self, organisation: str, place: Place) -> SigningKey:
        """Return the key of the list that a credential has its place in: no other one is believed beside it (VCX-10).

        Raises: KeysUnavailable when that key ended meanwhile.
        """
        issuer = self.places.issuer_of(place)
        return self.ring.signer(organisation) if issuer is None else self.ring.find(organisation, issuer)

    def did_of(self, organisation: str) -> str:
        """Return the DID under which an organisation issues.

        Raises: KeysUnavailable.
        """
        return self.ring.signing(organisation).did

    async def record_refusal(self, error: DidAgentError, *, action: str, target: str | None, by: Operator) -> None:
        """Record an action that was refused.

        Raises: StoreUnavailable; then the refusal is all the more a refusal.
        """
        event = self.event(by, action, target, error.detail[:500] or error.public)
        await self.record(replace(event, decision="deny", reason=error.code))

    async def record(self, event: AuditEvent) -> None:
        """Record an event in a transaction of its own; what the verifier needs of an audit sink.

        Raises: StoreUnavailable.
        """
        async with self.store.work() as work:
            await work.record(event)
        self.news.wake_audit()

    def event(self, by: Operator, action: str, target: str | None, explanation: str) -> AuditEvent:
        """Return the event of something that was done; the caller records it in the transaction of its effect."""
        return AuditEvent(
            id=uuid.uuid4().urn,
            time=self.clock(),
            source=did_key(self.key.public),
            party="issuer",
            principal=by.principal,
            principal_kind=by.kind,
            actors=by.actors,
            client_id=by.client_id,
            action=action,
            target=target,
            resource=self.url,
            argument_digest=None,
            decision="allow",
            reason="allowed",
            explanation=explanation or action,
            policy=None,
            credential_ids=(),
            token_id=by.token_id,
            evidence=None,
            request_id=by.request_id,
            details={} if by.organisation == HOME else {"organisation": by.organisation},
        )
