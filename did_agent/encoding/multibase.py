"""Multibase with the two alphabets in use, `z` base58btc and `u` base64url (Controlled Identifiers 1.0, 2.4)."""

from __future__ import annotations

import re
from typing import Final

import base58

from did_agent.encoding import base64url
from did_agent.errors import BadEncoding

MAX_CHARS: Final = 256  # characters; base58 decoding is quadratic, 50,000 characters cost 1.7 s

_ALPHABET: Final = base58.BITCOIN_ALPHABET.decode("ascii")

# Two digits at a time cost a third of one by one; no text of this alphabet has a second reading.
_DIGITS: Final = {digit: value for value, digit in enumerate(_ALPHABET)}
_PAIRS: Final = {first + second: _DIGITS[first] * 58 + _DIGITS[second] for first in _ALPHABET for second in _ALPHABET}
_CHUNK: Final = 10  # digits; 58^10 is below 2^59
_CHUNK_BASE: Final = 58**_CHUNK
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
    # Ten digits fit a machine word: the long number is touched once for every five pairs.
    number = 0
    head = len(digits) % _CHUNK
    if head:
        for digit in digits[:head]:
            number = number * 58 + _DIGITS[digit]
    for at in range(head, len(digits), _CHUNK):
        word = 0
        for pair in range(at, at + _CHUNK, 2):
            word = word * 3364 + _PAIRS[digits[pair : pair + 2]]
        number = number * _CHUNK_BASE + word
    zeros = len(digits) - len(digits.lstrip("1"))  # each leading digit 1 is a byte 0
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
