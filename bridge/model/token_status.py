"""Token Status Lists of the bridge: places of long-lived tokens, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from did_agent.credential.permutation import Permutation

Status = Literal[0, 1, 2]  # valid, invalid, suspended (draft-ietf-oauth-status-list-20, 7.1)

BITS: Final = 2  # of one place
LIST_SIZE: Final = 131_072  # places: as many as hide the holder of one among others
CAPACITY: Final = LIST_SIZE * 3 // 4  # nobody holds the others, so that no index is known to be anybody's
BLOCK: Final = 128  # places a process leases at once; one that dies wastes at most these


class TokenPlace(NamedTuple):
    """Where the status of one token is."""

    list_number: int
    place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLease:
    """Positions of a list's secret order that nobody else was given."""

    list_number: int
    key: bytes = field(repr=False)
    begin: int
    end: int  # the first that is not ours

    def places(self) -> Iterator[TokenPlace]:
        """Return the places at these positions."""
        order = Permutation(size=LIST_SIZE, key=self.key)
        return (TokenPlace(self.list_number, order.place(position)) for position in range(self.begin, self.end))


class TokenFlip(NamedTuple):
    """What a place says since a version of the feed."""

    version: int
    place: int
    status: Status
