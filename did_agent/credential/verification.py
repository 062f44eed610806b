"""Verify any credential, whatever its type: form, model, proofs, validity, status and schema (VCDM 2.0, 7).

This is how strangers' credentials are looked at.  Capability credentials, which give rights, go through `chain`, whose
schema is closed.  `ask` believes the proofs and says what must be fetched; `judge` collects a finding for every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal

from did_agent.credential import bitstring, schema, vcdm
from did_agent.credential.envelope import MediaType, Secured, believe, read_secured
from did_agent.did.resolve import NO_DOCUMENTS, Documents, needs_fetching
from did_agent.encoding.jsonld import dataset
from did_agent.errors import (
    DidAgentError,
    SchemaViolated,
    StatusNotVerified,
    StatusUnavailable,
    WrongIssuer,
)

Policy = Literal["issuer", "proof"]  # who must control the proofs: the issuer, or anybody (interop suites alone)
Step = Literal["proof", "model", "issuer", "validFrom", "validUntil", "credentialStatus", "credentialSchema"]
JSONObject = Mapping[str, object]

_NOTHING: Final[Mapping[str, JSONObject]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one step found; without an error the step holds."""

    step: Step
    input: object
    error: DidAgentError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was fetched: status lists and schemas by their addresses, as received."""

    status_lists: Mapping[str, JSONObject] = field(default_factory=lambda: _NOTHING)
    schemas: Mapping[str, JSONObject] = field(default_factory=lambda: _NOTHING)
    documents: Documents = field(default_factory=lambda: NO_DOCUMENTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCredential:
    """A credential whose proofs hold, and what must be known to judge it."""

    document: JSONObject  # what was signed, without proofs
    media_type: MediaType
    controllers: tuple[str, ...]
    now: datetime
    status_urls: tuple[str, ...]
    schema_urls: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialVerdict:
    """Everything that was found out about a credential."""

    document: JSONObject | None  # None when no proof holds
    media_type: MediaType | None
    controllers: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def verified(self) -> bool:
        """Whether every step holds; expired, revoked and suspended credentials do not."""
        return self.document is not None and all(finding.error is None for finding in self.findings)

    @property
    def errors(self) -> tuple[DidAgentError, ...]:
        """What was wrong, in the order of the steps."""
        return tuple(finding.error for finding in self.findings if finding.error is not None)


def unresolved(secured: Secured) -> frozenset[str]:
    """Return the DIDs whose documents must be fetched before the proofs of a credential can be judged.

    Raises: Malformed leaves when it cannot be read.
    """
    methods = read_secured(secured, "credential").methods()
    return frozenset(did for method in methods if (did := needs_fetching(method)) is not None)


def ask(
    secured: Secured, *, now: datetime, documents: Documents = NO_DOCUMENTS, policy: Policy = "issuer"
) -> AskedCredential:
    """Return the credential as far as it can be believed offline.

    Raises: what `read_secured` and `believe` raise, BadCredential and BadTimestamp for the data model, UnknownContext
    and DataLoss for JSON-LD, WrongIssuer when no proof is by the issuer.
    """
    unverified = read_secured(secured, "credential")
    proven = believe(unverified, "credential", now=now, documents=documents)
    document = proven[0].document
    vcdm.require_credential(document)
    dataset(document)  # what the JSON says must be what its context means, whichever suite signed it
    controllers = tuple(verified.controller for verified in proven)
    if policy == "issuer" and vcdm.issuer_of(document) not in controllers:
        raise WrongIssuer(f"{vcdm.issuer_of(document)} is not among those who signed: {', '.join(controllers)[:200]}")
    return AskedCredential(
        document=document,
        media_type=unverified.media_type,
        controllers=controllers,
        now=now,
        status_urls=tuple(dict.fromkeys(bitstring.parse_entry(entry).list_url for entry in _entries(document))),
        schema_urls=tuple(schema.schema_urls(document)),
    )


def judge(asked: AskedCredential, evidence: Evidence) -> CredentialVerdict:
    """Return everything that was found out; nothing missing counts as good."""
    findings = [Finding(step="proof", input=controller) for controller in asked.controllers]
    for check in FINDINGS:
        findings.extend(check(asked, evidence))
    return CredentialVerdict(
        document=asked.document,
        media_type=asked.media_type,
        controllers=asked.controllers,
        findings=tuple(findings),
    )


def refused(error: DidAgentError, secured: object) -> CredentialVerdict:
    """Return the verdict on a credential that did not pass `ask`."""
    step: Step = "model" if error.code in _MODEL_CODES else "proof"
    return CredentialVerdict(
        document=None, media_type=None, controllers=(), findings=(Finding(step=step, input=secured, error=error),)
    )


_MODEL_CODES: Final = frozenset({"malformed_credential", "bad_timestamp", "unknown_context", "data_loss", "not_json"})


# ---- steps that need time or evidence; each yields a finding for what it looked at


def validity(asked: AskedCredential, _evidence: Evidence) -> Iterator[Finding]:
    """`validFrom` and `validUntil`, and their names of 1.1 (VCDM 2.0, 4.9)."""
    for name, value, error in vcdm.validity(asked.document, asked.now):
        yield Finding(
            step="validFrom" if name in ("validFrom", "issuanceDate") else "validUntil", input=value, error=error
        )


def status(asked: AskedCredential, evidence: Evidence) -> Iterator[Finding]:
    """Every entry of `credentialStatus` of the kind that is known here (Bitstring Status List 1.0, 3.2)."""
    for entry in _entries(asked.document):
        try:
            _check_status(entry, asked, evidence).require_valid()
            yield Finding(step="credentialStatus", input=entry)
        except DidAgentError as error:
            yield Finding(step="credentialStatus", input=entry, error=error)


def schemas(asked: AskedCredential, evidence: Evidence) -> Iterator[Finding]:
    """Every `credentialSchema`; what cannot be decided is not good (VC JSON Schema, 3)."""
    believed = dict(_schema_credentials(asked, evidence))
    for outcome in schema.validate(asked.document, evidence.schemas, credentials=believed):
        error = None if outcome.result == "success" else SchemaViolated(f"{outcome.result}: {outcome.detail}")
        yield Finding(step="credentialSchema", input=outcome.source, error=error)


FINDINGS: Final[Sequence[Callable[[AskedCredential, Evidence], Iterator[Finding]]]] = (validity, status, schemas)


def _schema_credentials(asked: AskedCredential, evidence: Evidence) -> Iterator[tuple[str, JSONObject]]:
    """Yield the JsonSchemaCredentials among the schemas whose own proofs hold, by their issuers, and are current."""
    for url, found in evidence.schemas.items():
        try:
            secured = read_secured(found, "credential")
            proven = believe(secured, "credential", now=asked.now, documents=evidence.documents)
            document = proven[0].document
            vcdm.require_credential(document)
            current = all(error is None for _, _, error in vcdm.validity(document, asked.now))
        except DidAgentError:
            continue  # a plain schema, or one nobody vouches for: `validate` says what that means
        if current and vcdm.issuer_of(document) in {one.controller for one in proven}:
            yield url, document


def _entries(document: JSONObject) -> list[JSONObject]:
    # Entries of other types are statements for others to read; VCDM 2.0, 4.10 leaves them open.
    value = document.get("credentialStatus", [])
    listed = value if isinstance(value, list) else [value]
    kind = "BitstringStatusListEntry"
    return [entry for entry in listed if isinstance(entry, dict) and entry.get("type") in (kind, [kind])]


def _check_status(entry: JSONObject, asked: AskedCredential, evidence: Evidence) -> bitstring.StatusResult:
    url = bitstring.parse_entry(entry).list_url
    secured = evidence.status_lists.get(url)
    if secured is None:
        raise StatusUnavailable(f"no status list from {url}")
    try:
        proven = believe(read_secured(secured, "credential"), "credential", now=asked.now, documents=evidence.documents)
    except DidAgentError as error:
        raise StatusNotVerified(f"the status list does not verify: {error.code}") from error
    document = proven[0].document
    vcdm.require_credential(document)
    issuer = vcdm.issuer_of(document)
    controllers = [verified.controller for verified in proven]
    return bitstring.check_entry(
        entry,
        document,
        list_controller=issuer if issuer in controllers else controllers[0],
        fetched_at=asked.now,
        credential_issuer=vcdm.issuer_of(asked.document),
        now=asked.now,
    )
