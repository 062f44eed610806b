"""What a party keeps: its tables as they are now, and the folder of revisions that lead there (ADR 22)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Column, MetaData, String, Table

BASE: Final = "0000"  # before the first revision: no tables
_FILE: Final = re.compile(r"r(\d{4})_[a-z0-9_]+\.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What a party keeps: its tables as they are now, and the revisions that lead there."""

    party: str  # its tables begin with this name
    metadata: MetaData
    folder: Path  # of its revisions, `r0001_what_it_does.py`
    url: Callable[[Path], str]  # of its database, by the environment and a data folder

    @property
    def revisions(self) -> frozenset[str]:
        """The revisions this release knows."""
        found = (_FILE.fullmatch(path.name) for path in self.folder.iterdir())
        return frozenset(match[1] for match in found if match)

    @property
    def newest(self) -> str:
        """The revision this release was made for."""
        return max(self.revisions, default=BASE)

    @property
    def version_table(self) -> str:
        """The table of the revision that a database is at; Alembic keeps it."""
        return f"{self.party}_schema_version"

    @property
    def applied(self) -> Table:
        """The table of revisions a database went through, and whom each still works for."""
        return Table(
            f"{self.party}_schema_revisions",
            MetaData(),
            Column("revision", String(4), primary_key=True),
            Column("works_from", String(4), nullable=False),
        )

    def owns(self, table: str) -> bool:
        """Return whether a table holds this party's records."""
        return table.startswith(f"{self.party}_") and not table.startswith(f"{self.party}_schema_")
