"""What the issuer keeps of agents' keys."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from issuer.model import Agent
from issuer.model.keys import AgentKey, IssuingKey, KeyEnd, KeyImpact


class KeyWork(Protocol):
    """The part of a transaction that is about keys."""

    async def add_key(self, key: AgentKey) -> None:
        """Keep a key.  Raises: StateConflict when it was some agent's before."""
        ...

    async def end_key(self, agent: Agent, did: str, *, why: KeyEnd, now: datetime) -> None:
        """Say that a key counts no more; one that ended before stays as it is."""
        ...

    async def key(self, did: str) -> AgentKey | None:
        """Return a key that some agent has or had, of whatever organisation."""
        ...

    async def keys(self, organisation: str, agent_id: str, *, limit: int) -> Sequence[AgentKey]:
        """Return an agent's keys, the newest first."""
        ...


class IssuingKeyWork(Protocol):
    """The part of a transaction that is about the keys organisations sign with."""

    async def issuing_keys(self) -> Sequence[IssuingKey]:
        """Return the keys of all organisations that ever had a second one, the oldest first."""
        ...

    async def add_issuing_key(self, key: IssuingKey) -> bool:
        """Keep a key; False when there is one of its generation."""
        ...

    async def move_issuing_key(self, before: IssuingKey, after: IssuingKey) -> bool:
        """Store a key's moments; False when it is not as it was before."""
        ...

    async def signed_by(self, dids: Collection[str], *, now: datetime) -> KeyImpact:
        """Return what of these keys is in force."""
        ...

    async def end_signed_by(self, dids: Collection[str], *, reason: str, now: datetime) -> int:
        """Revoke what of these keys is in force with all made from it, queue what the bridge must hear; count it."""
        ...


class KeySealer(Protocol):
    """Keeps private keys where a copy of the database does not give them away (KEY-01)."""

    def seal(self, secret: bytes) -> str:
        """Return the sealed form.  Raises: KeysUnavailable."""
        ...

    def open(self, sealed: str) -> bytes:
        """Return the secret.  Raises: KeysUnavailable."""
        ...
