"""A chain that was verified before is not verified again; whatever can change about it is judged anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from did_agent.credential import chain as module
from did_agent.credential.capability import parse_capability
from did_agent.credential.chain import VerifiedChain, verify_chain
from did_agent.credential.issuance import attenuate
from did_agent.credential.known import KnownCredentials
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.errors import DepthExceeded, DidAgentError, Expired, HolderMismatch, NotYetValid, UntrustedIssuer
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.data_integrity import verify_proof
from tests.fakes.guard_world import ISSUER, NOW, credential

KEYS = [SigningKey.from_seed(bytes([65 + number]) * 32) for number in range(4)]
AGENTS = [did_key(key.public) for key in KEYS]
TRUSTED = TrustedIssuers.of(ISSUER)


def documents(hops: int = 2) -> list[dict[str, Any]]:
    found = [credential(subject=AGENTS[0], max_depth=3)]
    capabilities = [parse_capability(one) for one in found[0]["credentialSubject"]["capability"]]
    for hop in range(hops):
        child = attenuate(
            found[0],
            key=KEYS[hop],
            subject=AGENTS[hop + 1],
            capabilities=capabilities,
            valid_until=NOW + timedelta(minutes=10 - hop),
            now=NOW,
        )
        found.insert(0, child)
    return found


def verified(
    shown: Sequence[dict[str, Any]],
    known: KnownCredentials,
    *,
    holder: str = AGENTS[2],
    now: datetime = NOW,
    trusted: TrustedIssuers = TRUSTED,
    max_depth: int = 4,
) -> VerifiedChain:
    return verify_chain(shown, holder=holder, now=now, trusted=trusted, max_depth=max_depth, known=known)


@pytest.fixture
def signatures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose proofs were verified."""
    seen: list[str] = []

    def watched(document: Any, **expected: Any) -> Any:
        seen.append(document["id"])
        return verify_proof(document, **expected)

    monkeypatch.setattr(module, "verify_proof", watched)
    return seen


def test_the_same_documents_are_verified_once_and_are_one_chain(signatures: list[str]) -> None:
    known, shown = KnownCredentials(), documents()
    first = verified(shown, known)
    assert verified([dict(one) for one in shown], known) is first
    assert len(signatures) == 3
    # In another order they are the same chain too, which was not seen like this.
    assert verified(shown[::-1], known) == first
    assert len(signatures) == 3
    assert verified(shown, KnownCredentials(0)) == first
    assert len(signatures) == 6


@pytest.mark.req("VCX-11", "VCX-05", "DEL-08", "VCX-03")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"now": NOW + timedelta(minutes=8, seconds=59)}, None),
        ({"now": NOW + timedelta(minutes=9)}, Expired),
        ({"now": NOW - timedelta(minutes=5)}, NotYetValid),
        ({"trusted": TrustedIssuers.of(AGENTS[3])}, UntrustedIssuer),
        ({"max_depth": 2}, None),
        ({"max_depth": 1}, DepthExceeded),
        ({"holder": AGENTS[1]}, HolderMismatch),
        ({"holder": AGENTS[3]}, HolderMismatch),
    ],
)
def test_what_can_change_is_judged_as_if_it_were_new(
    changes: dict[str, Any], expected: type[DidAgentError] | None
) -> None:
    known, shown = KnownCredentials(), documents()
    verified(shown, known)
    for memory in (known, KnownCredentials(0)):
        if expected is None:
            verified(shown, memory, **changes)
        else:
            with pytest.raises(expected):
                verified(shown, memory, **changes)


@pytest.mark.req("VCX-04")
def test_a_changed_document_is_not_the_one_that_is_known() -> None:
    known, shown = KnownCredentials(), documents()
    verified(shown, known)
    for position in range(3):
        forged = [dict(one) for one in shown]
        forged[position] = {**forged[position], "validUntil": "2026-11-23T12:08:00Z"}
        with pytest.raises(DidAgentError):
            verified(forged, known)
    for fewer in (shown[1:], shown[:-1], [*shown, shown[0]]):
        with pytest.raises(DidAgentError):
            verified(fewer, known)


@pytest.mark.req("REV-01")
@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("what", ["id", "subject"])
def test_revocation_of_any_part_forgets_the_chain(signatures: list[str], position: int, what: str) -> None:
    known, shown = KnownCredentials(), documents()
    first = verified(shown, known)
    other = verified([credential()], known, holder=credential()["credentialSubject"]["id"])
    link = first.links[position]
    known.forget(link.id if what == "id" else link.subject)
    before = len(signatures)
    assert verified(shown, known) is not first
    assert len(signatures) > before
    assert verified(other.documents, known, holder=other.leaf.subject) is other  # type: ignore[arg-type]
    known.forget("urn:uuid:of-something-else")
    again = verified(shown, known)
    assert verified(shown, known) is again


def test_no_more_chains_are_kept_than_there_is_room_for() -> None:
    known = KnownCredentials(3)
    chains = [documents(0) for _ in range(6)]
    for shown in chains:
        verified(shown, known, holder=AGENTS[0])
    assert len(known._chains) == 3
    assert len(known._found) == 3


def test_what_is_no_json_is_refused_and_not_mixed_up_with_anything() -> None:
    known, shown = KnownCredentials(), documents()
    verified(shown, known)
    for strange in (object(), float("nan"), {1: 2}, 2**70):
        with pytest.raises(DidAgentError):
            verified([{**shown[0], "id": strange}, *shown[1:]], known)
