"""CBOR (RFC 8949) of the plain kind: whole numbers, texts, bytes, arrays and maps in their one deterministic form.

The only module that imports cbor2.  Lengths, nesting and kinds are checked on the bytes before the library sees them:
a few bytes of CBOR can announce a gigabyte, an endless string or a tag with a meaning of its own.
"""

from __future__ import annotations

from typing import Final

import cbor2

from did_agent.errors import BadEncoding

MAX_BYTES: Final = 65_536
MAX_DEPTH: Final = 8  # arrays and maps within one another

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_CONSTANTS: Final = frozenset({20, 21, 22})  # false, true, null
_IMMEDIATE: Final = 24  # arguments below stand in the first byte itself, 24 to 27 say how many bytes follow
_WIDTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}


def encode(value: object) -> bytes:
    """Return the deterministic encoding of a value.

    Raises: BadEncoding.
    """
    try:
        return cbor2.dumps(value, canonical=True)
    except (cbor2.CBORError, ValueError, TypeError, RecursionError) as error:
        raise BadEncoding("the value has no CBOR form") from error


def decode(raw: bytes) -> object:
    """Return the value of a CBOR item that is all of `raw`; exactly one encoding decodes to any value.

    Raises: BadEncoding.
    """
    if len(raw) > MAX_BYTES:
        raise BadEncoding(f"CBOR longer than {MAX_BYTES} bytes")
    _require_plain(raw)
    try:
        value: object = cbor2.loads(raw)
    except (cbor2.CBORError, ValueError, TypeError, RecursionError) as error:
        raise BadEncoding("not CBOR") from error
    # Longer forms of a number, keys out of order and repeated keys all come out different.
    if encode(value) != raw:
        raise BadEncoding("CBOR is not in its deterministic form")
    return value


def _require_plain(raw: bytes) -> None:
    """Walk over the items without building any of them."""
    at = 0
    waiting = [1]  # how many items are still to come, at each level
    while waiting:
        if not waiting[-1]:
            waiting.pop()
            continue
        waiting[-1] -= 1
        kind, argument, at = _head(raw, at)
        if kind in (_BYTES, _TEXT):
            at += argument
        elif kind in (_ARRAY, _MAP):
            waiting.append(argument * (2 if kind == _MAP else 1))
            if len(waiting) > MAX_DEPTH + 1:
                raise BadEncoding(f"CBOR deeper than {MAX_DEPTH} levels")
        elif kind == _TAG or (kind == _SIMPLE and argument not in _CONSTANTS):
            raise BadEncoding("a CBOR tag, float or simple value that has no place here")
        # Each item costs a byte at least, so what is announced must fit in what is there.
        if at + waiting[-1] > len(raw):
            raise BadEncoding("CBOR announces more than there is")
    if at != len(raw):
        raise BadEncoding("bytes after the CBOR item")


def _head(raw: bytes, at: int) -> tuple[int, int, int]:
    """Return the major type and argument of the item at an offset, and where its content begins."""
    if at >= len(raw):
        raise BadEncoding("CBOR ends too early")
    kind, short = raw[at] >> 5, raw[at] & 31
    if short < _IMMEDIATE:
        return kind, short, at + 1
    width = _WIDTHS.get(short)
    if width is None or kind == _SIMPLE or at + 1 + width > len(raw):
        raise BadEncoding("a CBOR item of indefinite length, a float, or one that is cut off")
    return kind, int.from_bytes(raw[at + 1 : at + 1 + width], "big"), at + 1 + width
