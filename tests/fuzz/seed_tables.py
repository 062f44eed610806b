"""Where the seeds of each target are written down."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

MADE: Final[dict[str, Callable[[], list[bytes]]]] = {}
HEAVIEST: Final[dict[str, Callable[[], list[bytes]]]] = {}
SECONDS: Final = 1_795_428_000  # a little before NOW


def text(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def makes(table: dict[str, Callable[[], list[bytes]]], *names: str) -> Callable[[Callable[[], list[bytes]]], None]:
    def place(make: Callable[[], list[bytes]]) -> None:
        table.update(dict.fromkeys(names, make))

    return place


def deep(size: int) -> bytes:
    return b'{"a":' + b"[" * (size // 2) + b"]" * (size // 2) + b"}"
