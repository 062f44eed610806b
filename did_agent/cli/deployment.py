"""A deployment as this machine sees it: its URLs, its data folder, and the operator's key in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
from pydantic_settings import BaseSettings, SettingsConfigDict

from did_agent.adapters.keystore import load_key, load_or_create_key
from did_agent.adapters.trust import FILE, Trust, load_trust, save_trust
from did_agent.client.auth import TokenAuth
from did_agent.client.bridge import BridgeClient
from did_agent.client.issuer import IssuerClient
from did_agent.client.ledger import LedgerClient
from did_agent.did.key import did_key
from did_agent.errors import Misconfigured
from did_agent.keys.ed25519 import SigningKey
from did_agent.wallet import Wallet

PARTIES: Final = ("bridge", "issuer", "ledger", "urban-bites")  # those that write to the ledger
OPERATOR: Final = "operator"
CONSOLE: Final = "console"  # the party, its key, and the client that the bridge knows it as
DEFAULT_DATA: Final = Path(".did-agent")


class Urls(BaseSettings):
    """Where the parties are; exact strings without trailing slash."""

    model_config = SettingsConfigDict(env_prefix="DID_AGENT_", frozen=True, extra="ignore")

    bridge_url: str = "http://127.0.0.1:8400"
    issuer_url: str = "http://127.0.0.1:8401"
    ledger_url: str = "http://127.0.0.1:8402"
    console_url: str = "http://127.0.0.1:8403"
    demo_url: str = "http://127.0.0.1:8405/mcp"
    vc_api_url: str = "http://127.0.0.1:8406"

    @classmethod
    def on_ports_from(cls, base: int) -> Urls:
        """Return the URLs of a deployment on this machine: bridge at `base`, the others above it."""
        host = "http://127.0.0.1"
        return cls(
            bridge_url=f"{host}:{base}",
            issuer_url=f"{host}:{base + 1}",
            ledger_url=f"{host}:{base + 2}",
            console_url=f"{host}:{base + 3}",
            demo_url=f"{host}:{base + 5}/mcp",
            vc_api_url=f"{host}:{base + 6}",
        )

    def environment(self) -> Mapping[str, str]:
        """Return the settings that tell parties these URLs."""
        return {f"DID_AGENT_{name.upper()}": value for name, value in self.model_dump().items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a command needs to act as operator."""

    urls: Urls
    data: Path

    @property
    def operator_key(self) -> SigningKey:
        """The operator's key.  Raises: Misconfigured when there is none."""
        path = self.data / "keys" / f"{OPERATOR}.jwk"
        if not path.exists():
            raise Misconfigured(f"there is no operator key in {self.data}; run `did-agent init` or set --data")
        return load_key(path)

    @property
    def wallet(self) -> Wallet:
        """The wallet of this machine's agents: `DID_AGENT_WALLET`, as for `Agent`, else in the data folder."""
        return Wallet(os.environ.get("DID_AGENT_WALLET") or self.data / "wallet")

    @property
    def trust(self) -> Trust:
        """Who is trusted for what.  Raises: Misconfigured."""
        return load_trust(self.data / FILE)

    @property
    def issuer(self) -> IssuerClient:
        """The issuer, as operator."""
        return IssuerClient(self.urls.issuer_url, auth=self.operator_auth(self.urls.issuer_url))

    @property
    def bridge(self) -> BridgeClient:
        """The bridge, as operator."""
        return BridgeClient(self.urls.bridge_url, auth=self.operator_auth(self.urls.bridge_url))

    @property
    def ledger(self) -> LedgerClient:
        """The ledger, as operator."""
        return LedgerClient(self.urls.ledger_url, auth=self.operator_auth(self.urls.ledger_url))

    def operator_auth(self, resource: str) -> httpx2.Auth:
        """Return authentication for one party's API, by the operator's own key (`private_key_jwt`)."""
        key, bridge = self.operator_key, BridgeClient(self.urls.bridge_url)
        return TokenAuth(lambda: bridge.client_credentials(key, resource=resource))


def initialise(data: Path) -> Trust:
    """Make the keys a deployment needs and write down who is trusted; what exists stays.

    Raises: Misconfigured.
    """
    try:
        # Ours alone from the start: databases and logs in it inherit no protection of their own.
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(f"cannot make {data}: {error.strerror}") from error
    keys = data / "keys"
    dids = {name: did_key(load_or_create_key(keys / f"{name}.jwk").public) for name in (*PARTIES, OPERATOR)}
    path = data / FILE
    if path.exists():
        return load_trust(path)
    trust = Trust(
        issuers=(dids["issuer"],),
        operators=(dids[OPERATOR],),
        parties=tuple(dids[name] for name in PARTIES),
        ledger=dids["ledger"],
    )
    save_trust(path, trust)
    return trust
