"""Sessions: made at the sign-in, sealed with what the browser alone holds, ended by time or by hand (WEB-06).

A row is useless to who reads the database: its name is a digest of the cookie, and what it holds is encrypted with
another.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from weakref import WeakValueDictionary

from console.model import PARTIES, Attempt, Party, Session, Token
from console.ports import SessionStore, SignIn
from did_agent.client.errors import ServerRefused
from did_agent.clock import Clock, system_clock
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadKey
from did_agent.keys.secretbox import open_box, seal_box

LIFE: Final = timedelta(hours=8)  # of a session, used or not
ATTEMPT_LIFE: Final = timedelta(minutes=15)  # of a way to the bridge and back
RENEW_BEFORE: Final = timedelta(seconds=30)  # of a token's end
MOST: Final = 20_000  # rows of all kinds
_CHARACTERS: Final = 43  # of 32 random bytes in base64url


class Sessions:
    """The browsers this console knows."""

    def __init__(self, store: SessionStore, bridge: SignIn, *, clock: Clock = system_clock) -> None:
        self._store, self._bridge, self._clock = store, bridge, clock
        self._renewing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def find(self, cookie: str | None) -> Session | None:
        """Return the session of a browser; None for what is unknown, ended or not ours."""
        if cookie is None or len(cookie) != _CHARACTERS or not cookie.isascii():
            return None
        row = await self._store.find(_name(cookie), now=self._clock())
        if row is None:
            return None
        version, expires, sealed = row
        try:
            return _read(open_box(_key(cookie), sealed), version=version, expires=expires)
        except (BadKey, ValueError, KeyError, TypeError):
            return None

    async def begin(self, attempt: Attempt, before: str | None = None) -> str | None:
        """Return the cookie of a browser that goes to sign in; None when too many are on their way.

        `before` is the cookie it had, which is worth nothing from now on.
        """
        if before is not None:
            await self._store.remove(_name(before))
        return await self._add(Session(version=0, expires=self._clock() + ATTEMPT_LIFE, attempt=attempt))

    async def came_back(self, cookie: str, session: Session, token: Token | None, claims: Mapping[str, Any]) -> str:
        """Return the cookie after one party's answer: a fresh one, so that none from before is worth anything."""
        attempt = session.attempt
        assert attempt is not None  # noqa: S101  # callers come from the bridge
        tokens = dict(session.tokens) | ({} if token is None else {attempt.party: token})
        rest = PARTIES[PARTIES.index(attempt.party) + 1 :]
        following = None if not rest else replace(attempt, party=rest[0], state=fresh(), verifier=fresh())
        person, organisation = claims.get("sub"), claims.get("organisation")
        changed = replace(
            session,
            version=0,
            tokens=tokens,
            person=person if isinstance(person, str) else session.person,
            organisation=organisation if isinstance(organisation, str) else session.organisation,
            attempt=following,
            expires=self._clock() + (LIFE if following is None else ATTEMPT_LIFE),
        )
        await self._store.remove(_name(cookie))
        made = await self._add(changed)
        assert made is not None  # noqa: S101  # one was removed before
        return made

    async def token(self, cookie: str, session: Session, party: Party) -> str | None:
        """Return a token that lasts for a request; None when the person has none there, or none any more.

        Raises: PeerUnavailable.
        """
        held = session.tokens.get(party)
        if held is None or self._clock() < held.expires - RENEW_BEFORE:
            return None if held is None else held.access
        async with self._renewing.setdefault(_name(cookie), asyncio.Lock()):
            now_known = await self.find(cookie)
            held = None if now_known is None else now_known.tokens.get(party)
            if now_known is None or held is None:
                return None
            if self._clock() < held.expires - RENEW_BEFORE:
                return held.access  # somebody else was faster
            if held.refresh is None:
                return None
            try:
                renewed = await self._bridge.renew(party, held)
            except ServerRefused:
                return await self._of_another(cookie, party)
            changed = replace(now_known, tokens={**now_known.tokens, party: renewed})
            sealed = seal_box(_key(cookie), _write(changed))
            await self._store.replace(_name(cookie), sealed, version=now_known.version, expires=now_known.expires)
            return renewed.access

    async def end(self, cookie: str) -> None:
        """End a session, and at the bridge what its tokens were made from."""
        session = await self.find(cookie)
        await self._store.remove(_name(cookie))
        for token in () if session is None else session.tokens.values():
            await self._bridge.give_back(token)

    async def _of_another(self, cookie: str, party: Party) -> str | None:
        # Another replica may have renewed it in the same moment; then its token is the one.
        found = await self.find(cookie)
        held = None if found is None else found.tokens.get(party)
        return held.access if held is not None and self._clock() < held.expires else None

    async def _add(self, session: Session) -> str | None:
        cookie = fresh()
        sealed = seal_box(_key(cookie), _write(session))
        now = self._clock()
        is_kept = await self._store.add(_name(cookie), sealed, expires=session.expires, now=now, most=MOST)
        return cookie if is_kept else None


def fresh() -> str:
    """Return 256 random bits in 43 characters."""
    return secrets.token_urlsafe(32)


def form_mark(cookie: str) -> str:
    """Return what forms of a session carry, and nobody else can know (WEB-05)."""
    return hashlib.blake2b(cookie.encode(), person=b"console form", digest_size=24).hexdigest()


def is_form_mark(cookie: str, sent: str | None) -> bool:
    """Tell whether a form came from a page of this session."""
    return sent is not None and hmac.compare_digest(form_mark(cookie).encode(), sent.encode())


def _name(cookie: str) -> str:
    return hashlib.blake2b(cookie.encode(), person=b"console name", digest_size=32).hexdigest()


def _key(cookie: str) -> bytes:
    return hashlib.blake2b(cookie.encode(), person=b"console key", digest_size=32).digest()


def _write(session: Session) -> bytes:
    tokens = {
        party: [one.access, int(one.expires.timestamp()), sorted(one.scopes), one.refresh]
        for party, one in session.tokens.items()
    }
    attempt = session.attempt
    way = None if attempt is None else [attempt.state, attempt.verifier, attempt.party, attempt.to]
    return json.dumps([session.person, session.organisation, tokens, way]).encode()


def _read(content: bytes, *, version: int, expires: datetime) -> Session:
    person, organisation, tokens, way = json.loads(content)
    held = {
        party: Token(access=one[0], expires=from_numeric_date(one[1]), scopes=frozenset(one[2]), refresh=one[3])
        for party, one in tokens.items()
    }
    attempt = None if way is None else Attempt(state=way[0], verifier=way[1], party=way[2], to=way[3])
    return Session(
        version=version,
        expires=expires,
        person=person,
        organisation=organisation,
        tokens=held,
        attempt=attempt,
    )
