"""A secret order of the places in a status list: a keyed permutation, so that a place tells nothing about when.

A Feistel network over whole numbers with cycle walking (as FF1 of NIST SP 800-38G is built): what falls outside the
list is permuted again until it falls inside.  Nothing is stored but the key and a counter, no place comes twice, and
finding the next one costs the same however full the list is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

ROUNDS: Final = 8  # four make a Luby-Rackoff cipher; as many again for halves that are this short
KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Permutation:
    """The order in which the places 0 to `size` - 1 are handed out."""

    size: int
    key: bytes = field(repr=False)

    def place(self, position: int) -> int:
        """Return the place at a position of the order; another one for every position.

        Raises: ValueError when the order has no such position.
        """
        if not 0 <= position < self.size:
            raise ValueError("no such position")
        bits = max(2, (self.size - 1).bit_length())  # fewer than twice as many numbers as places, or four in all
        value = self._permuted(position, bits)
        while value >= self.size:
            value = self._permuted(value, bits)
        return value

    def _permuted(self, value: int, bits: int) -> int:
        # The halves of an odd number of bits differ by one; they change sides in each of an even number of rounds.
        low, high = bits // 2, bits - bits // 2
        left, right = value >> low, value & ((1 << low) - 1)
        for number in range(ROUNDS):
            width = high if number % 2 == 0 else low
            left, right = right, left ^ (self._mixed(number, right) & ((1 << width) - 1))
        return (left << low) | right

    def _mixed(self, number: int, right: int) -> int:
        message = number.to_bytes(1, "big") + right.to_bytes(8, "big")
        return int.from_bytes(hashlib.blake2b(message, key=self.key, digest_size=8).digest(), "big")
