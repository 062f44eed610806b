"""Settings of the ledger, from `DID_AGENT_*`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from did_agent.adapters.migrations import When


class LedgerSettings(BaseSettings):
    """Where the ledger lives and what it keeps its log in."""

    model_config = SettingsConfigDict(env_prefix="DID_AGENT_", frozen=True, extra="ignore")

    data: Path = Path(".did-agent")
    database_url: str | None = None  # None: SQLite in the data folder
    migrate: When | None = None  # None: an older schema is taken up at the start on SQLite alone (ADR 22)
    ledger_url: str = "http://127.0.0.1:8402"
    bridge_url: str = "http://127.0.0.1:8400"
    witnesses: str = ""  # whose co-signatures are taken: lines of `did-agent audit witness --show-key`, spaces between
    audit_personal_months: int | None = Field(default=None, ge=0, le=1_200)  # kept beside the present; None: all

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the log."""
        return self.database_url or f"sqlite:///{self.data / 'ledger.db'}"

    @property
    def origin(self) -> str:
        """The name of the log in its checkpoints: the ledger's URL without its scheme (C2SP)."""
        return self.ledger_url.split("://", 1)[1]
