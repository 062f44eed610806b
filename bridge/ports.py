"""What the bridge needs from the world: the issuer's registry, status lists, password hashing, and a store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from bridge.model import Agent, Code, FeedItem, Resource, Session, Spend, TokenRecord, User
from did_agent.audit.event import AuditEvent
from did_agent.credential.status import VerifiedStatusList
from did_agent.tokens.security_event import EventKind, SecurityEvent


class Registry(Protocol):
    """The issuer's register of agents, asked anew each time: its answer is not cached."""

    async def agent(self, did: str) -> Agent | None:
        """Return the agent with this DID, in any state, or None when there is none.

        Raises: PeerUnavailable.
        """
        ...


class Statuses(Protocol):
    """Status lists, verified and fresh enough."""

    async def get(self, urls: Iterable[str]) -> Mapping[str, VerifiedStatusList]:
        """Return the lists at `urls`.

        Raises: StatusUnavailable.
        """
        ...


class Passwords(Protocol):
    """A memory-hard password hash in a bounded pool, so that logins cannot starve token calls (OAU-16)."""

    async def hash(self, password: str) -> str:
        """Return the encoded hash of a password."""
        ...

    async def is_right(self, stored: str | None, password: str) -> bool:
        """Tell whether the password is that of `stored`; None takes the same time and is never right (OAU-15)."""
        ...


class Transaction(Protocol):
    """One unit of work: all of it is durable when it ends, or none of it happened."""

    async def record(self, event: AuditEvent) -> None:
        """Write an audit event that shares the fate of this transaction."""
        ...

    async def spend(self, value: Spend) -> bool:
        """Consume a single-use value; True the first time, False ever after."""
        ...

    async def denied(self, ids: Iterable[str]) -> EventKind | None:
        """Return why any of these ids (credentials, agents, tokens) counts no more, or None."""
        ...

    async def resource(self, resource_id: str) -> Resource | None:
        """Return a registered resource."""
        ...

    async def resources(self) -> Sequence[Resource]:
        """Return all registered resources, by id."""
        ...

    async def put_resource(self, resource: Resource) -> None:
        """Create or replace a resource."""
        ...

    async def user(self, username: str) -> User | None:
        """Return a person's account."""
        ...

    async def users(self) -> Sequence[User]:
        """Return all accounts, by username."""
        ...

    async def put_user(self, user: User) -> None:
        """Create or replace an account, ending its sessions and codes."""
        ...

    async def delete_user(self, username: str) -> bool:
        """Delete an account, its sessions and codes; False when there is none."""
        ...

    async def session(self, digest: str) -> Session | None:
        """Return a session by the digest of its cookie."""
        ...

    async def put_session(self, session: Session) -> None:
        """Create a session or move its last use."""
        ...

    async def end_session(self, digest: str) -> None:
        """Forget a session."""
        ...

    async def failures(self, username: str, *, since: datetime) -> int:
        """Return how many logins of `username` have failed since then."""
        ...

    async def add_failure(self, username: str, *, now: datetime, forget_before: datetime) -> None:
        """Count a failed login and forget old ones."""
        ...

    async def code(self, digest: str) -> Code | None:
        """Return an authorization code, used or not."""
        ...

    async def add_code(self, code: Code) -> None:
        """Store a fresh authorization code."""
        ...

    async def use_code(self, digest: str, *, token_id: str | None) -> bool:
        """Consume a code for a token (or burn it, with None); False when it was consumed before."""
        ...

    async def add_token(self, token: TokenRecord, *, depends_on: Iterable[str]) -> None:
        """Remember an issued token and everything whose end must end it."""
        ...

    async def token(self, token_id: str) -> TokenRecord | None:
        """Return an issued token by its `jti`."""
        ...

    async def tokens_under(self, ids: Iterable[str], *, now: datetime) -> Sequence[str]:
        """Return the `jti` of every live token that is one of `ids` or depends on one of them."""
        ...

    async def add_evidence(self, digest: str, documents: Sequence[Mapping[str, object]]) -> None:
        """Keep the signed documents behind a digest for good."""
        ...

    async def evidence(self, digest: str) -> Sequence[object] | None:
        """Return the signed documents behind a digest."""
        ...

    async def announce(self, event: SecurityEvent, signed: str, *, key: str) -> bool:
        """Append an event to the revocation feed and apply it; False when `key` was announced before."""
        ...

    async def feed_head(self) -> int:
        """Return the position of the newest feed entry; 0 when there is none."""
        ...

    async def feed(self, *, after: int, limit: int) -> Sequence[FeedItem]:
        """Return feed entries in order, without gaps."""
        ...


class Store(Protocol):
    """The bridge's durable memory."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a unit of work.

        Raises: StoreUnavailable.
        """
        ...
