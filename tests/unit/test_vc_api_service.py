"""The VC-API's verifier: it asks before it fetches, fetches little, and takes what is missing for a no."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from did_agent.did.document import DIDDocument
from did_agent.did.key import did_key, verification_method
from did_agent.errors import PeerUnavailable
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.data_integrity import add_proof
from verifier.vc_api.challenges import LIFE, MAX_OPEN, Challenges
from verifier.vc_api.service import MAX_FETCHES, VCVerifier

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
KEY = SigningKey.from_seed(b"1" * 32)
DID = did_key(KEY.public)


class World:
    """A network that answers nothing and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def get_json(self, url: str) -> Mapping[str, Any]:
        self.asked.append(url)
        raise PeerUnavailable("nothing is there")

    async def documents(self, dids: Iterable[str]) -> Mapping[str, DIDDocument]:
        self.asked += dids
        return {}


def entry(number: int) -> dict[str, str]:
    return {
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": str(number),
        "statusListCredential": f"https://status.example/{number}",
    }


def signed(**members: Any) -> dict[str, Any]:
    document = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential"],
        "issuer": DID,
        "credentialSubject": {"id": "did:example:1"},
    } | members
    method = verification_method(DID)
    return add_proof(document, KEY, purpose="assertionMethod", created=NOW, verification_method=method)


@pytest.mark.req("NET-10", "VCX-05")
async def test_nothing_is_fetched_for_a_document_nobody_signed() -> None:
    world = World()
    service = VCVerifier(world, world, clock=lambda: NOW)
    honest = signed(credentialStatus=entry(1))
    for unsigned in (
        {**honest, "validFrom": "2026-01-01T00:00:00Z"},
        {name: value for name, value in honest.items() if name != "proof"},
        {**honest, "issuer": "did:example:other"},
        {**honest, "unknown": 1},
    ):
        verdict = await service.verify_credential(unsigned, policy="issuer")
        assert not verdict.verified
    assert world.asked == []
    verdict = await service.verify_credential(honest, policy="issuer")
    assert world.asked == ["https://status.example/1"]
    assert [error.code for error in verdict.errors] == ["status_unavailable"]  # and not finding out means no


@pytest.mark.req("NET-10", "LIM-01")
async def test_one_credential_makes_few_fetches() -> None:
    world = World()
    service = VCVerifier(world, world, clock=lambda: NOW)
    verdict = await service.verify_credential(
        signed(credentialStatus=[entry(number) for number in range(10)]), policy="issuer"
    )
    assert len(world.asked) == MAX_FETCHES
    assert len(verdict.errors) == 10


@pytest.mark.req("VCX-01")
def test_a_challenge_is_spent_once_in_its_time() -> None:
    challenges = Challenges()
    first, late = challenges.create(NOW), challenges.create(NOW)
    assert first != late
    assert challenges.spend(first, NOW + LIFE - timedelta(seconds=1))
    assert not challenges.spend(first, NOW)
    assert challenges.knows(first)  # spent ones stay ours: they are not taken for a stranger's
    assert not challenges.spend(late, NOW + LIFE)
    assert not challenges.spend("never made here", NOW)
    assert not challenges.knows("never made here")


@pytest.mark.req("LIM-01")
def test_open_challenges_are_bounded() -> None:
    challenges = Challenges()
    made = [challenges.create(NOW) for _ in range(MAX_OPEN + 1)]
    assert not challenges.spend(made[0], NOW)
    assert challenges.spend(made[-1], NOW)
