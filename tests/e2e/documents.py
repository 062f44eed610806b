"""Finds the snippets of the documentation: fenced blocks with their language and place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """One fenced block."""

    path: Path
    line: int
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The command lines of a console block."""
        return [line.removeprefix("$ ") for line in self.text.splitlines() if line.startswith("$ ")]


def pages() -> list[Path]:
    """Return every page of documentation."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def snippets(path: Path) -> Iterator[Snippet]:
    """Yield the fenced blocks of a page, in order."""
    text = path.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        yield Snippet(path=path, line=text.count("\n", 0, match.start()) + 1, language=match[1], text=match[2])
