"""The console's schema: its table, and the revisions that lead to it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from console.adapters.sql import METADATA
from console.settings import ConsoleSettings
from did_agent.adapters.schema import Schema

SCHEMA: Final = Schema(
    party="console",
    metadata=METADATA,
    folder=Path(__file__).parent,
    url=lambda data: ConsoleSettings(data=data).database,
)
