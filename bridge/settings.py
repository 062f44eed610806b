"""Settings of the bridge, read once from the environment (`DID_AGENT_*`)."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class BridgeSettings(BaseSettings):
    """Where the bridge keeps its data, and the exact URLs of the deployment: no trailing slash, never normalised."""

    model_config = SettingsConfigDict(env_prefix="DID_AGENT_", frozen=True, extra="ignore")

    data: Path = Path(".did-agent")
    bridge_url: str = "http://127.0.0.1:8400"
    issuer_url: str = "http://127.0.0.1:8401"
    ledger_url: str = "http://127.0.0.1:8402"
    database_url: str | None = None
    client_domains: tuple[str, ...] = ()  # hosts whose client documents are read; empty: any
    dpop_nonces: bool = False  # whether DPoP proofs must carry a nonce of the bridge
    registry_max_age: float = Field(default=2, ge=0, le=30)  # seconds the register's word on an agent is believed
    status_max_age: int = Field(default=30, ge=0, le=300)  # seconds a status list is believed after it was fetched

    @field_validator("bridge_url", "issuer_url", "ledger_url")
    @classmethod
    def _exact(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or url.endswith("/") or parts.query:
            raise ValueError("an http(s) URL without trailing slash or query is needed")
        return url

    @property
    def database(self) -> str:
        """The database URL: the one given, or a SQLite file in the data folder."""
        return self.database_url or f"sqlite:///{self.data.absolute()}/bridge.db"
