"""What a request to a protected resource shows: one credential, and the proof of the key it is bound to.

RFC 6750, section 2.1, and RFC 9449, section 7; free of any framework.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs

from did_agent.errors import InvalidParameter, NotAuthenticated

Headers = Sequence[tuple[bytes, bytes]]
Scheme = Literal["bearer", "dpop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A credential as it was shown; nothing of it is believed."""

    scheme: Scheme
    credential: str = field(repr=False)
    method: str
    url: str  # our own name for what was asked, never from the Host header
    proofs: tuple[str, ...] = field(default=(), repr=False)  # every DPoP header
    certificate: bytes | None = field(default=None, repr=False)  # DER of a TLS client certificate that was proven


def bearer_alone(credential: str) -> Shown:
    """Return a bearer credential where no other is taken and no key is proven, as at the parties' own APIs."""
    return Shown(scheme="bearer", credential=credential, method="", url="")


def keys_alone(headers: Headers, *, method: str, url: str, certificate: bytes | None = None) -> Shown:
    """Return what a request shows that asks for a credential: the keys it proves, to which that may be bound."""
    proofs = tuple(value.decode("latin-1") for name, value in headers if name.lower() == b"dpop")
    return Shown(scheme="bearer", credential="", method=method, url=url, proofs=proofs, certificate=certificate)


def read_credential(
    headers: Headers, query: bytes = b"", *, method: str, url: str, certificate: bytes | None = None
) -> Shown:
    """Return the one credential of a request.

    Raises: NotAuthenticated when there is none of a scheme we know, InvalidParameter when there are two, or one in
    the URL (TOK-15).
    """
    if query and "access_token" in parse_qs(query.decode("latin-1"), keep_blank_values=True):
        raise InvalidParameter("a token does not belong into a URL")
    sent = [value for name, value in headers if name.lower() == b"authorization"]
    if not sent:
        raise NotAuthenticated("no Authorization header")
    if len(sent) > 1:
        raise InvalidParameter("more than one Authorization header")
    name, _, credential = sent[0].decode("latin-1").partition(" ")
    scheme = _scheme(name)
    if not credential or not credential.isascii() or " " in credential.strip():
        raise InvalidParameter("the credential is malformed")
    proofs = tuple(value.decode("latin-1") for name, value in headers if name.lower() == b"dpop")
    return Shown(
        scheme=scheme,
        credential=credential.strip(),
        method=method,
        url=url,
        proofs=proofs,
        certificate=certificate,
    )


def _scheme(name: str) -> Scheme:
    if name.lower() == "bearer":
        return "bearer"
    if name.lower() == "dpop":
        return "dpop"
    raise NotAuthenticated("the authorization scheme is neither Bearer nor DPoP")
