"""Settings of a guard, from `DID_AGENT_*`; what `protect` is told goes before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Self, TypedDict

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from did_agent.adapters.tool_pins import FILE as PINS
from did_agent.adapters.tool_pins import SEEN as SEEN_TOOLS
from did_agent.adapters.trust import FILE, load_trust
from did_agent.policy.evidence import Strictness
from verifier.adapters.issuers import Said
from verifier.doors.presentation import Mode
from verifier.limits.costs import Cost
from verifier.limits.gate import Refunds
from verifier.pins import Pinning

Following = Literal["bridge", "off"]


class GuardOptions(TypedDict, total=False):
    """What every adapter takes beside `resource` and `bridge`; None, or left out: the `DID_AGENT_*` setting decides."""

    trusted_issuers: Sequence[str] | None  # DIDs whose credentials are accepted in presentations
    ledger: str | None  # exact URL
    data: Path | str | None
    strict_delegation: Strictness | None
    read_tools: Sequence[str] | None  # tools that change nothing
    metrics_path: str | None
    issuers: Said | None  # whose tokens count beside the bridge's: a file, or its entries
    vp_mode: Mode | None
    dpop_nonce: bool | None
    limits_url: str | None
    costs: Mapping[str, Cost] | None  # what calls cost, by tool; for limits on amounts
    refunds: Refunds | None
    operators: Sequence[str] | None  # DIDs whose approval of tools counts
    tool_pins: Pinning | None
    policy: Following | None


_SETTINGS: Final = {"ledger": "ledger_url"}  # options that are settings of another name


class VerifierSettings(BaseSettings):
    """What a guard needs beside its own identifier and its bridge."""

    model_config = SettingsConfigDict(env_prefix="DID_AGENT_", frozen=True, extra="ignore")

    data: Path = Path(".did-agent")  # folder of keys, spool and trust.json
    guard_name: str = "guard"  # names the key and the spool when several guards share a folder
    ledger_url: str | None = None  # exact URL; None keeps the events in the spool
    trusted_issuers: tuple[str, ...] = ()  # DIDs whose credentials are accepted in presentations
    status_max_age: int = Field(default=30, ge=1, le=300)  # s a status list is believed
    issuer_url: str | None = None  # whose trust list is followed; None: as the bridge passes it on
    trust_refresh: int = Field(default=10, ge=1, le=60)  # s between two questions for a newer trust list
    trust_max_age: int = Field(default=60, ge=15, le=300)  # s a trust list is believed
    strict_delegation: Strictness = "off"  # how far tokens must be backed by signed credentials: off, agents or full
    strict_agent_key: bool = False  # whether they must then be bound to the agent's own key too (DPoP)
    tls_proxies: tuple[str, ...] = ()  # addresses or networks whose `Client-Cert` header is believed (RFC 9440)
    staleness_seconds: int = Field(
        default=30, ge=15, le=300
    )  # s of silence of the feed after which nothing is admitted

    issuers_file: Path | None = None  # of other issuers; None: `issuers.json` in the data folder, if there is one
    vp_mode: Mode = "both"  # how a vp+jwt counts: for one request, beside DPoP proofs of its holder, or either
    dpop_nonce: bool = False  # whether DPoP proofs must carry a nonce of the guard (RFC 9449, 9)
    metrics_path: str | None = None  # where the guard shows its counts in the text format of Prometheus; None: nowhere
    probes: bool = True  # whether the guard itself answers `/livez` and `/readyz`
    read_tools: tuple[str, ...] = ()  # tools that change nothing: let through while room for events is scarce
    # Where limits are counted: sqlite:///…, postgresql://…, valkey://…; None: in the spool.
    limits_url: str | None = Field(default=None, repr=False)
    costs_file: Path | None = None  # JSON: what calls cost, by tool; for limits on amounts
    refunds: Refunds = "never"  # whether a call that failed is given back to its limits: never or on_error
    operators: tuple[str, ...] = ()  # DIDs whose approval of tools counts; none: those of `trust.json`
    tool_pins: Pinning = "if_present"  # whether tools must be approved even where nobody ever approved any: required
    tool_max_age: int = Field(default=60, ge=1, le=3_600)  # s what the server says of its tools is believed
    policy: Following = "bridge"  # whether the policy that the bridge publishes is decided by at the call, too
    policy_client: str | None = None  # the guard's client id at the bridge, where its key is registered; None: its DID
    policy_refresh: int = Field(default=10, ge=1, le=300)  # s between two questions for a newer policy
    max_waiting: int = Field(default=100_000, ge=100)  # events kept for a ledger that is away

    @classmethod
    def load(cls, options: GuardOptions) -> Self:
        """Return the settings with `options` in front; issuers and operators come last from `trust.json`.

        Raises: Misconfigured.
        """
        said: dict[str, Any] = {
            _SETTINGS.get(name, name): value for name, value in options.items() if value is not None
        }
        settings = cls(**said)
        if "trusted_issuers" not in said and not settings.trusted_issuers:
            trust = load_trust(settings.data / FILE)
            settings = settings.model_copy(update={"trusted_issuers": trust.issuers})
        if "operators" not in said and not settings.operators:
            settings = settings.model_copy(update={"operators": load_trust(settings.data / FILE).operators})
        return settings

    @property
    def key_file(self) -> Path:
        """Where the guard's own key lies; it signs deliveries to the ledger."""
        return self.data / "keys" / f"{self.guard_name}.jwk"

    @property
    def pins_file(self) -> Path:
        """Where the tools lie that operators approved."""
        return self.data / PINS

    @property
    def seen_tools_file(self) -> Path:
        """Where operators find what the server's tools are."""
        return self.data / SEEN_TOOLS / f"{self.guard_name}.json"

    @property
    def trust_file(self) -> Path:
        """Where the last good trust list lies."""
        return self.data / f"{self.guard_name}.trust-list.jwt"

    @property
    def policy_file(self) -> Path:
        """Where the last good policy of the bridge lies."""
        return self.data / f"{self.guard_name}.policy.json"

    @property
    def spool_file(self) -> Path:
        """Where spent presentations and waiting events lie."""
        return self.data / f"{self.guard_name}.db"
