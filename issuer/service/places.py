"""What this process has in hand of status lists: places to hand out, leased in blocks, and lists as they were built."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final, Literal
from weakref import WeakValueDictionary

from issuer.model.status import Lease, Place, StatusList
from issuer.status_lists import Bits

Form = Literal["revocation", "suspension", "token"]

BLOCK: Final = 256  # positions of one lease; a process that dies wastes at most these
MAX_KEPT: Final = 64  # lists in memory; of a million places each that is less than 40 MB


@dataclass(slots=True)
class LeasedPlaces:
    """What is leased and not handed out yet, for each organisation and the DID that signs its lists."""

    _waiting: dict[tuple[str, str], deque[Iterator[Place]]] = field(default_factory=dict)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    _issuers: dict[int, str] = field(default_factory=dict)  # by list

    def lock(self, organisation: str) -> asyncio.Lock:
        """Return what is held while an organisation leases: one asks, the others get of it."""
        return self._locks.setdefault(organisation, asyncio.Lock())

    def add(self, organisation: str, issuer: str, leases: Sequence[Lease]) -> None:
        """Keep what was leased."""
        for known in [key for key in self._waiting if key[0] == organisation and key[1] != issuer]:
            del self._waiting[known]  # lists of a key before this one
        self.remember(issuer, leases)
        self._waiting.setdefault((organisation, issuer), deque()).extend(lease.places() for lease in leases)

    def remember(self, issuer: str, leases: Sequence[Lease]) -> None:
        """Keep in mind which DID signs the lists of places that were leased."""
        self._issuers.update((lease.list_number, issuer) for lease in leases)

    def issuer_of(self, place: Place) -> str | None:
        """Return the DID that signs the list of a place, if it was leased here."""
        return self._issuers.get(place.list_number)

    def take(self, organisation: str, issuer: str, count: int) -> list[Place]:
        """Return up to `count` places, each only once."""
        waiting, taken = self._waiting.get((organisation, issuer), deque()), list[Place]()
        while waiting and len(taken) < count:
            found = list(islice(waiting[0], count - len(taken)))
            taken += found
            if not found:
                waiting.popleft()
        return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedList:
    """A signed list as it goes over the wire."""

    body: bytes
    tag: str  # for ETag: another one for other bytes
    version: int
    window: datetime


@dataclass(slots=True, kw_only=True)
class KeptList:
    """A pair of lists in memory."""

    listed: StatusList
    bits: Bits
    looked: datetime
    heard: int = -1  # how often this process had changed the list when it was looked at
    version: int = 0
    served: dict[Form, ServedList] = field(default_factory=dict)


@dataclass(slots=True)
class KeptLists:
    """The lists used last, and a lock for each that is being built."""

    _kept: dict[int, KeptList] = field(default_factory=dict)
    _locks: WeakValueDictionary[int, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def lock(self, number: int) -> asyncio.Lock:
        """Return what is held while a list is built: one builds, those who wait find it done."""
        return self._locks.setdefault(number, asyncio.Lock())

    def get(self, number: int) -> KeptList | None:
        """Return a list."""
        return self._kept.get(number)

    def keep(self, number: int, kept: KeptList) -> None:
        """Keep a list, and forget the one that was used longest ago when there are too many."""
        self._kept.pop(number, None)
        self._kept[number] = kept
        while len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]
