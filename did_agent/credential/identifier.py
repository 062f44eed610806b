"""Identifiers as strangers write them: absolute URLs, told from other text (VCDM 2.0, 4.4; RFC 3986)."""

from __future__ import annotations

import re
from typing import Final, TypeGuard

MAX_URL: Final = 4_096  # characters

# Wider than `closed.uri`: international and long ones are read as well.  What JSON-LD could not say as an IRI is none.
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,63}:[^\x00-\x20\x7f-\xa0<>\"{}|\\^`\s]+")


def is_url(value: object) -> TypeGuard[str]:
    """Tell whether a value is one absolute URL."""
    return isinstance(value, str) and len(value) <= MAX_URL and _URL.fullmatch(value) is not None
