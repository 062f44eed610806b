"""Multibase with the two alphabets in use, `z` base58btc and `u` base64url (Controlled Identifiers 1.0, 2.4)."""

from __future__ import annotations

from typing import Final

import base58

from did_agent.encoding import base64url
from did_agent.errors import BadEncoding

MAX_CHARS: Final = 256  # characters; base58 decoding is quadratic, 50,000 characters cost 1.7 s

_ALPHABET: Final = base58.BITCOIN_ALPHABET.decode("ascii")

# What each character stands for, as one byte; 255 where it stands for nothing.
_VALUES: Final = bytes(_ALPHABET.find(chr(code)) % 256 for code in range(256))
_NOTHING: Final = 255

# A number with a digit in each byte is turned into base 58^2 with a digit in every second byte, then 58^4 in every
# fourth, and so on: a handful of operations on long integers instead of one for each digit.
_DIGITS: Final = 256  # digits that the steps below can take


def _steps() -> tuple[tuple[int, int, int], ...]:
    steps, width, base = [], 8, 58
    while width < 8 * _DIGITS:
        lane = (1 << width) - 1
        mask = sum(lane << at for at in range(0, 8 * _DIGITS, 2 * width))
        steps.append((width, base, mask))
        width, base = 2 * width, base * base
    return tuple(steps)


_STEPS: Final = _steps()


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
    if not text.startswith("z") or not text.isascii():
        raise BadEncoding("not multibase base58btc or base64url")
    return _decode_base58(text[1:])


def _decode_base58(text: str) -> bytes:
    digits = text.encode("ascii").translate(_VALUES)
    if not digits or _NOTHING in digits:
        raise BadEncoding("not multibase base58btc or base64url")
    if len(digits) > _DIGITS:
        return base58.b58decode(text)
    number = int.from_bytes(digits, "big")
    for width, base, mask in _STEPS:
        if width >= 8 * len(digits):
            break
        number = (number & mask) + base * (number >> width & mask)
    zeros = len(digits) - len(digits.lstrip(b"\0"))  # each leading digit 1 is a byte 0
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
