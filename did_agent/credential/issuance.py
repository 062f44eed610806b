"""Issue credentials (VCDM 2.0), and hand on less than was held: a wider child is refused before it is signed."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from did_agent.clock import format_timestamp
from did_agent.credential.capability import Capability, covered_by
from did_agent.credential.context import AGENT_PROFILE
from did_agent.credential.model import (
    CAPABILITY_TYPE,
    IDENTITY_TYPE,
    CapabilityCredential,
    parse_capability_credential,
)
from did_agent.credential.status import StatusEntry
from did_agent.did.key import did_key, verification_method
from did_agent.errors import DepthExceeded, NotAttenuated, WrongKey
from did_agent.keys.public import SigningKey
from did_agent.proof.cryptosuite import default_suite
from did_agent.proof.data_integrity import add_proof

DEFAULT_SECONDS: Final = 86_400  # life of a root capability; every such credential has a status
CHILD_MAX_SECONDS: Final = 3_600  # life of a credential without status: nobody can end it earlier


def new_id() -> str:
    """Return a fresh `urn:uuid:` identifier (RFC 9562, version 4)."""
    return uuid.UUID(bytes=secrets.token_bytes(16), version=4).urn


def build_capability_credential(
    *,
    id: str,  # noqa: A002 - the standard's name of the member
    issuer: str,
    subject: str,
    valid_from: datetime,
    valid_until: datetime,
    capabilities: Sequence[Capability],
    max_depth: int,
    on_behalf_of: str | None = None,
    account: str | None = None,
    depth: int = 0,
    parent: CapabilityCredential | None = None,
    statuses: Sequence[StatusEntry] = (),
) -> dict[str, object]:
    """Return an unsigned AgentCapabilityCredential that follows the closed schema.

    `account` is the id of the first credential of the grant that this one continues: what is spent counts there.
    Raises: BadCredential, BadConstraint, TooLarge.
    """
    delegation: dict[str, object] = {"type": "DelegationPolicy", "depth": depth, "maxDepth": max_depth}
    if parent is not None:
        delegation["parent"] = {"id": parent.id, "digestMultibase": parent.digest}
    agent: dict[str, object] = {"id": subject, "type": "AIAgent"}
    if on_behalf_of is not None:
        agent["onBehalfOf"] = on_behalf_of
    if account is not None:
        agent["account"] = account
    agent["capability"] = [capability.to_json() for capability in capabilities]
    agent["delegation"] = delegation
    document = _envelope(id, CAPABILITY_TYPE, issuer, (valid_from, valid_until), agent, statuses)
    parse_capability_credential(document)
    return document


def build_identity_credential(
    *,
    id: str,  # noqa: A002 - the standard's name of the member
    issuer: str,
    subject: str,
    valid_from: datetime,
    valid_until: datetime,
    agent_id: str,
    name: str,
    sponsor: str,
    description: str | None = None,
    software: Mapping[str, str] | None = None,
    statuses: Sequence[StatusEntry] = (),
) -> dict[str, object]:
    """Return an unsigned AgentIdentityCredential: who the agent is and who answers for it."""
    agent: dict[str, object] = {"id": subject, "type": "AIAgent", "agentId": agent_id, "name": name, "sponsor": sponsor}
    if description:
        agent["description"] = description
    if software:
        agent["software"] = dict(software)
    return _envelope(id, IDENTITY_TYPE, issuer, (valid_from, valid_until), agent, statuses)


def issue(
    document: Mapping[str, object], key: SigningKey, *, now: datetime, cryptosuite: str | None = None
) -> dict[str, object]:
    """Return `document` with the proof of its issuer, purpose `assertionMethod`; the JCS suite of its key by default.

    Raises: WrongKey when `key` is not the key of the document's issuer or not one of the suite's.
    """
    issuer = did_key(key.public)
    if document.get("issuer") != issuer:
        raise WrongKey(f"{issuer} cannot sign as {document.get('issuer')}")
    return add_proof(
        dict(document),
        key,
        purpose="assertionMethod",
        created=now,
        verification_method=verification_method(issuer),
        cryptosuite=cryptosuite or default_suite(key.public),
    )


def attenuate(
    parent_document: Mapping[str, object],
    *,
    key: SigningKey,
    subject: str,
    capabilities: Sequence[Capability],
    valid_until: datetime,
    now: datetime,
    max_depth: int | None = None,
    id: str | None = None,  # noqa: A002 - the standard's name of the member
    statuses: Sequence[StatusEntry] = (),
) -> dict[str, object]:
    """Return the credential by which the holder of `parent_document` hands part of it to `subject`, signed.

    Without `statuses`, which are places in lists of the root's issuer, nobody can end it before its parent: then it
    lives at most an hour.
    Raises: WrongKey, DepthExceeded, NotAttenuated, BadCredential.
    """
    parent = parse_capability_credential(parent_document)
    if did_key(key.public) != parent.subject:
        raise WrongKey("only the subject of a credential can hand it on")
    ceiling = parent.max_depth if max_depth is None else max_depth
    if parent.depth >= parent.max_depth:
        raise DepthExceeded(f"{parent.id} may not be delegated any further")
    if not parent.depth < ceiling <= parent.max_depth:
        raise NotAttenuated(f"maxDepth {ceiling} is not within the parent's {parent.max_depth}")
    if subject == parent.subject:
        raise NotAttenuated("an agent cannot delegate to itself")
    longest = timedelta(seconds=DEFAULT_SECONDS if statuses else CHILD_MAX_SECONDS)
    if valid_until > parent.valid_until or valid_until > now + longest:
        raise NotAttenuated("the child would outlive its parent or the hour that a credential without status has")
    for capability in capabilities:
        if not any(covered_by(capability, held) for held in parent.capabilities):
            raise NotAttenuated(f"no held capability covers {sorted(capability.tools)} at {capability.resources}")
    document = build_capability_credential(
        id=id or new_id(),
        issuer=parent.subject,
        subject=subject,
        valid_from=max(now, parent.valid_from),
        valid_until=valid_until,
        capabilities=capabilities,
        max_depth=ceiling,
        on_behalf_of=parent.on_behalf_of,
        depth=parent.depth + 1,
        parent=parent,
        statuses=statuses,
    )
    return issue(document, key, now=now)


def _envelope(
    identifier: str,
    types: list[str],
    issuer: str,
    period: tuple[datetime, datetime],
    subject: dict[str, object],
    statuses: Sequence[StatusEntry],
) -> dict[str, object]:
    document: dict[str, object] = {
        "@context": list(AGENT_PROFILE),
        "id": identifier,
        "type": list(types),
        "issuer": issuer,
        "validFrom": format_timestamp(period[0]),
        "validUntil": format_timestamp(period[1]),
        "credentialSubject": subject,
    }
    if statuses:
        document["credentialStatus"] = [status.to_json() for status in statuses]
    return document
