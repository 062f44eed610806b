"""Settings of a guard, from `DID_AGENT_*`; what `protect` is told goes before them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self, TypedDict

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from did_agent.adapters.trust import FILE, load_trust
from did_agent.policy.evidence import Strictness


class GuardOptions(TypedDict, total=False):
    """What every adapter takes beside `resource` and `bridge`; None, or left out: the `DID_AGENT_*` setting decides."""

    trusted_issuers: Sequence[str] | None  # DIDs whose credentials are accepted in presentations
    ledger: str | None  # exact URL
    data: Path | str | None
    strict_delegation: Strictness | None
    read_tools: Sequence[str] | None  # tools that change nothing
    metrics_path: str | None


_SETTINGS: Final = {"ledger": "ledger_url"}  # options that are settings of another name


class VerifierSettings(BaseSettings):
    """What a guard needs beside its own identifier and its bridge."""

    model_config = SettingsConfigDict(env_prefix="DID_AGENT_", frozen=True, extra="ignore")

    data: Path = Path(".did-agent")  # folder of keys, spool and trust.json
    guard_name: str = "guard"  # names the key and the spool when several guards share a folder
    ledger_url: str | None = None  # exact URL; None keeps the events in the spool
    trusted_issuers: tuple[str, ...] = ()  # DIDs whose credentials are accepted in presentations
    status_max_age: int = Field(default=30, ge=1, le=300)  # s a status list is believed
    strict_delegation: Strictness = "off"  # how far tokens must be backed by signed credentials: off, agents or full
    strict_agent_key: bool = False  # whether they must then be bound to the agent's own key too (DPoP)
    tls_proxies: tuple[str, ...] = ()  # addresses or networks whose `Client-Cert` header is believed (RFC 9440)
    staleness_seconds: int = Field(
        default=30, ge=15, le=300
    )  # s of silence of the feed after which nothing is admitted

    metrics_path: str | None = None  # where the guard shows its counts in the text format of Prometheus; None: nowhere
    read_tools: tuple[str, ...] = ()  # tools that change nothing: let through while room for events is scarce
    max_waiting: int = Field(default=100_000, ge=100)  # events kept for a ledger that is away

    @classmethod
    def load(cls, options: GuardOptions) -> Self:
        """Return the settings with `options` in front; issuers come last from `trust.json`.

        Raises: Misconfigured.
        """
        said: dict[str, Any] = {
            _SETTINGS.get(name, name): value for name, value in options.items() if value is not None
        }
        settings = cls(**said)
        if "trusted_issuers" not in said and not settings.trusted_issuers:
            trust = load_trust(settings.data / FILE)
            settings = settings.model_copy(update={"trusted_issuers": trust.issuers})
        return settings

    @property
    def key_file(self) -> Path:
        """Where the guard's own key lies; it signs deliveries to the ledger."""
        return self.data / "keys" / f"{self.guard_name}.jwk"

    @property
    def spool_file(self) -> Path:
        """Where spent presentations and waiting events lie."""
        return self.data / f"{self.guard_name}.db"
