"""Signing in and out: sessions under fresh cookies, and passwords that are guessed slowly (WEB-06, OAU-15, OAU-16)."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, NamedTuple

from bridge import audit_trail
from bridge.consent import cookie_digest
from bridge.logins import MARK_BYTES, WINDOW, Bucket, buckets, is_marked, make_mark
from bridge.model import Identity, Session, User
from bridge.model.passkeys import FRESH_SECONDS
from bridge.ports import Passwords, Store, Transaction
from did_agent.clock import Clock
from did_agent.errors import Unavailable

MAX_PASSWORD: Final = 1_024  # characters that are hashed


class SignIn(NamedTuple):
    """What came of a login: a fresh cookie, or why there is none."""

    cookie: str | None
    reason: str
    mark: str | None = None  # for the browser to keep: it has signed in as this account


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Opens and ends sessions of browsers."""

    store: Store
    passwords: Passwords
    identity: Identity
    key: bytes = field(repr=False)  # of the marks of known browsers
    takes_passwords: bool = True  # whether there are local accounts at all
    clock: Clock
    counting: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)  # parallel guesses see each other

    async def user_of(self, cookie: str | None) -> User | None:
        """Return who is signed in with this cookie, and count this as use."""
        now = self.clock()
        async with self.store.transaction() as work:
            session = cookie and await work.session(cookie_digest(cookie))
            if not session or not session.is_live(now):
                return None
            await work.put_session(replace(session, seen=now))
            return await work.user(session.username)

    async def is_fresh(self, cookie: str) -> bool:
        """Tell whether the person signed in a short while ago: what outlives the session needs that (WEB-04)."""
        async with self.store.transaction() as work:
            session = await work.session(cookie_digest(cookie))
        return session is not None and self.clock() < session.created + timedelta(seconds=FRESH_SECONDS)

    async def sign_in(self, username: str, password: str, *, source: str, mark: str | None, request_id: str) -> SignIn:
        """Check a password and open a session; wrong name and wrong password look alike (OAU-15).

        Raises: Unavailable when too many logins wait.
        """
        known = mark if is_marked(mark, self.key, username) else None
        counted = buckets(username, source=source, mark=known)
        user, reason = await self._try(username, counted)
        right = reason == "" and await self._is_right(user, password, counted)
        async with self.store.transaction() as work:
            # The account is read again: it may have been deleted or changed while the hash was computed.
            if user is None or not right or await work.user(username) != user:
                reason = reason or "wrong_password"
                await self.refuse(work, reason, "the login was refused", target=username, request_id=request_id)
                return SignIn(None, reason)
            for bucket in counted:
                await work.take_back_failure(bucket.name)
            cookie = await self.open(work, username, "the password is right", request_id=request_id)
        fresh = make_mark(self.key, username, random=secrets.token_bytes(MARK_BYTES))
        return SignIn(cookie, "allowed", known or fresh)

    async def sign_out(self, cookie: str | None) -> None:
        """End the session of this cookie."""
        async with self.store.transaction() as work:
            await work.end_session(cookie_digest(cookie or ""))

    async def open(self, work: Transaction, username: str, why: str, *, request_id: str) -> str:
        """Return the cookie of a new session: never the one the browser came with (session fixation)."""
        now, cookie = self.clock(), secrets.token_urlsafe(32)
        await work.put_session(Session(digest=cookie_digest(cookie), username=username, created=now, seen=now))
        said = {"principal": username, "principal_kind": "user", "request_id": request_id}
        await work.record(audit_trail.bridge_event(self.identity, "user.login", why, now=now, **said))
        return cookie

    async def refuse(self, work: Transaction, reason: str, why: str, *, target: str, request_id: str) -> None:
        """Record a login that was refused."""
        said = {"decision": "deny", "reason": reason, "target": target[:128], "request_id": request_id}
        await work.record(audit_trail.bridge_event(self.identity, "user.login", why, now=self.clock(), **said))

    async def _is_right(self, user: User | None, password: str, counted: tuple[Bucket, ...]) -> bool:
        try:
            return await self.passwords.is_right(user.password_hash if user else None, password[:MAX_PASSWORD])
        except Unavailable:
            async with self.store.transaction() as work:  # nobody looked at it: it was no guess
                for bucket in counted:
                    await work.take_back_failure(bucket.name)
            raise

    async def _try(self, username: str, counted: tuple[Bucket, ...]) -> tuple[User | None, str]:
        """Count the attempt before its password is looked at, or parallel guesses would not be counted in time."""
        if not self.takes_passwords:
            return None, "no_local_accounts"
        since = self.clock() - WINDOW
        async with self.counting, self.store.transaction() as work:
            for bucket in counted:
                if await work.failures(bucket.name, since=since) >= bucket.most:
                    return None, "too_many_attempts"
            for bucket in counted:
                await work.add_failure(bucket.name, now=self.clock(), forget_before=since)
            return await work.user(username), ""
