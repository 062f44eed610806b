"""OAuth clients as the bridge knows them, whichever way it came to know them (RFC 7591; CIMD; the agents' register)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from did_agent.keys.certificate import NameKind

ClientKind = Literal["agent", "document", "registered", "dynamic"]  # by an operator, or by itself (RFC 7591)
AuthMethod = Literal[
    "private_key_jwt",
    "client_secret_basic",
    "client_secret_post",
    "self_signed_tls_client_auth",
    "tls_client_auth",
    "none",
]

AUTH_METHODS: Final[tuple[AuthMethod, ...]] = ("private_key_jwt", "client_secret_basic", "client_secret_post", "none")
TLS_METHODS: Final[tuple[AuthMethod, ...]] = ("self_signed_tls_client_auth", "tls_client_auth")  # where TLS asks


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """A client: an agent of the register, the author of a metadata document, or somebody an operator registered."""

    id: str
    kind: ClientKind
    name: str
    redirect_uris: tuple[str, ...]
    auth_method: AuthMethod
    agent: str | None = None  # DID of the agent that this client is; None for a program that acts for no agent
    secret_digest: str | None = field(default=None, repr=False)
    # JWKs of `private_key_jwt`, for a client that is no did:key; certificates (`x5c`) of `self_signed_tls_client_auth`.
    keys: tuple[Mapping[str, object], ...] = ()
    certificate_name: tuple[NameKind, str] | None = None  # of `tls_client_auth`
    resources: tuple[str, ...] = ()  # whose resource server it is: it may introspect tokens for them
    require_pushed: bool = False  # takes only pushed authorization requests (RFC 9126, 6)
    operates: bool = False  # people with a role operate the deployment through it

    @property
    def host(self) -> str | None:
        """The host that published the client's metadata, which its name does not prove; None for the other kinds."""
        return self.id.split("/")[2] if self.kind == "document" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedRequest:
    """The parameters of a pushed authorization request, bound to the client that pushed them."""

    client_id: str
    parameters: Mapping[str, str]
    resources: tuple[str, ...]
