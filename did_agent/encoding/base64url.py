"""Base64url without padding, in its canonical form only (RFC 4648, section 5; RFC 7515, appendix C)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from did_agent.errors import BadEncoding

_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]*")


def encode(raw: bytes) -> str:
    """Return `raw` as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Return the bytes that `text` encodes; exactly one text decodes to any bytes.

    Raises: BadEncoding.
    """
    if not _ALPHABET.fullmatch(text):
        raise BadEncoding("a character outside the base64url alphabet")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise BadEncoding("a length that base64url cannot have") from error
    # The library ignores non-zero trailing bits, so two texts would decode to one value (TOK-05).
    if encode(raw) != text:
        raise BadEncoding("base64url is not canonical")
    return raw
