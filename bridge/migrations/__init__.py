"""The bridge's schema: its tables, and the revisions that lead to them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bridge.adapters import sql as _every_topic  # noqa: F401 - each brings tables of its own
from bridge.adapters.tables import metadata
from bridge.settings import BridgeSettings
from did_agent.adapters.schema import Schema

SCHEMA: Final = Schema(
    party="bridge",
    metadata=metadata,
    folder=Path(__file__).parent,
    url=lambda data: BridgeSettings(data=data).database,
)
