"""What a holder shows of what it holds: the newest credential that serves, its chain, and a part to hand on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from did_agent.credential.capability import Capability, covered_by, parse_bare_capability
from did_agent.credential.model import CapabilityCredential, parse_capability_credential
from did_agent.errors import BadCredential, NotFound

Document = Mapping[str, Any]


def own_capabilities(documents: Sequence[Document], did: str, *, now: datetime) -> Sequence[CapabilityCredential]:
    """Return those capability credentials that are in force for a DID, in their order."""
    parsed = (parse_held(document) for document in documents)
    return [held for held in parsed if held is not None and held.subject == did and _is_in_force(held, now)]


def chain_of(documents: Sequence[Document], did: str, *, resource: str | None, now: datetime) -> list[Document]:
    """Return the newest credential that is in force for a DID and `resource`, and the chain above it, leaf first.

    Raises: NotFound.
    """
    parsed = [(document, held) for document in documents if (held := parse_held(document)) is not None]
    by_digest = {held.digest: (document, held) for document, held in parsed}
    for document, held in reversed(parsed):
        serves = resource is None or any(resource in one.resources for one in held.capabilities)
        if held.subject == did and serves and _is_in_force(held, now):
            return _upwards(document, held, by_digest)
    raise NotFound("no credential in force is held" + (f" for {resource}" if resource else ""))


def part_of(
    held: Sequence[Capability],
    resource: str,
    tools: Mapping[str, Mapping[str, Any]],
    limits: Mapping[str, Any] | None,
) -> Capability:
    """Return what is handed on; where that is not held without limits, under those of the first that covers it."""
    members: dict[str, Any] = {"resource": [resource], "tools": tools}
    wanted = parse_bare_capability(members if limits is None else {**members, "limits": limits})
    bound = [
        replace(wanted, limits=parent.limits if wanted.limits is None else wanted.limits.inheriting(parent.limits))
        for parent in held
        if parent.limits is not None
    ]
    return next((one for one in (wanted, *bound) if any(covered_by(one, parent) for parent in held)), wanted)


def parse_held(document: Document) -> CapabilityCredential | None:
    """Return a capability credential; None for an identity credential, or a form this version does not know."""
    try:
        return parse_capability_credential(document)
    except BadCredential:
        return None


def _is_in_force(held: CapabilityCredential, now: datetime) -> bool:
    return held.valid_from <= now < held.valid_until


def _upwards(
    document: Document, held: CapabilityCredential, by_digest: Mapping[str, tuple[Document, CapabilityCredential]]
) -> list[Document]:
    chain = [document]
    while held.parent_digest is not None:  # a digest commits to what is above it, so there are no circles
        if held.parent_digest not in by_digest:
            raise NotFound(f"the parent of {held.id} is not in the wallet")
        document, held = by_digest[held.parent_digest]
        chain.append(document)
    return chain
