"""What an evidence bundle proves to somebody who knows nobody: offline, and by the keys in it (AUD-03, DEL-07).

Reading `check_bundle` top to bottom is reading what is compared.  A finding says what is proven and by whose key, or
that something is said and not proven here; whatever does not fit raises and is named.  That the keys belong to whom
their holders say is the reader's own question: `Pins` is the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from did_agent.audit.bundle import Bundle, BundledRow
from did_agent.audit.checkpoint import Checkpoint, verify_checkpoint
from did_agent.audit.cosignature import Witness, require_quorum
from did_agent.audit.event import AuditEvent
from did_agent.audit.merkle import root_by
from did_agent.audit.personal import is_sealed
from did_agent.audit.rows import leaf_of
from did_agent.credential.behind import verify_behind
from did_agent.credential.chain import VerifiedChain
from did_agent.credential.known import KnownCredentials
from did_agent.credential.model import MAX_DELEGATION
from did_agent.credential.standing import require_standing
from did_agent.credential.status import VerifiedStatusList, verify_status_list
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.document import DIDDocument, parse_did_document
from did_agent.did.key import parse_did_key
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import BadBundle, BadLog, DidAgentError, Expired, Malformed, Revoked, Suspended
from did_agent.proof.jwt import SKEW

Weight = Literal["proven", "said", "unknown"]

_SKEW: Final = timedelta(seconds=SKEW)  # by which the clocks of a guard and an issuer may differ
_USER: Final = "user"
_REVOKE: Final = "credential.revoke"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """Whom a reader knows already; None pins nothing of that kind."""

    issuers: frozenset[str] | None = None
    log: str | None = None
    origin: str | None = None
    parties: frozenset[str] | None = None
    witnesses: tuple[Witness, ...] = ()
    quorum: int | None = None  # how many of them must have co-signed; None: all


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing the bundle shows."""

    weight: Weight
    what: str
    by: str | None = None  # DID whose signature shows it


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """The keys on which everything rests: who must be asked whether they are theirs."""

    log: str
    origin: str
    issuers: tuple[str, ...]
    parties: tuple[str, ...]  # that delivered the events
    bridge: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A bundle in which everything fits."""

    event: AuditEvent  # the one it is about
    checkpoint: Checkpoint
    rows: int
    findings: tuple[Finding, ...]
    anchors: Anchors
    chains: Mapping[str, tuple[VerifiedChain, ...]] = field(default_factory=dict, repr=False)


def check_bundle(bundle: Bundle, pins: Pins) -> Verdict:
    """Return what a bundle proves.

    Raises: BadBundle naming the first thing that does not fit.
    """
    checkpoint = _checkpoint(bundle, pins)
    events = [(row, _included(row, checkpoint, pins)) for row in bundle.rows]
    documents = _documents(bundle)
    chains = {
        digest: _behind(digest, listed, [event for _, event in events if event.evidence == digest], pins, documents)
        for digest, listed in bundle.evidence.items()
    }
    about = next(event for _, event in events if event.id == bundle.about)
    findings = [
        _log_finding(bundle, checkpoint, len(events)),
        *_witness_findings(bundle, pins),
        *(found for row, event in events for found in _event_findings(row, event, chains.get(event.evidence or ""))),
        *(found for listed in chains.values() for chain in listed for found in _chain_findings(chain)),
        *_status_findings(bundle, chains, about.time, documents),
        *(found for row, event in events for found in _ended(row, event, about)),
    ]
    roots = dict.fromkeys(chain.root_issuer for listed in chains.values() for chain in listed)
    anchors = Anchors(
        log=bundle.log,
        origin=bundle.origin,
        issuers=tuple(roots),
        parties=tuple(dict.fromkeys(event.source for _, event in events)),
        bridge=_issuer_of(bundle.bridge),
    )
    return Verdict(
        event=about,
        checkpoint=checkpoint,
        rows=len(events),
        findings=tuple(findings),
        anchors=anchors,
        chains=chains,
    )


# ---- the log


def _checkpoint(bundle: Bundle, pins: Pins) -> Checkpoint:
    if pins.log is not None and bundle.log != pins.log:
        raise BadBundle(f"the log's key is {bundle.log}, not the one that was named")
    if pins.origin is not None and bundle.origin != pins.origin:
        raise BadBundle(f"the log is {bundle.origin}, not the one that was named")
    try:
        return verify_checkpoint(bundle.checkpoint, origin=bundle.origin, key=parse_did_key(bundle.log))
    except DidAgentError as error:
        raise BadBundle(f"the checkpoint of the log does not hold: {error.detail or error.public}") from error


def _included(row: BundledRow, checkpoint: Checkpoint, pins: Pins) -> AuditEvent:
    """Return the event of a row that stands in the signed tree (RFC 9162, 2.1.3.2)."""
    try:
        event = row.read
        leaf = leaf_of(row.event, row.salts)
    except (Malformed, BadLog) as error:
        raise BadBundle(f"row {row.seq}: the event was changed: {error.detail or error.public}") from error
    if root_by(leaf, row.seq - 1, checkpoint.size, row.proof) != checkpoint.root:
        raise BadBundle(f"row {row.seq}: the event was changed, or its proof: they do not lead to the signed root")
    if pins.parties is not None and event.source not in pins.parties:
        raise BadBundle(f"row {row.seq}: {event.source} recorded it, not a party that was named")
    return event


# ---- the credentials


def _documents(bundle: Bundle) -> Mapping[str, DIDDocument]:
    try:
        return {did: parse_did_document(one, expected_id=did) for did, one in bundle.did_documents.items()}
    except DidAgentError as error:
        raise BadBundle(f"a DID document does not hold: {error.detail or error.public}") from error


def _behind(
    digest: str,
    listed: Sequence[Mapping[str, Any]],
    events: Sequence[AuditEvent],
    pins: Pins,
    documents: Mapping[str, DIDDocument],
) -> tuple[VerifiedChain, ...]:
    """Return the chains behind a digest, judged when they were used, and compared with the events that name them."""
    if not events:
        raise BadBundle(f"no event in the bundle names the credentials {digest}")
    if digest_uri(canonicalize(list(listed))) != digest:
        raise BadBundle(f"the credentials were changed: their digest is not {digest}, which the event names")
    trusted = replace(TrustedIssuers.of(*_roots(listed, pins)), documents=documents)
    chains: tuple[VerifiedChain, ...] = ()
    for event in events:
        chains = _verified(listed, event, trusted)
        for check in EVENT_CHECKS:
            check(event, chains)
    return chains


def _roots(listed: Sequence[Mapping[str, Any]], pins: Pins) -> frozenset[str]:
    """Return whom to believe: those the reader named, else whoever signed the root, who is told as an anchor."""
    named = frozenset(str(one.get("issuer")) for one in listed)
    return named if pins.issuers is None else pins.issuers


def _verified(
    listed: Sequence[Mapping[str, Any]], event: AuditEvent, trusted: TrustedIssuers
) -> tuple[VerifiedChain, ...]:
    agents = _agents(event)
    if not agents:
        raise BadBundle(f"event {event.id} names credentials and no agent")

    def at(now: datetime) -> tuple[VerifiedChain, ...]:
        known = KnownCredentials(0)
        depth = MAX_DELEGATION
        return verify_behind(listed, holder=agents[0], now=now, trusted=trusted, max_depth=depth, known=known)

    try:
        try:
            return at(event.time)
        except Expired:
            return at(event.time - _SKEW)
    except DidAgentError as error:
        raise BadBundle(f"the credentials do not hold: {error.code}: {error.detail or error.public}") from error


def actors_are_those_of_the_chain(event: AuditEvent, chains: Sequence[VerifiedChain]) -> None:
    """Refuse a record whose agents are not those the credentials name, in this order (DEL-07)."""
    agents = _agents(event)
    for chain in chains:
        signed = (chain.leaf.subject, *chain.delegators)
        # For a person, hops before or behind those of the credentials give no rights.
        length = min(len(signed), len(agents)) if event.principal_kind == _USER else max(len(signed), len(agents))
        if signed[:length] != agents[:length]:
            raise BadBundle("the agents in the record are not those of the signed chain")


def principal_is_that_of_the_chain(event: AuditEvent, chains: Sequence[VerifiedChain]) -> None:
    """Refuse a record of another person than the credentials name, where they name one (DEL-03)."""
    person = event.principal if event.principal_kind == _USER else None
    if person is not None and is_sealed(person):
        return
    if any(chain.on_behalf_of not in (None, person) for chain in chains):
        raise BadBundle("the person in the record is not the one the credentials were given for")


def tool_is_in_the_chain(event: AuditEvent, chains: Sequence[VerifiedChain]) -> None:
    """Refuse the record of an allowed call of a tool that no chain names at every hop (DEL-05)."""
    if not _is_granted(event):
        return
    if not any(_names(chain, str(event.resource), str(event.target)) for chain in chains):
        raise BadBundle(f"the record allows {event.target}, which no signed chain names")


EVENT_CHECKS: Final = (actors_are_those_of_the_chain, principal_is_that_of_the_chain, tool_is_in_the_chain)


def _names(chain: VerifiedChain, resource: str, tool: str) -> bool:
    return all(
        any(resource in held.resources and tool in held.tools for held in link.capabilities) for link in chain.links
    )


def _is_granted(event: AuditEvent) -> bool:
    """Tell whether an event says that the agent's own capabilities allowed a tool."""
    by_union = (event.policy or "").startswith("union")  # then the person's rights alone may have been enough
    named = event.target is not None and not is_sealed(event.target)
    return event.action == "tool.call" and event.decision == "allow" and named and not by_union


