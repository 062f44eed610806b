"""The issuer's schema: its tables, and the revisions that lead to them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from did_agent.adapters.schema import Schema
from issuer.adapters.sql import metadata
from issuer.settings import IssuerSettings
from issuer.vc_api.store import table as vc_api_table

vc_api_table(metadata)  # offered or not, its table is part of the schema
SCHEMA: Final = Schema(
    party="issuer",
    metadata=metadata,
    folder=Path(__file__).parent,
    url=lambda data: IssuerSettings(data=data).database,
)
