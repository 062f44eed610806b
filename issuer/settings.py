"""Settings of the issuer, from `DID_AGENT_*`."""

from __future__ import annotations

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from did_agent.adapters.migrations import When


class IssuerSettings(BaseSettings):
    """Where the issuer lives, whom it tells, and what it keeps its state in."""

    model_config = SettingsConfigDict(env_prefix="DID_AGENT_", frozen=True, extra="ignore")

    data: Path = Path(".did-agent")
    database_url: str | None = None  # None: SQLite in the data folder
    migrate: When | None = None  # None: an older schema is taken up at the start on SQLite alone (ADR 22)
    issuer_url: str = "http://127.0.0.1:8401"
    bridge_url: str = "http://127.0.0.1:8400"
    ledger_url: str = "http://127.0.0.1:8402"
    status_list_size: int = (
        131_072  # places of a new status list, a multiple of 8; larger ones hide their holders better
    )
    vc_api: bool = False  # the interop profile: no authentication, keys of its own, loopback alone

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the store."""
        return self.database_url or f"sqlite:///{self.data / 'issuer.db'}"
