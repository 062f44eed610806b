"""Settings of the console, from `DID_AGENT_*`."""

from __future__ import annotations

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from did_agent.adapters.migrations import When

CLIENT_ID = "console"  # as the bridge knows it


class ConsoleSettings(BaseSettings):
    """Where the console is, whom it asks, and where it keeps who is signed in."""

    model_config = SettingsConfigDict(env_prefix="DID_AGENT_", frozen=True, extra="ignore")

    data: Path = Path(".did-agent")
    database_url: str | None = None  # None: SQLite in the data folder
    migrate: When | None = None  # None: an older schema is taken up at the start on SQLite alone (ADR 22)
    console_url: str = "http://127.0.0.1:8403"
    bridge_url: str = "http://127.0.0.1:8400"
    issuer_url: str = "http://127.0.0.1:8401"
    ledger_url: str = "http://127.0.0.1:8402"

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the sessions."""
        return self.database_url or f"sqlite:///{self.data / 'console.db'}"
