"""AgentCapabilityCredential and AgentIdentityCredential: a typed view beside the bytes that were signed (VCDM 2.0, 4).

Reading is not believing: these views say what a document claims; `chain` says whether to believe it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from did_agent.credential import closed
from did_agent.credential.capability import MAX_CAPABILITIES, Capability, parse_capability
from did_agent.credential.context import AGENT_PROFILE
from did_agent.credential.status import StatusEntry, parse_status_entries
from did_agent.credential.validity import Period, parse_period
from did_agent.encoding import digest, jcs
from did_agent.errors import BadCredential, TooLarge

MAX_CREDENTIAL: Final = 65_536  # bytes of the canonical form
MAX_DELEGATION: Final = 8  # hard ceiling of `maxDepth`; deeper chains are refused everywhere (DEL-08)
MAX_NAME: Final = 64  # characters
MAX_DESCRIPTION: Final = 1_000  # characters
CAPABILITY_TYPE: Final = ["VerifiableCredential", "AgentCapabilityCredential"]
IDENTITY_TYPE: Final = ["VerifiableCredential", "AgentIdentityCredential"]

_REQUIRED: Final = frozenset({"@context", "id", "type", "issuer", "validFrom", "validUntil", "credentialSubject"})
_OPTIONAL: Final = frozenset({"credentialStatus", "proof"})
_SOFTWARE: Final = frozenset({"name", "version", "model", "environment"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityCredential:
    """What an AgentCapabilityCredential claims, next to the document itself."""

    id: str
    issuer: str
    subject: str
    period: Period
    on_behalf_of: str | None
    account: str | None  # id of the credential it continues, under which what is spent of both is counted
    capabilities: tuple[Capability, ...]
    depth: int
    max_depth: int
    parent_id: str | None
    parent_digest: str | None
    statuses: tuple[StatusEntry, ...]
    document: Mapping[str, object] = field(repr=False, compare=False)
    canonical: bytes = field(repr=False)  # JCS of the document with its proof: what a child commits to

    @property
    def valid_from(self) -> datetime:
        """The moment the grant begins."""
        return self.period.start

    @property
    def valid_until(self) -> datetime:
        """The moment the grant is over."""
        return self.period.end

    @property
    def digest(self) -> str:
        """`digestMultibase` over the document including its proof."""
        return digest.digest_multibase(self.canonical)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentIdentityCredential:
    """What an AgentIdentityCredential claims: who an agent is and who answers for it."""

    id: str
    issuer: str
    subject: str
    period: Period
    agent_id: str
    name: str
    sponsor: str
    description: str | None
    software: Mapping[str, str]
    statuses: tuple[StatusEntry, ...]
    document: Mapping[str, object] = field(repr=False, compare=False)


def parse_capability_credential(
    document: Mapping[str, object], *, canonical: bytes | None = None
) -> CapabilityCredential:
    """Return the typed view of `document`: closed schema, exact `@context`, at most 64 KiB.

    `canonical` is its JCS form, where the caller has it already.
    Raises: BadCredential, BadConstraint, BadTimestamp, BadEncoding, TooLarge.
    """
    canonical = _require_envelope(document, CAPABILITY_TYPE, canonical)
    subject = closed.members(
        document["credentialSubject"],
        "credentialSubject",
        required=frozenset({"id", "type", "capability", "delegation"}),
        optional=frozenset({"onBehalfOf", "account"}),
    )
    closed.constant(subject["type"], "subject type", "AIAgent")
    listed = closed.array(subject["capability"], "capability", least=1, most=MAX_CAPABILITIES)
    depth, max_depth, parent = _parse_delegation(subject["delegation"])
    credential = CapabilityCredential(
        id=closed.uri(document["id"], "id"),
        issuer=closed.uri(document["issuer"], "issuer"),
        subject=closed.uri(subject["id"], "subject id"),
        period=parse_period(document),
        on_behalf_of=closed.uri(subject["onBehalfOf"], "onBehalfOf") if "onBehalfOf" in subject else None,
        account=closed.uri(subject["account"], "account") if "account" in subject else None,
        capabilities=tuple(parse_capability(entry) for entry in listed),
        depth=depth,
        max_depth=max_depth,
        parent_id=parent[0] if parent else None,
        parent_digest=parent[1] if parent else None,
        statuses=_statuses(document),
        document=document,
        canonical=canonical,
    )
    # What is handed on is counted for itself and for its parent: it continues nothing.
    if credential.account is not None and depth > 0:
        raise BadCredential("a delegated credential names an account")
    # "On behalf of" names somebody else; an agent acting for itself leaves it out (DEL-11).
    if credential.on_behalf_of == credential.subject:
        raise BadCredential("an agent acts on behalf of itself")
    return credential


def parse_identity_credential(document: Mapping[str, object]) -> AgentIdentityCredential:
    """Return the typed view of `document`: closed schema, exact `@context`, at most 64 KiB.

    Raises: BadCredential, BadTimestamp, BadEncoding, TooLarge.
    """
    _require_envelope(document, IDENTITY_TYPE)
    subject = closed.members(
        document["credentialSubject"],
        "credentialSubject",
        required=frozenset({"id", "type", "agentId", "name", "sponsor"}),
        optional=frozenset({"description", "software"}),
    )
    closed.constant(subject["type"], "subject type", "AIAgent")
    description = subject.get("description")
    software = closed.members(subject.get("software", {}), "software", required=frozenset(), optional=_SOFTWARE)
    return AgentIdentityCredential(
        id=closed.uri(document["id"], "id"),
        issuer=closed.uri(document["issuer"], "issuer"),
        subject=closed.uri(subject["id"], "subject id"),
        period=parse_period(document),
        agent_id=closed.uri(subject["agentId"], "agentId"),
        name=closed.text(subject["name"], "name", max_chars=MAX_NAME),
        sponsor=closed.text(subject["sponsor"], "sponsor", max_chars=MAX_DESCRIPTION),
        description=None if description is None else closed.text(description, "description", max_chars=MAX_DESCRIPTION),
        software={name: closed.text(value, f"software {name}", max_chars=MAX_NAME) for name, value in software.items()},
        statuses=_statuses(document),
        document=document,
    )


def _require_envelope(
    document: Mapping[str, object], expected_type: list[str], canonical: bytes | None = None
) -> bytes:
    closed.members(document, "credential", required=_REQUIRED, optional=_OPTIONAL)
    closed.constant(document["@context"], "@context", AGENT_PROFILE)
    closed.constant(document["type"], "type", expected_type)
    canonical = jcs.canonicalize(document) if canonical is None else canonical
    if len(canonical) > MAX_CREDENTIAL:
        raise TooLarge(f"a credential has more than {MAX_CREDENTIAL} bytes")
    return canonical


def _statuses(document: Mapping[str, object]) -> tuple[StatusEntry, ...]:
    return parse_status_entries(document["credentialStatus"]) if "credentialStatus" in document else ()


def _parse_delegation(value: object) -> tuple[int, int, tuple[str, str] | None]:
    """Return depth, ceiling and (id, digest) of the parent; a parent is named exactly by the delegated."""
    names = frozenset({"type", "depth", "maxDepth"})
    policy = closed.members(value, "delegation", required=names, optional=frozenset({"parent"}))
    closed.constant(policy["type"], "delegation type", "DelegationPolicy")
    max_depth = closed.whole(policy["maxDepth"], "maxDepth", least=0, most=MAX_DELEGATION)
    depth = closed.whole(policy["depth"], "depth", least=0, most=max_depth)
    if ("parent" in policy) != (depth > 0):
        raise BadCredential("a root names a parent, or a delegated credential names none")
    if depth == 0:
        return depth, max_depth, None
    parent = closed.members(policy["parent"], "parent", required=frozenset({"id", "digestMultibase"}))
    commitment = closed.text(parent["digestMultibase"], "parent digest", max_chars=64)
    return depth, max_depth, (closed.uri(parent["id"], "parent id"), commitment)
