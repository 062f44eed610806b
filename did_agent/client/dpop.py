"""DPoP on the client's side (RFC 9449): a proof by the agent's own key with each request, and the server's nonces."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import httpx2

from did_agent.clock import Clock, system_clock
from did_agent.keys.public import SigningKey
from did_agent.tokens.dpop import make_proof

MAX_ORIGINS: Final = 64  # servers whose newest nonce is remembered
_NONCE: Final = "DPoP-Nonce"


class DPoPSigner:
    """Signs proofs with one key; remembers the newest nonce of each server."""

    def __init__(self, key: SigningKey, *, clock: Clock = system_clock) -> None:
        self._key, self._clock = key, clock
        self._nonces: dict[str, str] = {}

    def proof(self, method: str, url: str, *, access_token: str | None = None) -> str:
        """Return the value of the DPoP header for one request."""
        nonce = self._nonces.get(_origin(url))
        return make_proof(self._key, method=method, url=url, now=self._clock(), access_token=access_token, nonce=nonce)

    def learn(self, response: httpx2.Response) -> bool:
        """Keep the nonce an answer brought; tell whether the request should be sent again with it."""
        nonce = response.headers.get(_NONCE)
        if nonce is None:
            return False
        origin = _origin(str(response.request.url))
        known = self._nonces.pop(origin, None)
        self._nonces[origin] = nonce
        while len(self._nonces) > MAX_ORIGINS:
            del self._nonces[next(iter(self._nonces))]
        return nonce != known and _asks_for_nonce(response)


def _asks_for_nonce(response: httpx2.Response) -> bool:
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        return any("use_dpop_nonce" in line for line in response.headers.get_list("www-authenticate"))
    return response.status_code == httpx2.codes.BAD_REQUEST and b"use_dpop_nonce" in response.content


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
