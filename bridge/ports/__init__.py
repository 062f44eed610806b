"""What the bridge needs from the world: the issuer's registry, status lists, password hashing, and a store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from bridge.model import Agent, Code, Resource, Session, Spend, User
from bridge.model.succession import Succession
from bridge.ports.backchannel import Askings
from bridge.ports.clients import ClientStore
from bridge.ports.consents import Consents
from bridge.ports.federation import Federation
from bridge.ports.feed import Announcements
from bridge.ports.keys import SigningKeys
from bridge.ports.lending import Lendings
from bridge.ports.operators import Operators
from bridge.ports.passkeys import Passkeys
from bridge.ports.policy import Policies
from bridge.ports.refresh import RefreshFamilies
from bridge.ports.registration import Registrations
from bridge.ports.signals import Signals
from bridge.ports.tasks import Tasks
from bridge.ports.token_status import TokenStatuses
from bridge.ports.upstream import UpstreamLogins
from did_agent.audit.event import AuditEvent
from did_agent.credential.status import VerifiedStatusList
from did_agent.tokens.security_event import EventKind, SecurityEvent


class Registry(Protocol):
    """The issuer's register of agents, asked anew each time. Raises: PeerUnavailable."""

    async def agent(self, did: str) -> Agent | None: ...

    # Whose the agent with this key is, which never changes; None when there is none.
    async def organisation(self, did: str) -> str | None: ...

    # The keys of whoever has or had this one; None when nobody had.
    async def succession(self, did: str) -> Succession | None: ...

    # What the register said a moment ago of an agent that was active; None when that is too long ago.
    def recent(self, did: str) -> Agent | None: ...


class Statuses(Protocol):
    """Status lists, verified and fresh enough. Raises: StatusUnavailable."""

    async def get(self, urls: Iterable[str]) -> Mapping[str, VerifiedStatusList]: ...


class Passwords(Protocol):
    """A memory-hard hash in a bounded pool; checking against None takes as long and is never right (OAU-15)."""

    async def hash(self, password: str) -> str: ...
    async def is_right(self, stored: str | None, password: str) -> bool: ...


class Transaction(
    Announcements,
    Askings,
    ClientStore,
    Consents,
    Federation,
    Policies,
    Operators,
    RefreshFamilies,
    SigningKeys,
    Lendings,
    Registrations,
    Signals,
    Tasks,
    TokenStatuses,
    UpstreamLogins,
    Passkeys,
    Protocol,
):
    """One unit of work: all of it is durable when it ends, or none of it happened."""

    async def record(self, event: AuditEvent) -> None: ...

    # True the first time, False ever after.
    async def spend(self, value: Spend) -> bool: ...

    # Why any of these ids (credentials, agents, tokens) counts no more.
    async def denied(self, ids: Iterable[str]) -> EventKind | None: ...

    async def resource(self, resource_id: str) -> Resource | None: ...
    async def resources(self) -> Sequence[Resource]: ...
    async def put_resource(self, resource: Resource) -> None: ...

    # Putting and deleting an account ends its sessions and codes.
    async def user(self, username: str) -> User | None: ...
    async def users(self) -> Sequence[User]: ...
    async def put_user(self, user: User) -> None: ...
    async def delete_user(self, username: str) -> bool: ...

    # Ends a person's sessions, codes and refresh families.
    async def sign_out(self, username: str) -> None: ...

    async def session(self, digest: str) -> Session | None: ...
    async def put_session(self, session: Session) -> None: ...
    async def end_session(self, digest: str) -> None: ...
    async def failures(self, username: str, *, since: datetime) -> int: ...
    async def add_failure(self, username: str, *, now: datetime, forget_before: datetime) -> None: ...
    async def take_back_failure(self, username: str) -> None: ...  # the newest one

    async def code(self, digest: str) -> Code | None: ...
    async def add_code(self, code: Code) -> None: ...

    async def add_token(self, token_id: str, *, expires: datetime, depends_on: Iterable[str]) -> None: ...

    # Whether the token was issued here and has not been ended.
    async def is_standing(self, token_id: str) -> bool: ...

    # Every live token that is one of `ids`, or depends on one of them, however indirectly.
    async def tokens_under(self, ids: Iterable[str], *, now: datetime) -> Sequence[str]: ...

    # What live tokens depend on that is a place in another deployment's status list: names that begin with `status `.
    async def status_dependencies(self, *, now: datetime) -> Sequence[str]: ...

    async def add_evidence(self, digest: str, documents: Sequence[Mapping[str, object]]) -> None: ...
    async def evidence(self, digest: str) -> Sequence[object] | None: ...

    # Append to the feed and apply; False when `key` was announced before.
    async def announce(self, event: SecurityEvent, signed: str, *, key: str) -> bool: ...
    async def feed_head(self) -> int: ...
    async def feed(self, *, after: int, limit: int) -> Sequence[tuple[int, str]]: ...


class Store(Protocol):
    """The bridge's durable memory. Raises: StoreUnavailable."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]: ...

    # How often this process changed places in status lists.
    def flips(self) -> int: ...
