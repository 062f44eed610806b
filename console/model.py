"""What the console knows of who looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

Party = Literal["issuer", "ledger", "bridge"]

PARTIES: Final[tuple[Party, ...]] = ("issuer", "ledger", "bridge")  # in the order in which rights are asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What opens one party to one person."""

    access: str = field(repr=False)
    expires: datetime
    scopes: frozenset[str]
    refresh: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A sign-in under way at the bridge (RFC 6749, 4.1; RFC 7636)."""

    state: str = field(repr=False)
    verifier: str = field(repr=False)
    party: Party  # whose rights are asked for now
    to: str  # the page that was wanted, a path of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One browser: a person with tokens, or somebody on the way to the bridge."""

    version: int
    expires: datetime
    person: str | None = None  # the bridge's name of them
    organisation: str | None = None
    tokens: Mapping[Party, Token] = field(default_factory=dict, repr=False)
    attempt: Attempt | None = None

    def may(self, party: Party, *scopes: str) -> bool:
        """Tell whether the person was given one of the scopes at a party; what is really allowed, the party says."""
        token = self.tokens.get(party)
        return token is not None and not token.scopes.isdisjoint(scopes)
