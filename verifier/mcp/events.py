"""Event streams cut into events, without losing or changing a byte (HTML Living Standard, section 9.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

MAX_EVENT: Final = 1_048_576  # bytes of one event that is looked into

# Two ends of line: \r\n, \n or \r each; a \r alone is none while its \n may still come.
_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
_LINE: Final = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|$)")
_LONGEST_END: Final = 4  # bytes


class Events:
    """Takes a stream in pieces and gives it back in events; one too long to be looked into comes out in pieces."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._looked = 0  # bytes of the rest in which no event ends
        self._is_too_long = False

    def feed(self, piece: bytes) -> Iterator[tuple[bytes, bool]]:
        """Yield what is complete, each with whether it is a whole event that may be looked into."""
        self._rest += piece
        while found := _END.search(self._rest, max(0, self._looked - _LONGEST_END)):
            event = bytes(self._rest[: found.end()])
            del self._rest[: found.end()]
            whole, self._is_too_long, self._looked = not self._is_too_long, False, 0
            yield event, whole and len(event) <= MAX_EVENT
        self._looked = len(self._rest)
        if len(self._rest) > MAX_EVENT:
            # The last bytes stay: they may be half of the end.
            head = bytes(self._rest[:-_LONGEST_END])
            del self._rest[:-_LONGEST_END]
            self._is_too_long, self._looked = True, 0
            yield head, False

    def rest(self) -> bytes:
        """Return what came after the last event, and forget it."""
        rest = bytes(self._rest)
        self._rest.clear()
        self._looked = 0
        return rest


def lines_of(text: bytes) -> list[bytes]:
    """Return the lines of a stream, each with its end."""
    return _LINE.findall(text)


def data_of(event: bytes) -> bytes:
    """Return the data of an event; empty when it has none."""
    lines = (line.rstrip(b"\r\n") for line in lines_of(event) if line.startswith(b"data:"))
    return b"\n".join(line[6:] if line[5:6] == b" " else line[5:] for line in lines)


def with_data(event: bytes, data: bytes) -> bytes:
    """Return an event with other data, and all its other lines."""
    lines = lines_of(event)
    first = next(index for index, line in enumerate(lines) if line.startswith(b"data:"))
    end = lines[first][len(lines[first].rstrip(b"\r\n")) :] or b"\n"
    spoken = b"".join(b"data: " + line + end for line in data.split(b"\n"))
    others = [b"" if line.startswith(b"data:") else line for line in lines]
    return b"".join((*others[:first], spoken, *others[first:]))
