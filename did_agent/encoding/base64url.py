"""base64url without padding, in its one canonical spelling (RFC 4648, sections 5 and 3.5; RFC 7515, 2)."""

from __future__ import annotations

import binascii
from typing import Final

from did_agent.errors import BadEncoding

# What only the other alphabet has becomes what no alphabet has, so that the strict decoder refuses it.
_STANDARD: Final = bytes.maketrans(b"-_+/=", b"+/!!!")
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_PADDING: Final = {0: b"", 2: b"==", 3: b"="}
# The last character of a text whose length is not a multiple of four has bits that mean nothing: they must be zero,
# or one value would have several spellings.
_LAST: Final = {0: None, 2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}


def encode(raw: bytes) -> str:
    """Return `raw` as base64url without padding."""
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Return the bytes of canonical, unpadded base64url.

    Raises: BadEncoding.
    """
    spare = len(text) % 4
    if spare == 1 or not text.isascii():
        raise BadEncoding("not unpadded base64url")
    last = _LAST[spare]
    if last is not None and text[-1] not in last:
        raise BadEncoding("base64url is not canonical")
    try:
        return binascii.a2b_base64(text.encode("ascii").translate(_STANDARD) + _PADDING[spare], strict_mode=True)
    except binascii.Error as error:
        raise BadEncoding("not unpadded base64url") from error