def _agents(event: AuditEvent) -> tuple[str, ...]:
    own = (event.principal,) if event.principal_kind == "agent" and event.principal else ()
    return (*event.actors, *own)


# ---- what it all comes to, in words


def _log_finding(bundle: Bundle, checkpoint: Checkpoint, rows: int) -> Finding:
    are = "row is" if rows == 1 else "rows are"
    what = f"{rows} {are} in the log {bundle.origin}, in its state of {checkpoint.size} rows, which its key signed"
    return Finding(weight="proven", what=what, by=bundle.log)


def _witness_findings(bundle: Bundle, pins: Pins) -> Iterator[Finding]:
    quorum = len(pins.witnesses) if pins.quorum is None else pins.quorum
    try:
        signed = require_quorum(bundle.checkpoint, bundle.cosignatures, pins.witnesses, quorum)
    except BadLog as error:
        raise BadBundle(error.detail) from error
    for one in signed:
        yield Finding(weight="proven", what=f"witness {one.name} saw the log in this state at {one.time:%FT%TZ}")
    if len(signed) < len(bundle.cosignatures):
        count = len(bundle.cosignatures) - len(signed)
        yield Finding(weight="unknown", what=f"whose the other {count} co-signatures are: no such witness was named")


def _event_findings(row: BundledRow, event: AuditEvent, chains: Sequence[VerifiedChain] | None) -> Iterator[Finding]:
    what = f"row {row.seq}: {event.party} {event.source} recorded at {event.time:%FT%TZ}: {_sentence(event)}"
    yield Finding(weight="said", what=what, by=event.source)
    if chains is None and event.credential_ids and event.action != _REVOKE:
        ids = ", ".join(event.credential_ids)
        what = f"row {row.seq}: the credentials it names are not in the bundle: {ids}"
        yield Finding(weight="unknown", what=what)
    if chains is None:
        return
    held = {name for chain in chains for name in chain.credential_ids}
    beyond = [name for name in event.credential_ids if name not in held]
    if beyond:
        yield Finding(weight="unknown", what=f"row {row.seq}: not in the bundle: {', '.join(beyond)}")
    if _is_granted(event):
        what = f"row {row.seq}: {event.target} at {event.resource} is within what was signed for the agent"
        yield Finding(weight="proven", what=what, by=chains[0].root_issuer)
    if event.principal_kind == _USER and not any(chain.on_behalf_of for chain in chains):
        what = f"row {row.seq}: that {event.principal} agreed is the word of the party that gave the token"
        yield Finding(weight="said", what=what, by=event.source)


