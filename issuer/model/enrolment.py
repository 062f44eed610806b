"""Ways into the registry that need no operator at the time: tokens, attested workloads, and who still has to agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from issuer.model import HOME, Agent

Rebind = Literal["allow", "approve", "refuse"]
Verdict = Literal["waiting", "approved", "rejected", "superseded"]
Asking = Literal["enrol", "rebind"]
Source = Literal["invitation", "token", "attestation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentToken:
    """Lets a bounded number of agents enrol as instances of a blueprint; only the digest of its secret is kept."""

    organisation: str = HOME
    id: str
    digest: str
    template: str
    groups: tuple[str, ...]  # beside those of the blueprint
    owner: str  # of the agents made with it
    needs_approval: bool
    note: str
    uses: int
    left: int
    created: datetime
    expires: datetime
    by: str
    ended: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationRule:
    """Which workloads of a platform are instances of which blueprint."""

    organisation: str = HOME
    name: str
    issuer: str  # the exact `iss` of the platform's tokens
    jwks: Mapping[str, object] | None  # pinned keys; None: fetched
    jwks_uri: str | None  # None: found by OpenID Connect discovery
    claims: Mapping[str, str]  # what its claims must be; `*` stands inside one part of a name
    template: str
    agent_name: str  # `{claim}` stands for the claim
    tags: tuple[str, ...]
    metadata: Mapping[str, str]  # values may hold `{claim}`
    sponsor: str | None  # None: the blueprint's
    owner: str
    needs_approval: bool
    rebind: Rebind  # what happens when the same workload comes with another key
    created: datetime
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A proven key that waits until somebody agrees that it speaks for an agent."""

    organisation: str = HOME
    id: str
    agent_id: str
    did: str
    asking: Asking
    source: Source
    source_id: str
    owner: str  # of the agent, who may decide
    by: str  # who let it come this far, and so does not decide for another's agent
    asked: datetime
    verdict: Verdict = "waiting"
    decided: datetime | None = None
    decided_by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalPolicy:
    """Whether enrolled agents wait for their owner: those of one blueprint, or (`template` None) of all."""

    organisation: str = HOME
    template: str | None
    needs_approval: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What came of an enrolment: an agent that acts, or one that waits."""

    agent: Agent
    identity: Mapping[str, object] | None
    waiting: str | None = None  # the application
