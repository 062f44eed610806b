"""Fresh identifiers at the price of their randomness: each guarded call needs two."""

from __future__ import annotations

import os
from typing import Final

_VARIANTS: Final = "89ab"


def fresh_uuid() -> str:
    """Return a random UUID (RFC 9562, version 4) in its text form."""
    digits = os.urandom(16).hex()
    variant = _VARIANTS[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
