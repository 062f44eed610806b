"""Evidence bundles over a small log at a fixed instant; a test spoils one thing of what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from did_agent.audit.bundle import Bundle, BundledRow, write_bundle
from did_agent.audit.checkpoint import Checkpoint, sign_checkpoint
from did_agent.audit.event import AuditEvent
from did_agent.audit.merkle import inclusion_proof, leaf_hash, root_of
from did_agent.did.key import did_key
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.keys.ed25519 import SigningKey
from tests.fakes.credentials import ALICE_DID, BOB_DID, NOW, RESOURCE, USER, chain_of_two, status_list

ORIGIN = "ledger.example"
LOG, GUARD, BRIDGE = (SigningKey.from_seed(bytes([seed]) * 32) for seed in (21, 22, 23))
LOG_DID, GUARD_DID, BRIDGE_DID = (did_key(key.public) for key in (LOG, GUARD, BRIDGE))
DOCUMENTS = chain_of_two()
DIGEST = digest_uri(canonicalize(DOCUMENTS))


def event(number: int = 1, **said: Any) -> AuditEvent:
    """A call that Bob made, whom Alice handed what she holds for a person."""
    told: dict[str, Any] = {
        "time": NOW,
        "source": GUARD_DID,
        "party": "verifier",
        "principal": USER,
        "principal_kind": "user",
        "actors": (BOB_DID, ALICE_DID),
        "client_id": BOB_DID,
        "action": "tool.call",
        "target": "read_file",
        "resource": RESOURCE,
        "argument_digest": digest_uri(b"{}"),
        "decision": "allow",
        "reason": "allowed",
        "explanation": "the agent may call read_file",
        "policy": "intersection/0",
        "credential_ids": tuple(one["id"] for one in DOCUMENTS),
        "token_id": "token-1",
        "evidence": DIGEST,
        "request_id": f"request-{number}",
        "details": {"form": "jwt"},
    }
    return AuditEvent(id=f"urn:uuid:00000000-0000-4000-8000-{number:012d}", **{**told, **said})


def issued(number: int = 2, **said: Any) -> AuditEvent:
    """The token of that call, as the bridge gave it."""
    told = {"source": BRIDGE_DID, "party": "bridge", "action": "token.issue", "target": RESOURCE}
    return event(number, **{**told, "time": NOW - timedelta(seconds=5), "argument_digest": None, **said})


def bundle(
    *events: AuditEvent, evidence: Mapping[str, Sequence[Mapping[str, Any]]] | None = None, around: int = 5, **said: Any
) -> Bundle:
    """A bundle of events, the last of which it is about; `around` other rows stand before and behind."""
    every = events or (issued(), event())
    others = [leaf_hash(b"before %d" % number) for number in range(around)]
    leaves = [*others, *(leaf_hash(one.canonical()) for one in every), *others]
    note = sign_checkpoint(Checkpoint(origin=ORIGIN, size=len(leaves), root=root_of(leaves)), LOG)
    rows = tuple(
        BundledRow(seq=place + 1, event=one.to_json(), proof=tuple(inclusion_proof(leaves, place)))
        for place, one in enumerate(every, around)
    )
    told: dict[str, Any] = {
        "about": every[-1].id,
        "made": NOW,
        "origin": ORIGIN,
        "log": LOG_DID,
        "checkpoint": note,
        "rows": rows,
        "evidence": {DIGEST: DOCUMENTS} if evidence is None else evidence,
        "lists": (status_list("revocation"), status_list("suspension")),
        "bridge": {"issuer": "https://bridge.example", "jwks": {"keys": []}},
    }
    return Bundle(**{**told, **said})


def resealed(members: Mapping[str, Any]) -> bytes:
    """The file of members that somebody changed, with a digest that fits again."""
    kept = {name: value for name, value in members.items() if name != "digest"}
    return canonicalize({**kept, "digest": digest_uri(canonicalize(kept))})


def file(**said: Any) -> bytes:
    """The file of a bundle."""
    return write_bundle(bundle(**said))
