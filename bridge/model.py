"""What the bridge knows: resources, agents, people, authorization requests, codes, tokens (OAuth 2.1, RFC 8693)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from did_agent.credential.capability import Capability
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.access_token import SubjectProfile

TOKEN_SECONDS: Final = 300  # life of an access token (DESIGN 6)
CODE_SECONDS: Final = 60  # life of an authorization code (RFC 9700)
CHALLENGE_SECONDS: Final = 120  # life of a challenge
MAX_ACTORS: Final = 4  # actors in one token; the hard ceiling everywhere is 8 (DEL-08)
SESSION_IDLE: Final = timedelta(minutes=30)
SESSION_LIFE: Final = timedelta(hours=12)

BRIDGE_ADMIN: Final = "bridge:admin"
ISSUER_ADMIN: Final = "issuer:admin"
REGISTRY_READ: Final = "registry:read"
AUDIT_READ: Final = "audit:read"

GrantType = Literal["client_credentials", "authorization_code", "token_exchange"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this bridge is: its issuer string, its own DID, and the keys behind both."""

    issuer: str
    did: str
    key: SigningKey  # of the DID; signs audit batches
    token_key: SigningKey  # signs tokens and the revocation feed; published in the JWKS
    kid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A protected resource and its scopes, each in plain words."""

    id: str
    name: str
    scopes: Mapping[str, str]
    built_in: bool = False  # a party of this deployment: for operators alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent as the issuer's registry describes it at this moment."""

    agent_id: str
    did: str
    name: str
    state: str
    sponsor: str
    redirect_uris: tuple[str, ...]
    credentials: tuple[Mapping[str, object], ...]  # active capability credentials, not yet verified

    @property
    def is_active(self) -> bool:
        """Tell whether the agent may do anything at all."""
        return self.state == "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person with a local account, and what they may do where."""

    username: str
    name: str
    password_hash: str = field(repr=False)
    rights: Mapping[str, frozenset[str]]  # resource -> scopes

    def scopes_at(self, resource: str) -> frozenset[str]:
        """Return the scopes the person holds at `resource`."""
        return self.rights.get(resource, frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A signed-in browser; known by the digest of its cookie."""

    digest: str
    username: str
    created: datetime
    seen: datetime

    def is_live(self, now: datetime) -> bool:
        """Tell whether the session has neither idled nor aged out (WEB-06)."""
        return now < self.seen + SESSION_IDLE and now < self.created + SESSION_LIFE


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A checked authorization request: its redirect may be trusted, its resource is ours."""

    client_id: str
    redirect_uri: str
    redirect_uri_given: bool  # then the token request must repeat it (OAuth 2.1, 4.1.3)
    state: str | None
    resource: str
    scopes: frozenset[str] | None
    code_challenge: str
    requested_actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """An authorization code and all it is bound to; known by the digest of its value (OAU-02)."""

    digest: str
    request: AuthorizationRequest
    username: str
    scopes: frozenset[str]  # what the user ticked
    expires: datetime
    used: bool = False
    token_id: str | None = None  # the token it was redeemed for


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """A single-use value to be consumed in the transaction that ends the request."""

    purpose: Literal["client_assertion", "challenge", "presentation"]
    key: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What verified credentials let one agent do at one resource, and the signed documents that say so."""

    capabilities: tuple[Capability, ...]
    credential_ids: tuple[str, ...]
    documents: tuple[Mapping[str, object], ...]
    digest: str | None  # over the documents; None when there are none
    valid_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A decision to issue: everything the token will say, and everything its making consumes."""

    type: GrantType
    client_id: str
    subject: str
    subject_profile: SubjectProfile
    actors: tuple[str, ...]
    resource: str
    scopes: frozenset[str]
    authority: Authority
    entitlements: frozenset[str] | None
    credential_ids: tuple[str, ...]  # of this and all earlier hops
    expires: datetime
    code: str | None = None  # digest of the code it redeems
    parent_id: str | None = None  # jti of the token it came from

    @property
    def policy(self) -> str:
        """Mode of the decision, as audit events carry it."""
        return "intersection" if self.subject_profile == "user" else "agent_only"

    @property
    def dependencies(self) -> frozenset[str]:
        """Everything whose end must end this token too (DESIGN 8)."""
        parent = {self.parent_id} if self.parent_id else set()
        return frozenset({self.client_id, self.subject, *self.actors, *self.credential_ids, *parent})


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """What the bridge remembers of a token it issued."""

    id: str
    client_id: str
    subject: str
    resource: str
    expires: datetime
    parent_id: str | None
    revoked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedItem:
    """One entry of the revocation feed, signed once."""

    seq: int
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthRequest:
    """A request to the token or authorization endpoint as it came: parameters once each, nothing believed."""

    parameters: Mapping[str, str]  # without empty values, which mean absent (OAuth 2.1, 3.2)
    resources: tuple[str, ...]  # `resource` and `audience`, the two that may repeat
    authorization: bool  # whether an Authorization header came
    request_id: str | None

    def get(self, name: str) -> str | None:
        """Return a parameter, or None when it is absent."""
        return self.parameters.get(name)
