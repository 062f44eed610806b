"""The Authorization header of a protected resource (RFC 6750, section 2.1), free of any framework."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qs

from did_agent.errors import InvalidParameter, NotAuthenticated

Headers = Iterable[tuple[bytes, bytes]]


def bearer_credential(headers: Headers, query: bytes = b"") -> str:
    """Return the one bearer credential of a request.

    Raises: NotAuthenticated when there is none, InvalidParameter when there are two, or one in the URL (TOK-15).
    """
    if "access_token" in parse_qs(query.decode("latin-1"), keep_blank_values=True):
        raise InvalidParameter("a token does not belong into a URL")
    sent = [value for name, value in headers if name.lower() == b"authorization"]
    if not sent:
        raise NotAuthenticated("no Authorization header")
    if len(sent) > 1:
        raise InvalidParameter("more than one Authorization header")
    scheme, _, credential = sent[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        raise NotAuthenticated("the authorization scheme is not Bearer")
    if not credential or not credential.isascii() or " " in credential.strip():
        raise InvalidParameter("the Bearer credential is malformed")
    return credential.strip()
