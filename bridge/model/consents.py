"""Consents: what a person allowed whom to do, kept as a receipt they can look at, download and withdraw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """One answer to one question; known by the digest of the code it gave, which everything made from it names."""

    id: str
    username: str
    client_id: str
    client_name: str
    agent: str | None  # DID of who may act; None for a program without an agent
    agent_name: str | None
    sponsor: str | None
    resource: str
    resource_name: str
    scopes: Mapping[str, str]  # in the words that were shown
    redirect_host: str  # empty when the agent fetched the answer itself
    given: datetime
    expires: datetime
    withdrawn: datetime | None = None
    details: str | None = None  # `authorization_details` it was narrowed to
    message: str | None = None  # what the agent said when it asked out of band
    task: str | None = None  # what it is for, as the client calls it

    def is_live(self, now: datetime) -> bool:
        """Tell whether something can still come of it."""
        return self.withdrawn is None and now < self.expires
