"""What the issuer keeps of credential offers and what comes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from issuer.model.offers import Deferred, Notifiable, Offer, OfferToken, Verdict


class OfferWork(Protocol):
    """The part of a transaction that is about offers."""

    async def add_offer(self, offer: Offer) -> None:
        """Add an offer."""
        ...

    async def offer(self, identifier: str, *, organisation: str | None) -> Offer | None:
        """Return one offer, held until the end; `organisation` None for whoever has opened it with a secret."""
        ...

    async def offer_by_code(self, code_digest: str) -> Offer | None:
        """Return the offer of a pre-authorized code, held until the transaction ends."""
        ...

    async def offer_by_handle(self, handle_digest: str) -> Offer | None:
        """Return the offer that is served under a handle."""
        ...

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
        ...

    async def offers_to(self, agent_id: str, person: str, *, now: datetime) -> Sequence[Offer]:
        """Return what is offered to an agent for a person who signs in, oldest first, held until the end."""
        ...

    async def spend_code(self, offer_id: str) -> bool:
        """Spend the pre-authorized code; False when it was spent."""
        ...

    async def take_attempt(self, offer_id: str) -> bool:
        """Count one attempt at the transaction code; False when none is left."""
        ...

    async def count_issued(self, offer: Offer, issued: Mapping[str, int]) -> bool:
        """Store how many credentials were issued; False when somebody else counted meanwhile."""
        ...

    async def decide_offer(self, offer_id: str, verdict: Verdict) -> bool:
        """Store the decision on an offer; False when there is one."""
        ...

    async def withdraw_offer(self, offer_id: str) -> bool:
        """Withdraw an offer and all that was opened with it; False when it was withdrawn before."""
        ...

    async def add_offer_token(self, token: OfferToken, *, now: datetime) -> None:
        """Add an access token; what ended is forgotten."""
        ...

    async def offer_token(self, digest: str) -> OfferToken | None:
        """Return an access token."""
        ...

    async def end_offer_tokens(self, offer_id: str) -> int:
        """End the access tokens of an offer and return how many there were."""
        ...

    async def add_deferred(self, deferred: Deferred, *, now: datetime) -> None:
        """Keep a request that waits; what ended is forgotten."""
        ...

    async def deferred(self, digest: str) -> Deferred | None:
        """Return a request that waits."""
        ...

    async def deferred_count(self, offer_id: str, configuration: str) -> int:
        """Return how many credentials of a configuration wait."""
        ...

    async def remove_deferred(self, digest: str) -> bool:
        """Forget a request; False when it is gone."""
        ...

    async def add_notifiable(self, notifiable: Notifiable, *, now: datetime) -> None:
        """Keep which credentials a notification will be about; what ended is forgotten."""
        ...

    async def notifiable(self, digest: str) -> Notifiable | None:
        """Return which credentials a notification is about."""
        ...
