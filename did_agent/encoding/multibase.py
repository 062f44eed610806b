"""Multibase with the two alphabets in use, `z` base58btc and `u` base64url (Controlled Identifiers 1.0, 2.4)."""

from __future__ import annotations

import re
from typing import Final

import base58

from did_agent.encoding import base64url
from did_agent.errors import BadEncoding

MAX_CHARS: Final = 256  # characters; base58 decoding is quadratic, 50,000 characters cost 1.7 s

_ALPHABET: Final = base58.BITCOIN_ALPHABET.decode("ascii")

# Two digits at a time: a third of the time of one by one, and no text of this alphabet has a second reading.
_PAIRS: Final = {
    first + second: high * 58 + low for high, first in enumerate(_ALPHABET) for low, second in enumerate(_ALPHABET)
}
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
    return _decode_base58(text[1:])


def _decode_base58(digits: str) -> bytes:
    number = _ALPHABET.index(digits[0]) if len(digits) % 2 else 0
    for at in range(len(digits) % 2, len(digits), 2):
        number = number * 3364 + _PAIRS[digits[at : at + 2]]
    zeros = len(digits) - len(digits.lstrip("1"))  # each leading digit 1 is a byte 0
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
