"""Rows as comma-separated values (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any, Final

COLUMNS: Final = (
    "seq",
    "time",
    "principal",
    "principal_kind",
    "actors",
    "client_id",
    "action",
    "target",
    "resource",
    "decision",
    "reason",
    "explanation",
    "policy",
    "credential_ids",
    "token_id",
    "evidence",
    "request_id",
    "party",
    "source",
    "id",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def header() -> str:
    """Return the first line."""
    return _line(COLUMNS)


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return one record for each row; lists have spaces between, and nothing is taken for a formula (CWE-1236)."""
    return "".join(_line([_cell({"seq": row["seq"], **row["event"]}.get(name)) for name in COLUMNS]) for row in rows)


def _line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _cell(value: object) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
