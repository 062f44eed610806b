"""Multibase with the two alphabets in use, `z` base58btc and `u` base64url (Controlled Identifiers 1.0, 2.4)."""

from __future__ import annotations

import re
from typing import Final

import base58

from did_agent.encoding import base64url
from did_agent.errors import BadEncoding

MAX_CHARS: Final = 256  # characters; base58 decoding is quadratic, 50,000 characters cost 1.7 s

_BASE58: Final = re.compile(r"[1-9A-HJ-NP-Za-km-z]+")


def encode_base58btc(raw: bytes) -> str:
    """Return `raw` as multibase base58btc, `z…`."""
    return "z" + base58.b58encode(raw).decode("ascii")


def encode_base64url(raw: bytes) -> str:
    """Return `raw` as multibase base64url without padding, `u…`."""
    return "u" + base64url.encode(raw)


def decode(text: str, *, max_chars: int = MAX_CHARS) -> bytes:
    """Return the bytes of a multibase text in canonical form.

    Raises: BadEncoding.
    """
    if len(text) > max_chars:
        raise BadEncoding(f"multibase text longer than {max_chars} characters")
    if text.startswith("u"):
        return base64url.decode(text[1:])
    if not text.startswith("z") or not _BASE58.fullmatch(text[1:]):
        raise BadEncoding("not multibase base58btc or base64url")
    raw = base58.b58decode(text[1:])
    if encode_base58btc(raw) != text:
        raise BadEncoding("base58btc is not canonical")
    return raw
