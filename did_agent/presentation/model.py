"""What a presentation is before, while and after it is believed (VCDM 2.0, 4.13; VC-JOSE-COSE, 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from did_agent.credential.chain import VerifiedChain
from did_agent.credential.status import StatusEntry
from did_agent.credential.trust import TrustedIssuers

Form = Literal["json", "jwt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the verifier demands; nothing of it is ever taken from the presentation."""

    audience: frozenset[str]  # our own identifiers, compared byte by byte
    now: datetime
    trusted: TrustedIssuers
    max_depth: int  # delegations after the root
    # "jti": a vp+jwt of at most a minute may stand on its jti.  The JSON form always carries a challenge, and whoever
    # accepts that form must compare it with the one it issued: `VerifiedPresentation.challenge`.
    # "proof": whoever shows it proves the holder's key with each request, so a vp+jwt may be shown for its whole life.
    challenge: Literal["required", "jti", "proof"]
    allow_empty: bool = False  # proof of possession alone, as at enrolment


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPresentation:
    """What a holder's key signed, rebuilt from the signed content; not yet judged."""

    form: Form
    holder: str  # as the presentation claims
    signer: str  # the DID whose key made the proof
    audience: str
    challenge: str | None
    id: str | None  # `jti` of a vp+jwt
    is_bound: bool  # whether the holder says that each use takes a proof of its key (`cnf` of a vp+jwt)
    issued: datetime
    lifetime: float  # seconds from `issued` to the end the holder declared
    ends: datetime  # the presentation is accepted up to this moment and never later
    credentials: tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A presentation that stands as far as can be told offline, and what must still be known."""

    signed: SignedPresentation
    expected: Expected
    chain: VerifiedChain | None

    @property
    def holder(self) -> str:
        """The DID that proved possession of its key."""
        return self.signed.holder

    @property
    def status_entries(self) -> tuple[StatusEntry, ...]:
        """Entries whose lists `judge` needs."""
        return () if self.chain is None else self.chain.status_entries

    @property
    def status_urls(self) -> frozenset[str]:
        """Addresses of the lists that `judge` needs."""
        return frozenset(entry.list_url for entry in self.status_entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPresentation:
    """Who presented, and what that gives them.

    Still the caller's duty: compare `challenge`, where there is one, with the one it issued, and spend `replay_key`
    until `replay_until`, atomically, before anything is answered.
    """

    holder: str
    chain: VerifiedChain | None  # None exactly when an empty presentation was allowed
    challenge: str | None
    replay_key: str
    replay_until: datetime
    valid_until: datetime
    form: Form
    is_bound: bool = False  # whether its holder lets nobody show it without a proof of their key