def _ended(row: BundledRow, event: AuditEvent, about: AuditEvent) -> Iterator[Finding]:
    """Say whether a credential was revoked before or after the call: by the clocks of those who recorded both."""
    if event.action == _REVOKE and event.target in about.credential_ids:
        when = "before" if event.time <= about.time else "after"
        what = f"row {row.seq}: {event.target} was revoked at {event.time:%FT%TZ}, {when} the call"
        yield Finding(weight="said", what=what, by=event.source)


def _sentence(event: AuditEvent) -> str:
    who = event.principal or "nobody known"
    through = f" through {' ◂ '.join(event.actors)}" if event.actors else ""
    target = f" {event.target}" if event.target else ""
    at = f" at {event.resource}" if event.resource and event.resource != event.target else ""
    return f"{who}{through}: {event.action}{target}{at}: {event.decision} ({event.reason})"


def _chain_findings(chain: VerifiedChain) -> Iterator[Finding]:
    for link in reversed(chain.links):
        tools = sorted({tool for held in link.capabilities for tool in held.tools})
        verb = "granted" if link.depth == 0 else "handed on to"
        what = f"{link.issuer} {verb} {link.subject}: {', '.join(tools)} until {link.valid_until:%FT%TZ} ({link.id})"
        yield Finding(weight="proven", what=what, by=link.issuer)


