"""Outbound HTTP: one bounded client for configured peers, one guarded fetcher for addresses others name (NET)."""

from __future__ import annotations

import asyncio
import http.cookiejar
import ipaddress
import re
import socket
import ssl
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import httpx2

from did_agent.adapters.tracing import carried
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import PeerUnavailable

CONNECT_TIMEOUT: Final = 2.0  # s
TOTAL_TIMEOUT: Final = 5.0  # s
MAX_RESPONSE: Final = 1_048_576  # bytes
MAX_DEPTH: Final = 32  # levels of the fetched JSON
USER_AGENT: Final = "did-agent"

_PORTS: Final = (None, 443, 8443)
_HOST: Final = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_JSON_TYPES: Final = (
    "application/json",
    "application/vc",
    "application/ld+json",
    "application/did",
    "application/did+json",
    "application/did+ld+json",
    "application/jwk-set+json",
)
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
# The only IPv6 block given out to hosts; `is_global` also lets site-local and IPv4-compatible addresses pass.
_UNICAST: Final = ipaddress.ip_network("2000::/3")
_ISATAP: Final = 0x5EFE  # stands before an IPv4 address in the lower half (RFC 5214)
_RELAYS: Final = ipaddress.ip_network("192.88.99.0/24")  # 6to4 relays, withdrawn (RFC 7526)


def peer_client(
    *,
    timeout: float = TOTAL_TIMEOUT,
    auth: httpx2.Auth | None = None,
    limits: httpx2.Limits | None = None,
    tls: ssl.SSLContext | None = None,
) -> httpx2.AsyncClient:
    """Return a client for URLs of our own configuration: no redirects, no proxy from the environment."""
    given: dict[str, Any] = {} if tls is None else {"verify": tls}
    return httpx2.AsyncClient(
        auth=auth,
        **given,
        timeout=httpx2.Timeout(timeout, connect=CONNECT_TIMEOUT),
        follow_redirects=False,
        trust_env=False,
        limits=limits or httpx2.Limits(),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        event_hooks={"request": [_carry]},
    )


async def _carry(request: httpx2.Request) -> None:
    """Let the trace we are in go on at the peer."""
    for name, value in carried().items():
        request.headers.setdefault(name, value)


def is_loopback(url: str) -> bool:
    """Say whether a configured URL points at this machine; what cannot be read does not."""
    try:
        return urlsplit(url).hostname in _LOOPBACK
    except ValueError:
        return False


