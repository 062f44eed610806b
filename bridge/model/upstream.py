"""A company's own OpenID provider: where it is, a login that is under way there, and whom it names."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from bridge.model.operators import OperatorRole
from did_agent.tokens.access_token import HOME

LOGIN_SECONDS: Final = 600  # from leaving for the provider to coming back (OAU-09)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRule:
    """Whose a person is who has a claim of this value, or a list of claims with it."""

    claim: str
    value: str
    organisation: str
    operates: frozenset[OperatorRole] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """The provider as the operator configured it, and how it knows us."""

    issuer: str  # exact; every answer and ID token must name it
    client_id: str
    client_secret: str = field(repr=False)
    groups_claim: str
    redirect_uri: str  # to be registered there
    places: tuple[PlaceRule, ...] = ()  # the first that fits says the organisation
    admits_others: bool = True  # whether whom no rule fits is of the organisation that runs the deployment, or nobody


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
    organisation: str = HOME
    operates: frozenset[OperatorRole] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One step of the examination of a provider, in words for its operator."""

    step: str
    ok: bool
    detail: str
