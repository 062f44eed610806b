"""The company's OpenID provider over HTTP: the one door for Authlib, which is our relying party, and its JOSE part."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx2
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import import_key

from bridge.model.upstream import Finding, Upstream, UpstreamMetadata
from bridge.upstream import ALGORITHMS, discovery_url, findings, read_metadata, scopes_for
from did_agent.adapters.http import TOTAL_TIMEOUT, GuardedFetcher, peer_client
from did_agent.adapters.jwks import MAX_KEYS, REFRESH
from did_agent.clock import Clock
from did_agent.encoding import base64url
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import (
    BadEncoding,
    BadGrant,
    BadJOSE,
    BadSignature,
    DidAgentError,
    KeysUnavailable,
    Malformed,
    PeerUnavailable,
    WrongAlgorithm,
    WrongKey,
)

MAX_ANSWER: Final = 131_072  # bytes; an ID token with many groups is long
MAX_ID_TOKEN: Final = 65_536  # characters
MIN_MODULUS: Final = 342  # characters of base64url: 2048 bits of RSA
MAX_AGE: Final = timedelta(minutes=10)  # metadata and keys are asked for anew
_KINDS: Final = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "ES384": "EC", "Ed25519": "OKP"}


class UpstreamHTTP:
    """Implements `bridge.ports.upstream.UpstreamProvider`.

    The operator chose the issuer, so its own host is asked wherever it is; other hosts its metadata names are asked
    for keys through the guarded fetcher.
    """

    def __init__(self, upstream: Upstream, fetcher: GuardedFetcher, *, allow_loopback: bool, clock: Clock) -> None:
        self._upstream, self._fetcher, self._clock = upstream, fetcher, clock
        self._allow_loopback = allow_loopback
        self._metadata: UpstreamMetadata | None = None
        self._keys: Sequence[Mapping[str, object]] = ()
        self._asked: dict[str, datetime] = {}
        self._lock = asyncio.Lock()

    async def metadata(self) -> UpstreamMetadata:
        """Return the provider's metadata, at most ten minutes old.

        Raises: PeerUnavailable.
        """
        async with self._lock:
            if self._metadata is None or self._age("metadata") >= MAX_AGE:
                document = await self._get(discovery_url(self._upstream.issuer))
                self._metadata = read_metadata(
                    document, issuer=self._upstream.issuer, allow_loopback=self._allow_loopback
                )
                self._asked["metadata"] = self._clock()
            return self._metadata

    def authorization_url(
        self, metadata: UpstreamMetadata, *, state: str, nonce: str, verifier: str, again: bool
    ) -> str:
        """Return where to send the browser; `again` asks for the password even of somebody who is signed in there."""
        asked = {
            "redirect_uri": self._upstream.redirect_uri,
            "scope": scopes_for(self._upstream, metadata),
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        asked |= {"prompt": "login"} if again else {}
        client_id = self._upstream.client_id
        return str(prepare_grant_uri(metadata.authorization_endpoint, client_id, "code", **asked))

    async def redeem(self, metadata: UpstreamMetadata, code: str, *, verifier: str) -> str:
        """Return the ID token that a code gives.

        Raises: BadGrant when the provider refuses, PeerUnavailable.
        """
        status, answer = await self._token_request(metadata, code, verifier)
        if status != httpx2.codes.OK:
            raise BadGrant(f"the provider refused the code: {str(answer.get('error'))[:60]!r}")
        id_token = answer.get("id_token")
        if not isinstance(id_token, str):
            raise BadGrant("the provider gave no ID token")
        return id_token

    async def signed_claims(self, metadata: UpstreamMetadata, id_token: str) -> Mapping[str, object]:
        """Return the claims of an ID token that one of the provider's keys signed.

        Raises: BadJOSE, WrongAlgorithm, WrongKey, BadSignature, KeysUnavailable.
        """
        if len(id_token) > MAX_ID_TOKEN:
            raise BadJOSE("the ID token is too long")
        algorithm, kid = _header(id_token)
        key = await self._key(metadata, algorithm, kid)
        try:
            payload = jws.deserialize_compact(id_token, import_key(key), algorithms=[algorithm]).payload
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise BadSignature(f"the ID token's signature: {type(error).__name__}") from error
        return parse_object(payload, max_bytes=MAX_ID_TOKEN)

    async def examine(self) -> Sequence[Finding]:
        """Return what works and what does not, step by step, from fresh answers."""
        self._metadata, self._keys = None, ()
        try:
            document = await self._get(discovery_url(self._upstream.issuer))
        except DidAgentError as error:
            return [Finding(step="discovery", ok=False, detail=error.detail or error.public)]
        found = [Finding(step="discovery", ok=True, detail=discovery_url(self._upstream.issuer))]
        found += findings(document, issuer=self._upstream.issuer, allow_loopback=self._allow_loopback)
        if not all(finding.ok for finding in found):
            return found
        metadata = await self.metadata()
        return [
            *found,
            await self._examine_keys(metadata),
            await self._examine_client(metadata),
            self._groups(metadata),
        ]

    async def _examine_keys(self, metadata: UpstreamMetadata) -> Finding:
        try:
            await self._refresh_keys(metadata)
        except DidAgentError as error:
            return Finding(step="keys", ok=False, detail=error.detail)
        usable = [key for key in self._keys if key.get("kty") in _KINDS.values()]
        return Finding(step="keys", ok=bool(usable), detail=f"{len(usable)} usable keys at {metadata.jwks_uri}")

    async def _examine_client(self, metadata: UpstreamMetadata) -> Finding:
        # A code that was never given: `invalid_grant` says that the provider knows the client and its secret.
        try:
            _, answer = await self._token_request(metadata, "an-examination", "e" * 43)
        except DidAgentError as error:
            return Finding(step="client", ok=False, detail=error.detail)
        refused = str(answer.get("error"))[:60]
        if refused == "invalid_grant":
            return Finding(step="client", ok=True, detail="the provider knows client id and secret")
        said = f"{refused!r} {str(answer.get('error_description', ''))[:200]}"
        return Finding(step="client", ok=False, detail=f"client id or secret are not accepted: {said}")

    def _groups(self, metadata: UpstreamMetadata) -> Finding:
        claim, asked = self._upstream.groups_claim, scopes_for(self._upstream, metadata)
        return Finding(step="scopes", ok=True, detail=f"asks for {asked!r}; groups come from the claim {claim!r}")

    async def _token_request(
        self, metadata: UpstreamMetadata, code: str, verifier: str
    ) -> tuple[int, Mapping[str, object]]:
        body = prepare_token_request(
            "authorization_code", redirect_uri=self._upstream.redirect_uri, code=code, code_verifier=verifier
        )
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        method, name, secret = metadata.auth_method, self._upstream.client_id, self._upstream.client_secret
        if method == "client_secret_basic":  # both are form-encoded first (RFC 6749, 2.3.1)
            name, secret = quote(name, safe=""), quote(secret, safe="")
        url, headers, body = ClientAuth(name, secret, method).prepare("POST", metadata.token_endpoint, headers, body)
        status, received = await self._ask("POST", url, content=body, headers=headers)
        try:
            return status, parse_object(received, max_bytes=MAX_ANSWER)
        except Malformed as error:
            raise PeerUnavailable(f"the token endpoint answered {status} without strict JSON") from error

    async def _key(self, metadata: UpstreamMetadata, algorithm: str, kid: str | None) -> dict[str, Any]:
        """Return the provider's key of that name and of the kind the algorithm needs; keys are never tried in turn."""
        async with self._lock:
            if not self._keys or self._age("keys") >= MAX_AGE:
                await self._refresh_keys(metadata)
            found = self._fitting(algorithm, kid)
            if len(found) != 1 and self._age("keys") >= REFRESH:  # the provider may have rotated (TOK-03)
                await self._refresh_keys(metadata)
                found = self._fitting(algorithm, kid)
        if len(found) != 1:
            raise WrongKey("the provider has no such key, or several and the ID token names none")
        return found[0]

    def _fitting(self, algorithm: str, kid: str | None) -> list[dict[str, Any]]:
        return [
            dict(key)
            for key in self._keys
            if key.get("kty") == _KINDS[algorithm]
            and (kid is None or key.get("kid") == kid)
            and key.get("use", "sig") == "sig"
            and key.get("alg", algorithm) == algorithm
            and (key["kty"] != "RSA" or len(str(key.get("n"))) >= MIN_MODULUS)
        ]

    async def _refresh_keys(self, metadata: UpstreamMetadata) -> None:
        try:
            members = (await self._get(metadata.jwks_uri)).get("keys")
        except DidAgentError as error:
            raise KeysUnavailable(f"the provider's keys cannot be had: {error.detail}") from error
        if not isinstance(members, list) or not members or len(members) > MAX_KEYS:
            raise KeysUnavailable("the provider's JWKS holds no list of keys")
        # A secret key in a public list is known to everybody: only public members are kept.
        self._keys = [key for key in members if isinstance(key, dict) and not key.keys() & {"d", "k"}]
        self._asked["keys"] = self._clock()

    def _age(self, what: str) -> timedelta:
        return self._clock() - self._asked[what] if what in self._asked else MAX_AGE

    async def _get(self, url: str) -> Mapping[str, object]:
        if _origin(url) != _origin(self._upstream.issuer):
            return await self._fetcher.get_json(url)
        status, received = await self._ask("GET", url, headers={"Accept": "application/json"})
        if status != httpx2.codes.OK:
            raise PeerUnavailable(f"{url[:200]} answered {status}")
        try:
            return parse_object(received, max_bytes=MAX_ANSWER)
        except Malformed as error:
            raise PeerUnavailable(f"{url[:200]} is not strict JSON") from error

    async def _ask(self, method: str, url: str, **sent: Any) -> tuple[int, bytes]:
        received = bytearray()
        try:
            async with (
                asyncio.timeout(TOTAL_TIMEOUT),
                peer_client() as http,
                http.stream(method, url, **sent) as response,
            ):
                async for chunk in response.aiter_raw():
                    received += chunk
                    if len(received) > MAX_ANSWER:
                        raise PeerUnavailable(f"{url[:200]} answered with more than {MAX_ANSWER} bytes")
                return response.status_code, bytes(received)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as error:
            raise PeerUnavailable(f"cannot reach {url[:200]}: {type(error).__name__}") from error


def _header(id_token: str) -> tuple[str, str | None]:
    """Return the algorithm, if it is one of ours, and the key id."""
    try:
        header = parse_object(base64url.decode(id_token.split(".", maxsplit=1)[0]), max_bytes=2_048)
    except (Malformed, BadEncoding) as error:
        raise BadJOSE("the ID token's header cannot be read") from error
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise WrongAlgorithm(f"an ID token signed with {str(algorithm)[:20]!r} is not believed")
    if kid is not None and not isinstance(kid, str):
        raise BadJOSE("kid is not a string")
    return algorithm, kid


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()
