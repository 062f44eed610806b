"""Where fuzzing starts: honest inputs made by our own issuing code, and the heaviest inputs that stay within bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.fuzz import seed_documents, seed_tokens, seed_values
from tests.fuzz.seed_tables import HEAVIEST, MADE

__all__ = ["heaviest", "regressions", "seed_documents", "seed_tokens", "seed_values", "seeds"]
CORPUS: Final = Path(__file__).with_name("corpus")


def seeds(name: str) -> list[bytes]:
    """Return valid inputs of a target, and what once made it fail."""
    return MADE[name]() + regressions(name)


def heaviest(name: str) -> list[bytes]:
    """Return inputs at the bounds: as large, deep and repetitive as a reader lets them be."""
    return HEAVIEST.get(name, list)()


def regressions(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
