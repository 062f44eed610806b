"""A company's own OpenID provider: where it is, a login that is under way there, and whom it names."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

LOGIN_SECONDS: Final = 600  # from leaving for the provider to coming back (OAU-09)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """The provider as the operator configured it, and how it knows us."""

    issuer: str  # exact; every answer and ID token must name it
    client_id: str
    client_secret: str = field(repr=False)
    groups_claim: str
    redirect_uri: str  # to be registered there


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamMetadata:
    """What the provider says of itself, after it was judged."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    auth_method: str  # how we authenticate to it
    scopes: frozenset[str]  # all it offers
    sends_issuer: bool  # then an answer without `iss` is refused (RFC 9207)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingLogin:
    """A login under way; PKCE verifier and nonce are made from the state and a key, so none of them is stored."""

    state: str  # digest
    browser: str  # digest of the cookie of the browser that left
    issuer: str
    back_to: str  # path of ours, with its query
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamAnswer:
    """What came back with the browser, as it came."""

    state: str | None
    code: str | None = field(repr=False)
    error: str | None
    issuer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamPerson:
    """A person as the provider's ID token named them: known by issuer and subject alone, never by an e-mail."""

    issuer: str
    subject: str
    name: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One step of the examination of a provider, in words for its operator."""

    step: str
    ok: bool
    detail: str
