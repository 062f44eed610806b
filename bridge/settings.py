"""Settings of the bridge, read once from the environment (`DID_AGENT_*`)."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bridge.model.operators import OperatorRole
from did_agent.adapters.migrations import When
from did_agent.errors import Misconfigured
from did_agent.tokens.access_token import ORGANISATION


class UpstreamPlace(BaseModel):
    """People at the company's provider who have this claim are of this organisation, and operate it as this."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: str = Field(min_length=1)
    value: str = Field(min_length=1)
    organisation: str = Field(pattern=f"^{ORGANISATION.pattern}$")
    operates: tuple[OperatorRole, ...] = ()


class BridgeSettings(BaseSettings):
    """Where the bridge keeps its data, and the exact URLs of the deployment: no trailing slash, never normalised."""

    model_config = SettingsConfigDict(env_prefix="DID_AGENT_", frozen=True, extra="ignore")

    data: Path = Path(".did-agent")
    bridge_url: str = "http://127.0.0.1:8400"
    issuer_url: str = "http://127.0.0.1:8401"
    ledger_url: str = "http://127.0.0.1:8402"
    database_url: str | None = None
    migrate: When | None = None  # None: an older schema is taken up at the start on SQLite alone (ADR 22)
    signal_sources: tuple[str, ...] = ()  # client ids that say how risky agents and people are, beside operators
    client_domains: tuple[str, ...] = ()  # hosts whose client documents are read; empty: any
    dpop_nonces: bool = False  # whether DPoP proofs must carry a nonce of the bridge
    registry_max_age: float = Field(default=2, ge=0, le=30)  # seconds the register's word on an agent is believed
    keystore_passphrase: SecretStr | None = None  # opens what seals signing keys; none: that is a file of mode 0600
    keystore_passphrase_file: Path | None = None  # where the passphrase is, instead
    pkcs11_module: str | None = None  # path of a PKCS #11 library; then new signing keys are made in it
    pkcs11_token: str = "did-agent"  # label of the token
    pkcs11_pin: SecretStr | None = None
    pkcs11_pin_file: Path | None = None  # where the PIN is, instead
    status_max_age: int = Field(default=30, ge=0, le=300)  # seconds a status list is believed after it was fetched
    trust_refresh: int = Field(default=5, ge=1, le=60)  # seconds between two questions for the issuer's trust list
    trust_max_age: int = Field(default=60, ge=15, le=300)  # seconds a trust list is believed

    token_status_above: int = Field(default=300, ge=0)  # seconds; tokens that live longer are in a Token Status List

    local_accounts: bool = True  # whether people can sign in with a password or a passkey of this bridge
    upstream_issuer: str | None = None  # a company's OpenID provider, exactly as it calls itself
    upstream_client_id: str | None = None
    upstream_client_secret: SecretStr | None = None
    upstream_client_secret_file: Path | None = None  # where the secret is, instead
    upstream_groups_claim: str = "groups"  # the claim of the ID token that policy reads as groups
    upstream_places: tuple[UpstreamPlace, ...] = ()  # whose people are, by a claim; the first that fits counts
    upstream_admits_others: bool = True  # whether people whom no rule fits sign in, as the deployment's own

    tls_cert: Path | None = None  # PEM, with the chain above it; then the bridge speaks TLS and asks for certificates
    tls_key: Path | None = None  # PEM
    mtls_url: str | None = None  # a second address, where alone clients are asked for certificates
    registration: bool = False  # whether clients register themselves at `/register` (RFC 7591)
    registration_token: SecretStr | None = None  # the initial access token they then need; none: anybody may
    registrations_per_day: int = Field(default=20, ge=1, le=1_000)  # from one address
    client_ca: Path | None = None  # PEM; who vouches for clients by `tls_client_auth`
    tls_proxies: tuple[str, ...] = ()  # addresses or networks whose `Client-Cert` (RFC 9440) and X-Forwarded-For count

    @field_validator("mtls_url")
    @classmethod
    def _exact_second(cls, url: str | None) -> str | None:
        return url if url is None else cls._exact(url)

    @field_validator("bridge_url", "issuer_url", "ledger_url")
    @classmethod
    def _exact(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or url.endswith("/") or parts.query:
            raise ValueError("an http(s) URL without trailing slash or query is needed")
        return url

    @model_validator(mode="after")
    def _whole_upstream(self) -> Self:
        secrets = [one for one in (self.upstream_client_secret, self.upstream_client_secret_file) if one is not None]
        named = [one for one in (self.upstream_issuer, self.upstream_client_id) if one is not None]
        if (named or secrets) and (len(named), len(secrets)) != (2, 1):
            raise ValueError("upstream_issuer, upstream_client_id and one upstream_client_secret go together")
        if self.upstream_issuer is None and not self.local_accounts:
            raise ValueError("without local_accounts and without upstream_issuer nobody can sign in")
        return self

    @property
    def upstream_secret(self) -> str:
        """The client secret, given or in its file."""
        if self.upstream_client_secret_file is not None:
            return self.upstream_client_secret_file.read_text(encoding="utf-8").strip()
        return "" if self.upstream_client_secret is None else self.upstream_client_secret.get_secret_value()

    @property
    def keystore_secret(self) -> str | None:
        """The passphrase, given or in its file."""
        return _secret("KEYSTORE_PASSPHRASE", self.keystore_passphrase, self.keystore_passphrase_file)

    @property
    def pkcs11_secret(self) -> str | None:
        """The PIN, given or in its file."""
        return _secret("PKCS11_PIN", self.pkcs11_pin, self.pkcs11_pin_file)

    @property
    def sees_certificates(self) -> bool:
        """Whether client certificates can come in at all."""
        return self.tls_cert is not None or bool(self.tls_proxies)

    @property
    def database(self) -> str:
        """The database URL: the one given, or a SQLite file in the data folder."""
        return self.database_url or f"sqlite:///{self.data.absolute()}/bridge.db"


def _secret(name: str, given: SecretStr | None, file: Path | None) -> str | None:
    """Return a secret that may be set or lie in a file.

    Raises: Misconfigured for both at once, for an empty one, and for a file that cannot be read.
    """
    if given is not None and file is not None:
        raise Misconfigured(f"DID_AGENT_{name} and DID_AGENT_{name}_FILE are both set")
    try:
        if file is not None:
            given = SecretStr(file.read_text(encoding="utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"DID_AGENT_{name}_FILE cannot be read") from error
    if given is not None and not given:
        raise Misconfigured(f"DID_AGENT_{name} is empty")
    return None if given is None else given.get_secret_value()
