"""Asking an issuer what its opaque tokens mean (RFC 7662): authenticated, bounded, once for many at the same moment."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx2

from did_agent.adapters.http import TOTAL_TIMEOUT, peer_client
from did_agent.clock import Clock
from did_agent.encoding.digest import sha256
from did_agent.encoding.strict_json import parse_object
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import Malformed, Misconfigured, PeerUnavailable
from did_agent.keys.public import SigningKey
from did_agent.tokens.client_assertion import make_client_assertion
from verifier.issuers import ForeignIssuer, Introspection

MAX_ANSWER: Final = 65_536  # bytes
MAX_KEPT: Final = 10_000  # answers; the oldest goes first
MAX_ASKING: Final = 32  # questions at one moment; more wait, for as long as an answer may take
REFUSED_FOR: Final = timedelta(seconds=2)  # that a token which is not active is not asked about again
MAX_SECRET: Final = 4_096  # bytes of a secret's file

_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class IntrospectionHTTP:
    """Implements `verifier.ports.IntrospectionSource` for one issuer.

    The guard proves who it is by its own key (private_key_jwt), or with the secret in a file.
    """

    def __init__(self, issuer: ForeignIssuer, at: Introspection, *, key: SigningKey, clock: Clock) -> None:
        self._issuer, self._at, self._key, self._clock = issuer.issuer, at, key, clock
        self._basic = None if at.secret_file is None else _basic(at.client_id or "", Path(at.secret_file))
        self._kept: OrderedDict[bytes, tuple[datetime, Mapping[str, object]]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Mapping[str, object]]] = {}
        self._room = asyncio.Semaphore(MAX_ASKING)
        self._http: httpx2.AsyncClient | None = None

    async def aclose(self) -> None:
        """Close the connections kept."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def ask(self, token: str) -> Mapping[str, object]:
        """Return the issuer's answer, or the one it gave a moment ago.

        Raises: PeerUnavailable.
        """
        name = sha256(token.encode())  # the token itself is not kept
        kept = self._kept.get(name)
        if kept is not None and self._clock() < kept[0]:
            return kept[1]
        task = self._asking.get(name)
        if task is None:
            task = self._asking[name] = asyncio.create_task(self._learn(name, token))
            task.add_done_callback(lambda done: self._done(name, done))
        # Whoever goes away takes nobody else's answer along.
        return await asyncio.shield(task)

    def forget(self, token: str) -> None:
        """Drop the answer about a token that was revoked since."""
        self._kept.pop(sha256(token.encode()), None)

    def _done(self, name: bytes, task: asyncio.Task[Mapping[str, object]]) -> None:
        self._asking.pop(name, None)
        if not task.cancelled():
            task.exception()  # was told to whoever waited, if anybody still did

    async def _learn(self, name: bytes, token: str) -> Mapping[str, object]:
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT), self._room:
                answer = await self._ask(token)
        except (httpx2.HTTPError, TimeoutError, OSError) as error:
            raise PeerUnavailable(f"{self._issuer} cannot be asked: {type(error).__name__}") from error
        except Malformed as error:
            raise PeerUnavailable(f"{self._issuer} gave an answer that is not strict JSON: {error.code}") from error
        until = self._believed_until(answer)
        if until is not None:
            self._kept[name] = (until, answer)
            self._kept.move_to_end(name)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return answer

    def _believed_until(self, answer: Mapping[str, object]) -> datetime | None:
        now = self._clock()
        if answer.get("active") is not True:
            return now + REFUSED_FOR
        expires = answer.get("exp")
        if not self._at.cache_seconds or not isinstance(expires, int) or not 0 < expires < 2**33:
            return None
        return min(now + timedelta(seconds=self._at.cache_seconds), from_numeric_date(expires))

    async def _ask(self, token: str) -> Mapping[str, object]:
        if self._http is None:
            self._http = peer_client()
        form = {"token": token, "token_type_hint": "access_token", **self._proof()}
        headers = {"Accept": "application/json", **({} if self._basic is None else {"Authorization": self._basic})}
        received = bytearray()
        async with self._http.stream("POST", self._at.endpoint, data=form, headers=headers) as response:
            if response.status_code != httpx2.codes.OK:
                raise PeerUnavailable(f"{self._issuer} answered {response.status_code}")
            if response.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
                raise PeerUnavailable(f"{self._issuer} did not answer in JSON")
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) > MAX_ANSWER:
                    raise PeerUnavailable(f"{self._issuer} answered more than {MAX_ANSWER} bytes")
        return parse_object(bytes(received), max_bytes=MAX_ANSWER)

    def _proof(self) -> dict[str, str]:
        if self._basic is not None:
            return {}
        assertion = make_client_assertion(
            self._key, audience=self._issuer, now=self._clock(), client_id=self._at.client_id
        )
        named = {} if self._at.client_id is None else {"client_id": self._at.client_id}
        return {**named, "client_assertion_type": _ASSERTION, "client_assertion": assertion}


def _basic(client_id: str, file: Path) -> str:
    """Return the header of client_secret_basic (RFC 6749, 2.3.1).

    Raises: Misconfigured.
    """
    try:
        raw = file.read_bytes()
        secret = raw.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"the secret in {file} cannot be read") from error
    if not secret or len(raw) > MAX_SECRET:
        raise Misconfigured(f"{file} does not hold a secret")
    halves = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return f"Basic {b64encode(halves.encode()).decode()}"
