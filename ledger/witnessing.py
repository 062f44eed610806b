"""Co-signatures of configured witnesses: taken when they verify, shown under the checkpoint they are for (AUD-03).

They are no events of the log: each would make a state that nobody has witnessed yet, for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from did_agent.audit.cosignature import Cosigned, Witness, verify_cosignature
from did_agent.clock import Clock
from did_agent.errors import BadLog, NotFound, UntrustedIssuer
from ledger.ports import Log


class Cosignatures(Protocol):
    """Keeps the lines of witnesses."""

    async def put(self, size: int, witness: str, line: str, *, now: datetime) -> None:
        """Keep a line; the witness's earlier one for this state goes."""
        ...

    async def of(self, size: int) -> Sequence[str]:
        """Return the lines under one state."""
        ...

    async def newest(self, least: int | None = None) -> int | None:
        """Return the largest state that a witness signed; with `least` rows or more, the one most of them signed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CosignedNote:
    """A checkpoint and what witnesses signed of it."""

    size: int
    note: str
    lines: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessing:
    """Takes co-signatures for one log."""

    log: Log
    kept: Cosignatures
    witnesses: Sequence[Witness]
    clock: Clock

    async def take(self, size: int, line: str) -> Cosigned:
        """Keep the co-signature of one of our witnesses; the signature is its authority.

        Raises: UntrustedIssuer for anybody else, BadLog when it does not verify, NotFound for a state never signed.
        """
        parts = line.split(" ")
        witness = next((one for one in self.witnesses if len(parts) > 1 and one.name == parts[1]), None)
        if witness is None:
            raise UntrustedIssuer("not a witness of this log")
        note = await self.log.checkpoint(size)
        if note is None:
            raise NotFound("there is no such checkpoint")
        now = self.clock()
        found = verify_cosignature(line, note, witness, now=now)
        if not line.endswith("\n"):
            raise BadLog("a co-signature is one whole line")
        await self.kept.put(size, witness.name, line, now=now)
        return found

    async def show(self, size: int | None, *, least: int | None = None) -> CosignedNote:
        """Return a state with its co-signatures; without a size, the newest that anybody witnessed.

        With `least` that of so many rows at least which most witnesses signed.
        Raises: NotFound.
        """
        size = await self.kept.newest(least) if size is None else size
        note = None if size is None else await self.log.checkpoint(size)
        if size is None or note is None:
            raise NotFound("there is no such checkpoint")
        return CosignedNote(size=size, note=note, lines=await self.kept.of(size))
