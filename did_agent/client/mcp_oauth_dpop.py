"""DPoP for any OAuth client flow that only knows bearer tokens, the MCP SDK's above all (RFC 9449; SEP-1932).

`BoundTokens` stands between the flow and the network.  Token requests get a proof where the authorization server
offers DPoP, and requests that show a bound token get the DPoP scheme and a fresh proof; nonces are followed.  Inside,
the flow sees a bearer token whose text names the key it is bound to, so that its token storage needs to know nothing.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from typing import Final, NamedTuple

import httpx2

from did_agent.client.dpop import DPoPSigner
from did_agent.clock import Clock, system_clock
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import Malformed, NotBound
from did_agent.keys.jwk import thumbprint
from did_agent.keys.public import ALGORITHMS, SigningKey

MAX_ENDPOINTS: Final = 16  # token endpoints whose algorithms are remembered
_MARK: Final = "dpop:"  # before the thumbprint of the key and the token itself
_FORM: Final = "application/x-www-form-urlencoded"


class _Binding(NamedTuple):
    jkt: str  # thumbprint of the key
    token: str | None  # the bound token that is shown, if one is


class BoundTokens(httpx2.Auth):
    """Binds the tokens that `inner` asks for to one of `keys`, the first that the authorization server takes.

    A server that offers DPoP and then hands out a bearer token is refused; with `required`, so is one without DPoP.
    """

    def __init__(
        self, inner: httpx2.Auth, keys: Sequence[SigningKey], *, required: bool = False, clock: Clock = system_clock
    ) -> None:
        self._inner, self._required = inner, required
        self._signers = {thumbprint(key.public): DPoPSigner(key, clock=clock) for key in keys}
        self._names = {thumbprint(key.public): frozenset(ALGORITHMS[key.public.kind]) for key in keys}
        self._offered: dict[str, frozenset[str]] = {}

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Refuse: the flows inside are asynchronous."""
        raise RuntimeError(f"{request.url}: use httpx2.AsyncClient with this authentication")

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Drive the inner flow, each of its requests proven where that is possible.

        Raises: NotBound.
        """
        flow = self._inner.async_auth_flow(request)
        try:
            outgoing = await anext(flow)
            while True:
                binding = self._binding(outgoing)
                response = yield self._proven(outgoing, binding)
                if await self._must_repeat(response, binding):
                    response = yield self._proven(outgoing, binding)
                    await self._must_repeat(response, binding)  # for the nonce alone: twice is enough
                outgoing = await flow.asend(await self._read(response, binding))
        except StopAsyncIteration:
            return
        finally:
            await flow.aclose()

    def _binding(self, request: httpx2.Request) -> _Binding | None:
        """Return what a request must be bound to: by the token it shows, or for the token it asks for."""
        shown = request.headers.get("Authorization", "").partition(" ")[2]
        if shown.startswith(_MARK):
            jkt, _, token = shown.removeprefix(_MARK).partition(":")
            return _Binding(jkt, token)
        if not _is_token_request(request):
            return None
        jkt = self._key_for(str(request.url))
        return _Binding(jkt, None) if jkt else None

    def _proven(self, request: httpx2.Request, binding: _Binding | None) -> httpx2.Request:
        request.headers.pop("DPoP", None)  # a repeated request still carries the proof of its first time
        if binding is None:
            return request
        if binding.token is not None:
            request.headers["Authorization"] = f"DPoP {binding.token}"
        signer = self._signers.get(binding.jkt)
        if signer is not None:  # a key that is no more proves nothing: the server refuses, and the flow begins anew
            proof = signer.proof(request.method, str(request.url), access_token=binding.token)
            request.headers["DPoP"] = proof
        return request

    def _key_for(self, endpoint: str) -> str:
        offered = self._offered.get(endpoint, frozenset())
        jkt = next((name for name, algorithms in self._names.items() if algorithms & offered), "")
        if not jkt and self._required:
            raise NotBound(f"{endpoint[:200]} binds no tokens to our kinds of key")
        return jkt

    async def _must_repeat(self, response: httpx2.Response, binding: _Binding | None) -> bool:
        if binding is None or binding.jkt not in self._signers:
            return False
        if response.status_code == httpx2.codes.BAD_REQUEST:
            await response.aread()
        return self._signers[binding.jkt].learn(response)

    async def _read(self, response: httpx2.Response, binding: _Binding | None) -> httpx2.Response:
        """Note what metadata offers, and hand on a bound token under its mark."""
        request = response.request
        if request.method == "GET" and "/.well-known/" in request.url.path and response.is_success:
            self._note(await response.aread())
        if binding is None or binding.token is not None or not response.is_success:
            return response
        members = _members(await response.aread())
        if str(members.get("token_type", "")).lower() != "dpop":
            raise NotBound("the authorization server offers DPoP and gave a bearer token")
        members |= {"access_token": f"{_MARK}{binding.jkt}:{members.get('access_token', '')}", "token_type": "Bearer"}
        return httpx2.Response(
            response.status_code,
            headers={"Content-Type": "application/json"},
            content=json.dumps(members).encode(),
            request=request,
        )

    def _note(self, content: bytes) -> None:
        members = _members(content)
        endpoint, algorithms = members.get("token_endpoint"), members.get("dpop_signing_alg_values_supported")
        if isinstance(endpoint, str) and isinstance(algorithms, list):
            self._offered[endpoint] = frozenset(name for name in algorithms if isinstance(name, str))
            while len(self._offered) > MAX_ENDPOINTS:
                del self._offered[next(iter(self._offered))]


def _is_token_request(request: httpx2.Request) -> bool:
    is_form = request.headers.get("Content-Type", "").partition(";")[0].strip() == _FORM
    return request.method == "POST" and is_form and b"grant_type=" in request.content


def _members(content: bytes) -> dict[str, object]:
    try:
        members: Mapping[str, object] = parse_object(content)
    except Malformed:
        return {}  # what it is, is for the flow to say
    return dict(members)
