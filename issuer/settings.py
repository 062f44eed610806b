"""Settings of the issuer, from `DID_AGENT_*`."""

from __future__ import annotations

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class IssuerSettings(BaseSettings):
    """Where the issuer lives, whom it tells, and what it keeps its state in."""

    model_config = SettingsConfigDict(env_prefix="DID_AGENT_", frozen=True, extra="ignore")

    data: Path = Path(".did-agent")
    database_url: str | None = None  # None: SQLite in the data folder
    issuer_url: str = "http://127.0.0.1:8401"
    bridge_url: str = "http://127.0.0.1:8400"
    ledger_url: str = "http://127.0.0.1:8402"
    vc_api: bool = False  # the interop profile: no authentication, keys of its own, loopback alone

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the store."""
        return self.database_url or f"sqlite:///{self.data / 'issuer.db'}"
