"""Text of strangers as it really is: what an eye cannot see, or takes for something else, is spelled out."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# By Unicode's general category: controls, formats (bidi, zero width, tags), surrogates, private use, unassigned,
# separators other than the plain space.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
# Drawn as nothing, whatever their category says: fillers, variation selectors, joiners, the blank braille pattern.
_BLANK: Final = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x2800, 0x2800),
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),
        (0xFFA0, 0xFFA0),
        (0xE0100, 0xE01EF),
    )
    for code in range(first, last + 1)
)
_WORD: Final = re.compile(r"\w+")
_TRAILING: Final = re.compile(r" +$")
_MOST_NAMED: Final = 8  # characters that one remark names


def visible(line: str) -> str:
    """Return one line with everything invisible, and letters that pose as Latin ones, as `⟨U+200B⟩`."""
    posing = {
        at
        for word in _WORD.finditer(line)
        if any(char.isascii() and char.isalpha() for char in word[0])
        for at in range(*word.span())
        if _is_foreign(line[at])
    }
    trailing = _TRAILING.search(line)
    end = len(line) if trailing is None else trailing.start()
    return "".join(
        _spelled(char) if at in posing or at >= end or is_unseen(char) else char for at, char in enumerate(line)
    )


def is_unseen(char: str) -> bool:
    """Tell whether nothing is drawn for a character, or what is drawn is not it."""
    return char != " " and (char in _BLANK or unicodedata.category(char) in _UNSEEN)


def oddities(text: str) -> list[str]:
    """Return what a reader of a text should know that its look does not tell."""
    found = []
    unseen = sorted({char for char in text if is_unseen(char) and char != "\n"})
    if unseen:
        found.append("invisible or control characters: " + ", ".join(map(_named, unseen[:_MOST_NAMED])))
    scripts = sorted({_script(char) for char in text if char.isalpha()})
    if "LATIN" in scripts and len(scripts) > 1:
        found.append("letters of more than one script, which may look alike: " + ", ".join(scripts[:_MOST_NAMED]))
    if unicodedata.normalize("NFC", text) != text:
        found.append("characters put together from parts: other characters look the same")
    return found


def _is_foreign(char: str) -> bool:
    return char.isalpha() and _script(char) != "LATIN"


def _script(char: str) -> str:
    return unicodedata.name(char, "UNKNOWN").split(" ")[0]


def _spelled(char: str) -> str:
    return f"⟨U+{ord(char):04X}⟩"


def _named(char: str) -> str:
    return f"U+{ord(char):04X} {unicodedata.name(char, '')}".rstrip()
