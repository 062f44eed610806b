"""Credential offers and what comes of them (OpenID4VCI 1.0); their secrets are digests here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from issuer.model import HOME
from issuer.model.grants import NewGrant, Terms

OfferState = Literal["open", "taken", "withdrawn", "denied", "expired"]
Verdict = Literal["approved", "denied"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOffer:
    """What an operator says of an offer."""

    agent: str  # agent_id or DID
    configurations: tuple[str, ...]
    grant: NewGrant | None  # None: no capability credential is offered
    copies: int = 1  # credentials of each configuration
    valid_seconds: int = 900  # until when it can be taken
    tx_code: bool = False  # whether a second secret travels another way
    needs_approval: bool = False  # whether somebody else must say yes before anything is issued
    person: str | None = None  # who may take it by signing in at the bridge; None: whoever has the code


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A decided grant that waits for one agent."""

    organisation: str = HOME
    id: str  # urn:uuid
    agent_id: str
    configurations: tuple[str, ...]
    terms: Terms | None  # of a capability credential: decided when the offer was made, and never more
    copies: int
    enrols: bool  # the agent was pending: who takes the offer brings its key
    needs_approval: bool
    person: str | None
    handle_digest: str  # of the secret in `credential_offer_uri`
    code_digest: str | None  # of the pre-authorized code; None where a person signs in
    tx_digest: str | None
    attempts_left: int  # at the transaction code
    code_spent: bool = False
    issued: Mapping[str, int] = field(default_factory=dict)  # configuration -> credentials
    verdict: Verdict | None = None
    withdrawn: bool = False
    made_by: str
    created: datetime
    expires: datetime

    def state_at(self, now: datetime) -> OfferState:
        """Return what the offer is at a moment."""
        if self.withdrawn:
            return "withdrawn"
        if self.verdict == "denied":
            return "denied"
        if all(self.issued.get(name, 0) >= self.copies for name in self.configurations):
            return "taken"
        return "expired" if self.expires <= now else "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferSecrets:
    """What is shown once, when an offer is made."""

    handle: str = field(repr=False)
    code: str | None = field(repr=False)
    tx_code: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferToken:
    """An opaque access token that opens one offer at our endpoints and nothing else."""

    digest: str
    offer_id: str
    client_id: str | None  # as the client said; it is not authenticated
    jkt: str | None  # the DPoP key it is bound to
    identifiers: tuple[str, ...]  # credential identifiers that came with it
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """A credential request that was proven and waits for a decision."""

    digest: str  # of the transaction id
    offer_id: str
    configuration: str
    count: int
    did: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifiable:
    """Credentials whose fate in the wallet may be told."""

    digest: str  # of the notification id
    offer_id: str
    credential_ids: tuple[str, ...]
    expires: datetime