class GuardedFetcher:
    """Fetches JSON from addresses that somebody else wrote down; implements `did_agent.ports.FetchJSON`.

    https to public addresses only, checked after resolution and pinned, no redirects, bounded in size and time.
    With `allow_loopback` http to this machine is accepted too, for deployments that live on it.
    """

    def __init__(self, *, allow_loopback: bool) -> None:
        self._allow_loopback = allow_loopback
        self._client: httpx2.AsyncClient | None = None

    async def aclose(self) -> None:
        """Close the connections kept."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def get_json(self, url: str) -> Mapping[str, object]:
        """Return the JSON object at `url`.

        Raises: PeerUnavailable when it cannot be had, Malformed when it cannot be read.
        """
        return (await self.get_document(url))[0]

    async def get_document(self, url: str, *, max_bytes: int = MAX_RESPONSE) -> tuple[Mapping[str, object], str]:
        """Return the JSON object at `url`, and the Cache-Control that came with it.

        Raises: PeerUnavailable when it cannot be had, Malformed when it cannot be read.
        """
        received, cache_control = await self._get(url, max_bytes, types=_JSON_TYPES)
        # One string may be most of a document: the bits of a status list of a million places.
        parsed = parse_object(received, max_bytes=max_bytes, max_depth=MAX_DEPTH, max_string=max_bytes)
        return parsed, cache_control

    async def get_text(self, url: str, *, accept: str) -> str:
        """Return the text at `url`, which must be of the media type `accept`.

        Raises: PeerUnavailable when it cannot be had, or is no ASCII.
        """
        received, _ = await self._get(url, MAX_RESPONSE, types=frozenset({accept}), accept=accept)
        try:
            return received.decode("ascii")
        except UnicodeDecodeError as error:
            raise PeerUnavailable(f"{url[:200]} is not ASCII") from error

    async def post(self, url: str, *, content: bytes, headers: Mapping[str, str]) -> int:
        """Send bytes to `url` and return the status of the answer, of which nothing else is read (NET-09).

        Raises: PeerUnavailable.
        """
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT):
                target, pinned, extensions = await self._pin(url)
                if self._client is None:
                    self._client = _stranger_client()
                sent = {**headers, **pinned}
                async with self._client.stream(
                    "POST", target, content=content, headers=sent, extensions=extensions
                ) as response:
                    return int(response.status_code)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as error:
            raise PeerUnavailable(f"cannot post to {url[:200]}: {type(error).__name__}") from error

    def require_address(self, url: str) -> None:
        """Return if a URL is of the kind that is fetched at all; its name is looked up when it is.

        Raises: PeerUnavailable.
        """
        self._host_of(url)

    async def _get(
        self, url: str, max_bytes: int, *, types: Collection[str], accept: str | None = None
    ) -> tuple[bytes, str]:
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT):
                return await self._fetch(url, max_bytes, types=types, accept=accept)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as error:
            # The text of the failure stays here: it would tell a caller about our network (NET-09).
            raise PeerUnavailable(f"cannot fetch {url[:200]}: {type(error).__name__}") from error

    async def _fetch(
        self, url: str, max_bytes: int, *, types: Collection[str], accept: str | None
    ) -> tuple[bytes, str]:
        target, headers, extensions = await self._pin(url)
        if accept is not None:
            headers = {**headers, "Accept": accept}
        if self._client is None:
            self._client = _stranger_client()
        async with self._client.stream("GET", target, headers=headers, extensions=extensions) as response:
            if response.status_code != httpx2.codes.OK:
                raise PeerUnavailable(f"{url[:200]} answered {response.status_code}")
            media_type = response.headers.get("content-type", "").split(";")[0].strip().lower()
            if media_type not in types:
                raise PeerUnavailable(f"{url[:200]} is {media_type[:80] or 'of no media type'}, not what was asked for")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise PeerUnavailable(f"{url[:200]} is encoded")
            received = bytearray()
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) > max_bytes:
                    raise PeerUnavailable(f"{url[:200]} is larger than {max_bytes} bytes")
            return bytes(received), response.headers.get("cache-control", "")

    async def _pin(self, url: str) -> tuple[str, dict[str, str], dict[str, str]]:
        """Return the URL with its checked address in place of the name, and what keeps the name for TLS and Host."""
        parts, port, host = self._host_of(url)
        if host is None:
            return url, {}, {}
        address = await _resolve(host, port or 443)
        location = f"[{address}]" if ":" in address else address
        target = parts._replace(netloc=location if port is None else f"{location}:{port}").geturl()
        return target, {"Host": parts.netloc}, {"sni_hostname": host}

    def _host_of(self, url: str) -> tuple[SplitResult, int | None, str | None]:
        """Return a URL's parts and its public host; None for this machine, where that is allowed."""
        parts, port = _split(url)
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise PeerUnavailable("the URL has user information or a fragment")
        if self._allow_loopback and parts.scheme in ("http", "https") and parts.hostname in _LOOPBACK:
            return parts, port, None
        return parts, port, _require_public(parts, port)


def _stranger_client() -> httpx2.AsyncClient:
    # A kept connection is known by its address: two names on one address would share the TLS identity that only the
    # first one proved.  Cookies would likewise pass from one name to the other.
    client = peer_client(limits=httpx2.Limits(max_keepalive_connections=0))
    client.event_hooks = {}  # whom we trace is no stranger's business
    client.cookies.jar.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    return client


def _split(url: str) -> tuple[SplitResult, int | None]:
    # `urlsplit` drops white space and control characters silently, others do not: they would read two addresses.
    if not url.isascii() or not url.isprintable() or " " in url:
        raise PeerUnavailable("the URL has odd characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise PeerUnavailable("the URL cannot be read") from error
    return parts, port


def _require_public(parts: SplitResult, port: int | None) -> str:
    host = parts.hostname or ""
    if parts.scheme != "https" or port not in _PORTS or not _HOST.fullmatch(host):
        raise PeerUnavailable("only https to a named host on the usual ports is fetched")
    return host


async def _resolve(host: str, port: int) -> str:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(item[4][0]) for item in found]
    # Every address must be public, or the name could be rebound to a private one between look-ups (NET-03).
    if not addresses or not all(is_public(address) for address in addresses):
        raise PeerUnavailable("the name does not resolve to public addresses alone")
    return addresses[0]


def is_public(address: str) -> bool:
    """Say whether an IP address is globally reachable, looking through IPv4 embedded in IPv6."""
    try:
        parsed = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        return _is_public_v6(parsed)
    return parsed.is_global and not parsed.is_multicast and parsed not in _RELAYS


def _is_public_v6(address: ipaddress.IPv6Address) -> bool:
    last = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None or address in _NAT64:
        return is_public(str(last))
    if address.sixtofour is not None or address.teredo is not None:
        return False  # tunnels nobody should still run, into networks nobody can see from here
    # The second bit of the interface identifier only says whether the embedded address is unique.
    if (int(address) >> 32) & 0xFDFFFFFF == _ISATAP and not is_public(str(last)):
        return False
    return address in _UNICAST and address.is_global
