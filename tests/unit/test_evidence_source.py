"""Evidence behind tokens: fetched once, compared with its digest, kept within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import DidAgentError, NotEvidenced, NotJSON, PeerUnavailable
from verifier.adapters.evidence import BridgeEvidence

BRIDGE = "https://bridge.example"


class Bridge:
    """Answers by digest, and counts the questions."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []

    def add(self, *documents: Any) -> str:
        digest = digest_uri(canonicalize(list(documents)))
        self.answers[f"{BRIDGE}/evidence/{digest}"] = {"credentials": list(documents)}
        return digest

    async def get_json(self, url: str) -> Mapping[str, object]:
        self.asked.append(url)
        await asyncio.sleep(0)
        answer = self.answers.get(url, PeerUnavailable("404"))
        if isinstance(answer, DidAgentError):
            raise answer
        return dict(answer)


async def test_it_is_fetched_once_however_many_ask() -> None:
    bridge = Bridge()
    digest, source = bridge.add({"id": "a"}), BridgeEvidence(BRIDGE, bridge)
    found = await asyncio.gather(*(source.get(digest) for _ in range(20)))
    assert all(one == [{"id": "a"}] for one in found)
    assert bridge.asked == [f"{BRIDGE}/evidence/{digest}"]


async def test_what_is_not_behind_the_digest_is_no_answer() -> None:
    bridge = Bridge()
    digest, other = bridge.add({"id": "a"}), bridge.add({"id": "b"})
    source = BridgeEvidence(BRIDGE, bridge)
    place = f"{BRIDGE}/evidence/{digest}"
    for answer in (
        bridge.answers[f"{BRIDGE}/evidence/{other}"],
        {},
        {"credentials": {"id": "a"}},
        {"credentials": ["a"]},
        NotJSON("no JSON"),
        PeerUnavailable("away"),
    ):
        bridge.answers[place] = answer
        with pytest.raises(PeerUnavailable):
            await source.get(digest)
    bridge.add({"id": "a"})
    assert await source.get(digest) == [{"id": "a"}]


@pytest.mark.parametrize(
    "digest", ["", "sha-256:", "sha-256:../../admin", "sha-512:" + "a" * 43, "sha-256:" + "a" * 44]
)
async def test_nothing_is_asked_for_what_is_no_digest(digest: str) -> None:
    bridge = Bridge()
    with pytest.raises(NotEvidenced):
        await BridgeEvidence(BRIDGE, bridge).get(digest)
    assert not bridge.asked


async def test_it_is_kept_within_bounds() -> None:
    bridge = Bridge()
    digests = [bridge.add({"id": letter * 400}) for letter in "abc"]
    source = BridgeEvidence(BRIDGE, bridge, max_kept=900)  # room for two
    for digest in (*digests[:2], digests[0], digests[2], digests[0]):
        await source.get(digest)
    assert len(bridge.asked) == 3  # the one asked for last stayed
    await source.get(digests[1])
    assert len(bridge.asked) == 4
