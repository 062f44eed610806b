"""The ledger's schema: its tables, and the revisions that lead to them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from did_agent.adapters.schema import Schema
from ledger.adapters.cosignatures import cosignatures
from ledger.settings import LedgerSettings

SCHEMA: Final = Schema(
    party="ledger",
    metadata=cosignatures.metadata,
    folder=Path(__file__).parent,
    url=lambda data: LedgerSettings(data=data).database,
)
