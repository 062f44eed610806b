"""What the bridge knows: resources, agents, people, authorization requests, codes, grants (OAuth 2.1, RFC 8693)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from bridge.model.keys import DEFAULT_ALGORITHM, Ring, SigningAlgorithm
from bridge.model.operators import OperatorRole
from did_agent.credential.capability import Capability
from did_agent.keys.ed25519 import SigningKey
from did_agent.policy.combination import Combination, PolicyMode
from did_agent.tokens.access_token import HOME, SubjectProfile
from did_agent.tokens.confirmation import Confirmation

OFFLINE_ACCESS: Final = "offline_access"  # a scope between client and bridge; no resource has it
TOKEN_SECONDS: Final = 300  # life of an access token (DESIGN 6)
CODE_SECONDS: Final = 60  # life of an authorization code (RFC 9700)
MAX_ACTORS: Final = 4  # actors in one token; the hard ceiling everywhere is 8 (DEL-08)
SESSION_IDLE: Final = timedelta(minutes=30)
SESSION_LIFE: Final = timedelta(hours=12)

BRIDGE_ADMIN: Final = "bridge:admin"
ISSUER_ADMIN: Final = "issuer:admin"
REGISTRY_READ: Final = "registry:read"
AUDIT_READ: Final = "audit:read"
AUDIT_ERASE: Final = "audit:erase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this bridge is."""

    issuer: str
    did: str
    key: SigningKey  # of the DID; signs audit batches
    ring: Ring = field(repr=False)  # keys that sign tokens and the revocation feed; published in the JWKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A protected resource and its scopes, each in plain words."""

    id: str
    name: str
    scopes: Mapping[str, str]
    built_in: bool = False  # a party of this deployment: for operators alone
    binding: Literal["any", "required"] = "any"  # "required": takes sender-constrained tokens alone (TOK-09)
    admits: Literal["agents", "clients"] = "agents"  # "clients": also programs that act for a user without an agent
    signing_alg: SigningAlgorithm = DEFAULT_ALGORITHM  # of its tokens
    mode: PolicyMode = "intersection"  # how rights combine; this and the next by the policy in force, not stored
    autonomous: bool = True  # whether it takes agents that act on their own
    organisation: str = HOME  # whose it is
    shared_with: frozenset[str] = frozenset()  # other organisations whose people and agents may use it


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent as the issuer's registry describes it at this moment."""

    did: str
    name: str
    state: str
    sponsor: str
    redirect_uris: tuple[str, ...]
    credentials: tuple[Mapping[str, object], ...]  # active ones, not yet verified
    organisation: str = HOME  # for good: an agent never changes it

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
    groups: frozenset[str] = frozenset()  # what policy gives roles to; said by operators or an upstream login
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)  # resource -> scopes, by the policy; not stored
    organisation: str = HOME
    operates: frozenset[OperatorRole] = frozenset()  # as what they administer agents of their organisation

    def scopes_at(self, resource: str) -> frozenset[str]:
        """Return the scopes the person holds at `resource`."""
        return self.rights.get(resource, frozenset()) | self.roles.get(resource, frozenset())


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
    actor: str | None  # DID of the agent that will act; None when the client is no agent and none was requested
    redirect_uri: str
    redirect_uri_given: bool  # then the token request must repeat it
    state: str | None
    resource: str
    scopes: frozenset[str] | None
    code_challenge: str
    dpop_jkt: str | None = None  # then only this key redeems the code (RFC 9449, 10)
    offline: bool = False  # asked for with `offline_access`
    details: str | None = None  # `authorization_details` as they were sent
    task: str | None = None  # what the client calls what it is for
    asked_as: str | None = None  # client_id that asked, where the agent has another key by now


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """An authorization code and all it is bound to; known by the digest of its value (OAU-02)."""

    digest: str
    request: AuthorizationRequest
    username: str
    scopes: frozenset[str]  # what the user ticked
    offline: bool = False  # whether the user allowed it for longer: then there is a refresh token
    expires: datetime


class Spend(NamedTuple):
    """A single-use value, to be consumed in the transaction that ends the request."""

    purpose: str  # of which kind it is: the key spaces of kinds never meet (client_assertion, challenge, code, …)
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
    delegated: bool = False  # whether any of it was handed on by another agent


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A decision to issue: everything the token will say, and what it was made from."""

    type: str
    client_id: str
    subject: str
    subject_profile: SubjectProfile
    actors: tuple[str, ...] = ()
    resource: str
    scopes: frozenset[str]
    authority: Authority
    entitlements: frozenset[str] | None = None
    credential_ids: tuple[str, ...]  # of this and all earlier hops
    expires: datetime
    made_from: frozenset[str] = frozenset()  # what else it came from: code, token, refresh family, consent
    confirmation: Confirmation | None = None  # the key the token is bound to; None for a bearer
    combination: Combination | None = None  # how the scopes came about; None for an operator
    is_detailed: bool = False  # whether `authorization_details` narrowed it
    groups: frozenset[str] = frozenset()  # of the user, as far as policy speaks of them
    organisation: str = HOME  # whom the principal belongs to
    is_operating: bool = False  # whether a person uses their own role at a party of the deployment
    task: str | None = None  # id of what it is for: with that it ends
    task_name: str | None = None  # as its client calls it; None where it came with an earlier token
    task_client: str | None = None  # client_id that the task is of, where the agent has another key by now

    @property
    def dependencies(self) -> frozenset[str]:
        """Everything whose end must end this token too (DESIGN 8)."""
        task = () if self.task is None else (self.task,)
        return frozenset({self.client_id, self.subject, *self.made_from, *self.actors, *self.credential_ids, *task})


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthRequest:
    """A request to the token or authorization endpoint as it came: nothing of it is believed."""

    parameters: Mapping[str, str]  # once each, without empty values, which mean absent (OAuth 2.1, 3.2)
    resources: tuple[str, ...]  # every `resource` and `audience`
    authorization: str | None = field(repr=False)  # the Authorization header
    request_id: str
    dpop: tuple[str, ...] = field(default=(), repr=False)  # every DPoP header
    certificate: bytes | None = field(default=None, repr=False)  # DER of the TLS client certificate, if one was proven
    certificate_vouched: bool = False  # whether our client CA vouches for it

    def get(self, name: str) -> str | None:
        """Return a parameter, or None when it is absent."""
        return self.parameters.get(name)
