"""The TLS client certificate of a request: proven on our own connection, or told by a proxy we trust (RFC 9440).

What a proxy tells is a header, which anybody can write: it is taken from configured addresses alone, and refused from
everybody else, for a request that carries it hopes that somebody believes it.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from did_agent.errors import InvalidParameter, Misconfigured

EXTENSION: Final = "did_agent.peer_certificate"  # where the listener, and nobody else, puts DERs, the client's first
HEADERS: Final = (b"client-cert", b"client-cert-chain")
MAX_CHAIN: Final = 8  # certificates above the client's own

_BYTES: Final = re.compile(r":([A-Za-z0-9+/]+={0,2}):")  # a byte sequence of RFC 8941, without parameters
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCertificate:
    """A certificate, as DER, whose key the client proved to hold, and what it sent above it; nobody vouches for it."""

    der: bytes
    chain: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Proxies:
    """The addresses of proxies that end TLS for us and are believed about client certificates."""

    networks: tuple[_Network, ...] = ()

    @classmethod
    def of(cls, addresses: Iterable[str]) -> Proxies:
        """Return the proxies at these addresses or networks.

        Raises: Misconfigured.
        """
        try:
            return cls(tuple(ipaddress.ip_network(address) for address in addresses))
        except ValueError as error:
            raise Misconfigured(f"a proxy is named by its address or network: {error}") from error

    def include(self, address: str | None) -> bool:
        """Tell whether a connection from `address` is one of a proxy."""
        if not self.networks:
            return False
        try:
            found = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
        return any((mapped or found) in network for network in self.networks)


NO_PROXIES: Final = Proxies()


def peer_certificate(scope: Mapping[str, Any], proxies: Proxies = NO_PROXIES) -> PeerCertificate | None:
    """Return the certificate that the other side proved to hold, or None.

    Raises: InvalidParameter for a header from anybody but a proxy, or one that can be read in two ways.
    """
    # Some servers read `_` as `-`: a proxy that removes the one spelling may let the other pass.
    told = [pair for pair in scope["headers"] if pair[0].lower().replace(b"_", b"-") in HEADERS]
    if proxies.include((scope.get("client") or (None,))[0]):
        return _told(told)  # never the certificate of the proxy itself
    if told:
        raise InvalidParameter("Client-Cert is believed from configured proxies alone")
    found = scope.get("extensions", {}).get(EXTENSION, ())
    return PeerCertificate(der=found[0], chain=tuple(found[1:])) if found else None


def _told(headers: Iterable[tuple[bytes, bytes]]) -> PeerCertificate | None:
    values: dict[bytes, str] = {}
    for name, value in headers:
        if name.lower() not in HEADERS or name.lower() in values:
            raise InvalidParameter("Client-Cert came twice, or in another spelling")
        values[name.lower()] = value.decode("latin-1").strip()
    certificate, chain = (values.get(name) for name in HEADERS)
    if certificate is None:
        if chain is not None:
            raise InvalidParameter("Client-Cert-Chain came without Client-Cert")
        return None
    above = [] if chain is None else chain.split(",")
    if len(above) > MAX_CHAIN:
        raise InvalidParameter(f"Client-Cert-Chain names more than {MAX_CHAIN} certificates")
    return PeerCertificate(der=_bytes(certificate), chain=tuple(_bytes(one.strip(" \t")) for one in above))


def _bytes(item: str) -> bytes:
    found = _BYTES.fullmatch(item)
    try:
        der = base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        der = b""
    if not der or found is None or base64.b64encode(der).decode() != found[1]:
        raise InvalidParameter("Client-Cert is not a byte sequence (RFC 8941, 3.3.5)")
    return der
