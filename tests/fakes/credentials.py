"""Builders of valid credentials at a fixed instant; a test spoils one thing of what they return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from did_agent.clock import format_timestamp
from did_agent.credential.chain import VerifiedChain, verify_chain
from did_agent.credential.issuance import issue
from did_agent.credential.status import (
    MIN_LIST_BYTES,
    Purpose,
    VerifiedStatusList,
    build_status_list_credential,
    verify_status_list,
    with_bit,
)
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key, verification_method
from did_agent.encoding.digest import digest_multibase
from did_agent.encoding.jcs import canonicalize
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.model import Expected
from did_agent.proof.data_integrity import add_proof

Document = dict[str, Any]
Edit = Callable[[Document], object]

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
ISSUER, ALICE, BOB, CAROL, MALLORY = (SigningKey.from_seed(bytes([seed]) * 32) for seed in range(1, 6))
ISSUER_DID, ALICE_DID, BOB_DID, CAROL_DID, MALLORY_DID = (
    did_key(key.public) for key in (ISSUER, ALICE, BOB, CAROL, MALLORY)
)
RESOURCE = "https://files.example/mcp"
OTHER_RESOURCE = "https://mail.example/mcp"
AUDIENCE = "https://bridge.example"
USER = "https://users.example/4711"
REVOCATION_URL = "https://issuer.example/status-lists/revocation/1"
SUSPENSION_URL = "https://issuer.example/status-lists/suspension/1"
TRUSTED = TrustedIssuers.of(ISSUER_DID)


def stamp(**offset: float) -> str:
    return format_timestamp(NOW + timedelta(**offset))


def nothing(_document: Document) -> None:
    """Spoil nothing."""


def root_document() -> Document:
    """What the issuer grants Alice, unsigned."""
    return {
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://w3id.org/did-agent/capability/v1"],
        "id": "urn:uuid:00000000-0000-4000-8000-000000000001",
        "type": ["VerifiableCredential", "AgentCapabilityCredential"],
        "issuer": ISSUER_DID,
        "validFrom": stamp(hours=-1),
        "validUntil": stamp(hours=8),
        "credentialSubject": {
            "id": ALICE_DID,
            "type": "AIAgent",
            "onBehalfOf": USER,
            "capability": [
                {
                    "type": "AgentCapability",
                    "resource": [RESOURCE, OTHER_RESOURCE],
                    "tools": {
                        "read_file": {"path": {"constraint_type": "one_of", "values": ["/a", "/b"]}},
                        "search": {
                            "query": {"constraint_type": "wildcard"},
                            "limit": {"constraint_type": "range", "min": 1, "max": 50},
                        },
                        "list_menu": {},
                    },
                    "limits": {"maxCalls": 200, "windowSeconds": 3600},
                }
            ],
            "delegation": {"type": "DelegationPolicy", "depth": 0, "maxDepth": 2},
        },
        "credentialStatus": [
            _status("revocation", REVOCATION_URL, "4242"),
            _status("suspension", SUSPENSION_URL, "77"),
        ],
    }


def child_document(parent: Mapping[str, Any], *, subject: str = BOB_DID, number: int = 2) -> Document:
    """What the subject of `parent` hands on, unsigned."""
    held = parent["credentialSubject"]
    agent = {
        "id": subject,
        "type": "AIAgent",
        "onBehalfOf": USER,
        "capability": [
            {
                "type": "AgentCapability",
                "resource": [RESOURCE],
                "tools": {
                    "read_file": {"path": {"constraint_type": "one_of", "values": ["/a"]}},
                    "search": {
                        "query": {"constraint_type": "wildcard"},
                        "limit": {"constraint_type": "range", "min": 1, "max": 10},
                    },
                },
                "limits": {"maxCalls": 20, "windowSeconds": 3600},
            }
        ],
        "delegation": {
            "type": "DelegationPolicy",
            "depth": held["delegation"]["depth"] + 1,
            "maxDepth": held["delegation"]["maxDepth"],
            "parent": {"id": parent["id"], "digestMultibase": digest_multibase(canonicalize(parent))},
        },
    }
    return {
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://w3id.org/did-agent/capability/v1"],
        "id": f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
        "type": ["VerifiableCredential", "AgentCapabilityCredential"],
        "issuer": held["id"],
        "validFrom": stamp(minutes=-1),
        "validUntil": stamp(minutes=30),
        "credentialSubject": agent,
    }


def secure(document: Mapping[str, Any], key: SigningKey, *, purpose: Any = "assertionMethod") -> Document:
    """Sign whatever it is, without the checks of `issue`."""
    method = verification_method(did_key(key.public))
    return add_proof(document, key, purpose=purpose, created=NOW, verification_method=method)


def entry(document: Document) -> Any:
    return document["credentialSubject"]["capability"][0]


def tools(document: Document) -> Any:
    return entry(document)["tools"]


def delegation(document: Document) -> Any:
    return document["credentialSubject"]["delegation"]


def root(edit: Edit = nothing) -> Document:
    document = root_document()
    edit(document)
    return secure(document, ISSUER)


def chain_of_two(
    edit_child: Edit = nothing, *, edit_root: Edit = nothing, child_key: SigningKey = ALICE
) -> list[Document]:
    """Return Bob's chain, leaf first; both links are signed after the edits."""
    parent = root(edit_root)
    child = child_document(parent)
    edit_child(child)
    return [secure(child, child_key), parent]


def chain_of_three() -> list[Document]:
    """Return Carol's chain, leaf first."""
    child, parent = chain_of_two()
    return [secure(child_document(child, subject=CAROL_DID, number=3), BOB), child, parent]


def verified(documents: Sequence[Mapping[str, object]], *, holder: str = BOB_DID, **changes: Any) -> VerifiedChain:
    arguments: dict[str, Any] = {"holder": holder, "now": NOW, "trusted": TRUSTED, "max_depth": 4} | changes
    return verify_chain(documents, **arguments)


def expected(**changes: Any) -> Expected:
    plain = Expected(
        audience=frozenset({AUDIENCE}), now=NOW, trusted=TRUSTED, max_depth=4, challenge="required", allow_empty=False
    )
    return replace(plain, **changes)


def status_list(
    purpose: Purpose, *, url: str | None = None, set_bits: Sequence[int] = (), issuer: SigningKey = ISSUER
) -> Document:
    bits = bytes(MIN_LIST_BYTES)
    for index in set_bits:
        bits = with_bit(bits, index, value=True)
    document = build_status_list_credential(
        url=url or (REVOCATION_URL if purpose == "revocation" else SUSPENSION_URL),
        issuer=did_key(issuer.public),
        purpose=purpose,
        bits=bits,
        valid_from=NOW - timedelta(minutes=1),
        valid_until=NOW + timedelta(minutes=5),
        ttl_ms=30_000,
    )
    return issue(document, issuer, now=NOW)


def statuses(*, revoked: Sequence[int] = (), suspended: Sequence[int] = ()) -> dict[str, VerifiedStatusList]:
    """Return the believed lists behind the builders' entries (revocation 4242, suspension 77)."""
    lists = (status_list("revocation", set_bits=revoked), status_list("suspension", set_bits=suspended))
    return {
        document["id"]: verify_status_list(document, expected_url=document["id"], trusted_issuers=TRUSTED, now=NOW)
        for document in lists
    }


def _status(purpose: str, url: str, index: str) -> Document:
    return {
        "type": "BitstringStatusListEntry",
        "statusPurpose": purpose,
        "statusListIndex": index,
        "statusListCredential": url,
    }
