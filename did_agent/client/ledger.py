"""The ledger as an auditor sees it."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx2

from did_agent.adapters.http import peer_client
from did_agent.client.errors import members_of
from did_agent.client.wire import objects_in, require_address, send, text_in
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import PeerUnavailable

PAGE: Final = 500  # rows of one answer
_SILENCE: Final = 30.0  # s without a word from a stream, twice what the ledger lets pass
_AGAIN: Final = 1.0  # s


class LedgerClient:
    """Talks to one ledger."""

    def __init__(self, url: str, *, auth: httpx2.Auth | None = None) -> None:
        self.url, self._auth = url, auth

    async def events(self, **question: str) -> list[dict[str, Any]]:
        """Return rows `{seq, leaf, event}`, oldest first."""
        answer = await send("ledger", self.url, "GET", "/events", auth=self._auth, params=question)
        return objects_in(answer, "events")

    async def pages(self, **question: str) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield everything a question finds, oldest first, a page at a time.

        Raises: ServerRefused, PeerUnavailable.
        """
        after = question.pop("after", "0")
        while rows := await self.events(**question, after=after, limit=str(PAGE)):
            yield rows
            after = str(rows[-1]["seq"])

    async def follow(self, **question: str) -> AsyncIterator[dict[str, Any]]:
        """Yield rows as they come, from now on or from `after` on, without an end: what breaks off is taken up again.

        Raises: ServerRefused.
        """
        require_address("ledger", self.url)
        last: dict[str, str] = {}
        while True:
            try:
                async with (
                    peer_client(timeout=_SILENCE, auth=self._auth) as http,
                    http.stream("GET", f"{self.url}/events/stream", params=question, headers=last) as response,
                ):
                    if not response.is_success:
                        await response.aread()
                        members_of(response)
                    async for row in _rows(response):
                        last = {"Last-Event-ID": str(row["seq"])}
                        yield row
            except httpx2.HTTPError:
                await asyncio.sleep(_AGAIN)

    async def checkpoint(self) -> str:
        """Return the newest signed checkpoint.

        Raises: ServerRefused, PeerUnavailable.
        """
        newest = await self._get("/events", limit="1")
        after = str(max(int(newest.get("size", 0)) - 1, 0))
        for one in objects_in(await self._get("/checkpoints", after=after, limit="1"), "checkpoints"):
            return text_in(one, "note")
        raise PeerUnavailable("the ledger has no checkpoint")

    async def inclusion(self, seq: int, size: int) -> list[bytes]:
        """Return the path from a row to the root over `size` rows.

        Raises: ServerRefused, PeerUnavailable.
        """
        answer = await self._get("/proofs/inclusion", seq=str(seq), size=str(size))
        try:
            return [base64.b64decode(str(node), validate=True) for node in answer["proof"]]
        except (KeyError, TypeError, binascii.Error) as error:
            raise PeerUnavailable("the answer has no proof") from error

    async def _get(self, path: str, **params: str) -> dict[str, Any]:
        return await send("ledger", self.url, "GET", path, auth=self._auth, params=params)

    async def erase(self, **whose: str) -> dict[str, Any]:
        """End the personal fields of a `person`, or of the months `before` one; return `{keys, rows}`.

        Raises: ServerRefused, PeerUnavailable.
        """
        return await send("ledger", self.url, "POST", "/erasures", auth=self._auth, json=whose)

    async def export(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the whole exported log.

        Raises: ServerRefused, PeerUnavailable.
        """
        require_address("ledger", self.url)
        try:
            async with (
                peer_client(timeout=60.0, auth=self._auth) as http,
                http.stream("GET", f"{self.url}/export") as response,
            ):
                if not response.is_success:
                    await response.aread()
                    members_of(response)
                async for chunk in response.aiter_bytes():
                    yield chunk
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise PeerUnavailable(f"the ledger {self.url}: {type(error).__name__}") from error


async def _rows(response: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            yield parse_object(line.removeprefix("data: "))
