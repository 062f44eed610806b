"""Granting: which capability credential an active agent gets, and its place in the status lists."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from did_agent.credential.capability import Capability
from did_agent.credential.issuance import build_capability_credential, build_identity_credential, issue, new_id
from did_agent.credential.status import StatusEntry, build_status_list_credential
from did_agent.did.key import did_key
from did_agent.errors import InvalidParameter, StateConflict
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.data_integrity import DEFAULT_SUITE
from issuer.model import Agent, Grant

LIST_SIZE: Final = 131_072  # entries: the least that Bitstring Status List allows, for privacy in the herd
LIST_CAPACITY: Final = LIST_SIZE // 2  # a list is left half full, so that a random free index is found at once
LIST_LIFE: Final = timedelta(minutes=5)  # validity of a signed list
LIST_TTL: Final = timedelta(seconds=30)  # how long others may keep it
MAX_SECONDS: Final = 86_400  # longest life of a capability credential
MAX_DEPTH: Final = 4  # delegations a credential may allow


def random_index() -> int:
    """Return an index that tells nothing about when it was given out."""
    return secrets.randbelow(LIST_SIZE)


def list_url(issuer_url: str, purpose: str, number: int) -> str:
    """Return where a status list is served."""
    return f"{issuer_url}/status-lists/{purpose}/{number}"


def require_grantable(agent: Agent, capabilities: Sequence[Capability], *, valid_seconds: int, max_depth: int) -> str:
    """Return the DID a credential may be issued to.

    Raises: StateConflict, InvalidParameter.
    """
    if agent.state != "active" or agent.did is None:
        raise StateConflict(f"{agent.name} is {agent.state}; only an active agent gets credentials")
    if not 0 < valid_seconds <= MAX_SECONDS:
        raise InvalidParameter(f"valid_seconds: 1 to {MAX_SECONDS}")
    if not 0 <= max_depth <= MAX_DEPTH:
        raise InvalidParameter(f"max_depth: 0 to {MAX_DEPTH}")
    if any(held.limits is not None and held.limits.max_tokens is not None for held in capabilities):
        # Better no credential than one that promises a ceiling nobody counts yet.
        raise InvalidParameter("capabilities: maxTokens is not enforced by this release and so is not granted")
    return agent.did


def grant_capabilities(  # a credential says many things
    agent: Agent,
    capabilities: Sequence[Capability],
    *,
    key: SigningKey,
    issuer_url: str,
    list_number: int,
    valid_seconds: int,
    max_depth: int,
    on_behalf_of: str | None,
    now: datetime,
    cryptosuite: str = DEFAULT_SUITE,
) -> Grant:
    """Return a signed capability credential with a revocation and a suspension entry.

    Raises: StateConflict, InvalidParameter, BadCredential, BadConstraint.
    """
    did = require_grantable(agent, capabilities, valid_seconds=valid_seconds, max_depth=max_depth)
    index = random_index()
    until = now + timedelta(seconds=valid_seconds)
    document = build_capability_credential(
        id=new_id(),
        issuer=did_key(key.public),
        subject=did,
        valid_from=now,
        valid_until=until,
        capabilities=capabilities,
        max_depth=max_depth,
        on_behalf_of=on_behalf_of,
        statuses=(
            StatusEntry(list_url=list_url(issuer_url, "revocation", list_number), index=index, purpose="revocation"),
            StatusEntry(list_url=list_url(issuer_url, "suspension", list_number), index=index, purpose="suspension"),
        ),
    )
    signed = issue(document, key, now=now, cryptosuite=cryptosuite)
    return Grant(
        organisation=agent.organisation,
        id=str(signed["id"]),
        agent_id=agent.agent_id,
        did=did,
        document=signed,
        issued=now,
        valid_until=until,
        list_number=list_number,
        list_index=index,
    )


def identify(agent: Agent, *, key: SigningKey, now: datetime) -> dict[str, object]:
    """Return the signed credential that says who an agent is and who answers for it."""
    document = build_identity_credential(
        id=new_id(),
        issuer=did_key(key.public),
        subject=str(agent.did),
        valid_from=now,
        valid_until=now + timedelta(seconds=MAX_SECONDS),
        agent_id=agent.agent_id,
        name=agent.name,
        sponsor=agent.sponsor,
        description=agent.description or None,
        software=agent.metadata or None,
    )
    return issue(document, key, now=now)


def sign_list(  # a list says many things
    indices: Sequence[int], *, purpose: str, number: int, key: SigningKey, issuer_url: str, now: datetime
) -> dict[str, object]:
    """Return the signed status list in which exactly `indices` are set; the same bytes within half a `LIST_TTL`."""
    # Otherwise its ETag would change with every second, and no cache could ever be told "not modified".
    now -= timedelta(seconds=now.timestamp() % (LIST_TTL.total_seconds() / 2))
    bits = bytes(LIST_SIZE // 8)
    if indices:
        changed = bytearray(bits)
        for index in indices:
            changed[index >> 3] |= 0x80 >> (index & 7)
        bits = bytes(changed)
    document = build_status_list_credential(
        url=list_url(issuer_url, purpose, number),
        issuer=did_key(key.public),
        purpose="revocation" if purpose == "revocation" else "suspension",
        bits=bits,
        valid_from=now,
        valid_until=now + LIST_LIFE,
        ttl_ms=int(LIST_TTL.total_seconds() * 1000),
    )
    return issue(document, key, now=now)
