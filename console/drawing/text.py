"""Words in pictures, which do not wrap."""

from __future__ import annotations


def fit(text: str, most: int) -> str:
    """Return at most so many characters of a text, the middle left out."""
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail - 1]}…{text[-tail:]}"
