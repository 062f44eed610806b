"""What the console needs from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from console.model import Attempt, Party, Token


class SessionStore(Protocol):
    """Keeps what browsers are known by; it sees digests and sealed bytes alone."""

    async def add(self, key: str, sealed: bytes, *, expires: datetime, now: datetime, most: int) -> bool:
        """Keep a new row, drop ended ones; False when there are already `most`."""
        ...

    async def find(self, key: str, *, now: datetime) -> tuple[int, datetime, bytes] | None:
        """Return version, end and content of a row that has not ended."""
        ...

    async def replace(self, key: str, sealed: bytes, *, version: int, expires: datetime) -> bool:
        """Write a row again if it is still the version that was read."""
        ...

    async def remove(self, key: str) -> None:
        """Forget a row."""
        ...


class SignIn(Protocol):
    """The bridge, as a client with a redirect sees it."""

    def address(self, attempt: Attempt, *, again: bool = False) -> str:
        """Return where the browser goes to sign in; with `again` a password is asked for in any case."""
        ...

    async def redeem(self, attempt: Attempt, code: str) -> Token:
        """Return the token for a code.  Raises: ServerRefused, PeerUnavailable."""
        ...

    async def renew(self, party: Party, token: Token) -> Token:
        """Return the next token.  Raises: ServerRefused, PeerUnavailable."""
        ...

    async def give_back(self, token: Token) -> None:
        """End what a token was made from (RFC 7009)."""
        ...


class Parties(Protocol):
    """The parties, asked with a person's own rights."""

    async def ask(self, party: Party, method: str, path: str, *, token: str | None, **content: Any) -> dict[str, Any]:
        """Return the members of an answer.  Raises: ServerRefused, PeerUnavailable."""
        ...
