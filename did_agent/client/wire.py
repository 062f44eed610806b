"""One request to a party and its answer, read with the same care as a request."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx2

from did_agent.adapters.http import peer_client
from did_agent.client.dpop import DPoPSigner
from did_agent.client.errors import members_of
from did_agent.client.retrying import retries_for
from did_agent.errors import PeerUnavailable

TIMEOUT: Final = 15.0  # s; signing in hashes a password


async def send(
    party: str,
    base: str,
    method: str,
    path: str,
    *,
    auth: httpx2.Auth | None = None,
    dpop: DPoPSigner | None = None,
    tls: ssl.SSLContext | None = None,
    **content: Any,
) -> dict[str, Any]:
    """Return the members of the answer of the `party` at `base`; with `dpop` the request carries its proof.

    With `tls` the connection shows a client certificate.  What only reads, and what carries an `Idempotency-Key`, is
    sent again when nothing came back or the party was busy.

    Raises: ServerRefused for a refusal, PeerUnavailable for anything that is no answer.
    """
    require_address(party, base)
    own: dict[str, str] = dict(content.pop("headers", None) or {})
    retries, attempt = retries_for(method, own), 0

    async def ask(http: httpx2.AsyncClient) -> httpx2.Response:
        return await http.request(method, base + path, headers=own | _proof(dpop, method, base + path), **content)

    async with peer_client(timeout=TIMEOUT, auth=auth, tls=tls) as http:
        while True:
            attempt += 1
            answer: httpx2.Response | None = None
            try:
                answer = await ask(http)
                if dpop is not None and dpop.learn(answer):
                    answer = await ask(http)
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                wait = retries.wait(attempt, None)
                if wait is None or isinstance(error, httpx2.InvalidURL):
                    raise PeerUnavailable(f"the {party} {base}: {type(error).__name__}") from error
            else:
                wait = retries.wait(attempt, answer)
                if wait is None:
                    return members_of(answer)
            await asyncio.sleep(wait)


def _proof(dpop: DPoPSigner | None, method: str, url: str) -> dict[str, str]:
    return {} if dpop is None else {"DPoP": dpop.proof(method, url)}


def require_address(party: str, base: str) -> None:
    """Return if a URL names a host and a port; a port out of range fails late, and as no error of HTTP.

    Raises: PeerUnavailable.
    """
    try:
        parts = urlsplit(base)
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise PeerUnavailable(f"the {party} {base[:200]!r}: not a URL to call")
    if base.endswith("/"):  # identifiers are compared exactly, and behind this one is nothing
        raise PeerUnavailable(f"the {party} {base[:200]!r}: say its URL without the slash at the end")


def segment(value: str) -> str:
    """Return `value` as one segment of a path, whatever it holds (LLM-08).

    Raises: PeerUnavailable for a value that would climb the path: nothing is behind it.
    """
    if value in ("", ".", ".."):
        raise PeerUnavailable("an identifier is empty or dots alone")
    return quote(value, safe="")


def text_in(members: dict[str, Any], name: str) -> str:
    """Return a text member of an answer.

    Raises: PeerUnavailable when whoever answered is not the party we took it for.
    """
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise PeerUnavailable(f"the answer has no {name}")
    return value


def objects_in(members: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a member of an answer that lists objects.

    Raises: PeerUnavailable when whoever answered is not the party we took it for.
    """
    value = members.get(name)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise PeerUnavailable(f"the answer has no {name}")
    return value
