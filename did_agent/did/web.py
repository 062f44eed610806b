"""did:web: where its document lives; names of other machines are read as narrowly as they can be (VCX-13, NET-02)."""

from __future__ import annotations

import re
from typing import Final

from did_agent.errors import BadDID

PREFIX: Final = "did:web:"

_HOST: Final = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", re.IGNORECASE | re.ASCII
)
_LOOPBACK: Final = re.compile(r"localhost", re.ASCII)
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_SEGMENT: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~-]+", re.ASCII)
_MAX_PORT: Final = 65_535


def did_web_url(did: str, *, allow_loopback: bool = False) -> str:
    """Return the address of the document of a did:web.

    The only percent-encoding accepted is the `%3A` before a port: encoded dots, addresses, slashes, `#` and `@`
    end here.  IP addresses are no hosts.  With `allow_loopback`, `localhost` is a host, over http.
    Raises: BadDID.
    """
    if not did.startswith(PREFIX):
        raise BadDID("not a did:web")
    authority, *segments = did.removeprefix(PREFIX).split(":")
    host, _, port = authority.partition("%3A")
    loopback = allow_loopback and _LOOPBACK.fullmatch(host) is not None
    if not loopback and not _HOST.fullmatch(host):
        raise BadDID("the did:web does not name a public host")
    if "%3A" in authority and (not _PORT.fullmatch(port) or int(port) > _MAX_PORT):
        raise BadDID("the did:web has no valid port")
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise BadDID("a path segment of the did:web is empty, dotted or encoded")
    path = "/".join(segments) if segments else ".well-known"
    return f"{'http' if loopback else 'https'}://{host.lower()}{':' + port if port else ''}/{path}/did.json"