def _status_findings(
    bundle: Bundle,
    chains: Mapping[str, Sequence[VerifiedChain]],
    used: datetime,
    documents: Mapping[str, DIDDocument],
) -> Iterator[Finding]:
    """Say what status lists say; they are of the moment the bundle was made, and the call was before."""
    every = {chain.digest: chain for listed in chains.values() for chain in listed}
    issuers = {chain.root_issuer for chain in every.values()}
    trusted = replace(TrustedIssuers.of(*issuers), documents=documents)
    lists = {found.url: (found, moment) for found, moment in (_list(one, trusted) for one in bundle.lists)}
    for chain in every.values():
        entries = {entry.list_url for entry in chain.status_entries}
        if not entries <= lists.keys():
            yield Finding(
                weight="unknown", what=f"whether {chain.leaf.id} was revoked: not every list is in the bundle"
            )
            continue
        moment = min((lists[url][1] for url in entries), default=used)
        yield _standing(chain, {url: lists[url][0] for url in entries}, moment)


def _list(document: Mapping[str, Any], trusted: TrustedIssuers) -> tuple[VerifiedStatusList, datetime]:
    try:
        moment = parse_timestamp(document.get("validFrom"))
        url = str(document.get("id"))
        return verify_status_list(document, expected_url=url, trusted_issuers=trusted, now=moment), moment
    except DidAgentError as error:
        raise BadBundle(f"a status list does not hold: {error.code}: {error.detail or error.public}") from error


def _standing(chain: VerifiedChain, lists: Mapping[str, VerifiedStatusList], moment: datetime) -> Finding:
    name, at = chain.leaf.id, f"{moment:%FT%TZ}"
    if not lists:
        return Finding(weight="said", what=f"{name} has no status: it ends by its time alone")
    try:
        require_standing(chain, lists, now=moment)
    except (Revoked, Suspended) as error:
        what = f"a credential of the chain of {name} is {error.code} by {at}; whether before the call, the log says"
        return Finding(weight="proven", what=what, by=chain.root_issuer)
    except DidAgentError as error:
        raise BadBundle(f"the status of {name} does not hold: {error.code}: {error.detail}") from error
    what = f"no credential of the chain of {name} is revoked or suspended at {at}"
    return Finding(weight="proven", what=what, by=chain.root_issuer)


def _issuer_of(bridge: Mapping[str, Any]) -> str | None:
    issuer = bridge.get("issuer")
    return issuer if isinstance(issuer, str) else None
