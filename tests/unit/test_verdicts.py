"""What a token or presentation is worth now, step by step: the doors' own code, told; and what cannot be told stays open."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from did_agent.audit.why import Explanation
from did_agent.client.sources import Keys, Question
from did_agent.client.why import explain
from did_agent.credential.status import VerifiedStatusList
from did_agent.credential.token_status import TokenStatusReference
from did_agent.credential.trust import TrustedIssuers
from did_agent.errors import KeysUnavailable, NotFound, Revoked, StatusUnavailable, WrongType
from did_agent.keys.ed25519 import SigningKey
from did_agent.policy.admission import capabilities_at
from did_agent.presentation.present import present, present_jwt
from did_agent.proof.jwt import sign_jwt
from did_agent.tokens.access_token import AccessToken, encode_access_token
from did_agent.tokens.confirmation import Confirmation
from tests.fakes.bundles import DIGEST, DOCUMENTS, event
from tests.fakes.credentials import ALICE, ALICE_DID, BOB, BOB_DID, NOW, RESOURCE, TRUSTED, USER, statuses, verified

BRIDGE = "https://bridge.example"
KEY = SigningKey.from_seed(b"b" * 32)
CHAIN = verified(DOCUMENTS)
ASKED = Question(now=NOW, audience=RESOURCE)
GOOD = {"path": "/a"}
TOKEN = AccessToken(
    issuer=BRIDGE,
    subject=USER,
    subject_profile="user",
    audience=RESOURCE,
    client_id=BOB_DID,
    issued_at=NOW,
    expires=NOW + timedelta(minutes=5),
    id="token-1",
    scopes=frozenset({"tool:read_file", "tool:search"}),
    actors=(BOB_DID, ALICE_DID),
    capabilities=capabilities_at(RESOURCE, CHAIN),
    entitlements=frozenset({"tool:read_file"}),
    evidence=DIGEST,
    evidence_uri=f"{BRIDGE}/evidence/{DIGEST}",
    credential_ids=CHAIN.credential_ids,
)


@dataclass
class World:
    """Parties that answer from memory."""

    bridge: str = BRIDGE
    trust: TrustedIssuers = TRUSTED
    revoked: tuple[int, ...] = ()
    status: Exception | None = None
    lists_are_there: bool = True
    keys_are_there: bool = True
    documents: Any = field(default_factory=lambda: DOCUMENTS)

    async def rows(self, identifier: str) -> Sequence[Mapping[str, Any]]:
        if identifier != "request-1":
            raise NotFound("none")
        return [{"seq": 1, "event": event().to_json()}]

    async def decided(self, token_id: str, agent: str) -> Sequence[Mapping[str, Any]]:
        assert (token_id, agent) == ("token-1", BOB_DID)
        return [{"event": event(number).to_json()} for number in (1, 2)]

    async def evidence(self, digest: str) -> Any:
        return self.documents if digest == DIGEST else None

    async def keys(self) -> Keys:
        if not self.keys_are_there:
            raise KeysUnavailable("the bridge does not answer")
        return {"k": KEY.public}

    async def trusted(self, _now: Any) -> TrustedIssuers:
        return self.trust

    async def lists(self, urls: Iterable[str], _trusted: TrustedIssuers, _now: Any) -> Mapping[str, VerifiedStatusList]:
        if not self.lists_are_there:
            raise StatusUnavailable("the issuer does not answer")
        found = statuses(revoked=self.revoked)
        return {url: found[url] for url in urls}

    async def require_valid(self, reference: TokenStatusReference, _keys: Keys, _now: Any) -> None:
        assert reference.index == 7
        if self.status is not None:
            raise self.status


def token(**changes: Any) -> str:
    return encode_access_token(replace(TOKEN, **changes), key=KEY, kid="k")


async def told(text: str, question: Question = ASKED, **world: Any) -> Explanation:
    (found,) = await explain(text, question, World(**world))
    assert text not in json.dumps(found.to_json())
    return found


def by_outcome(found: Explanation, outcome: str) -> list[str]:
    return [step.name for step in found.steps if step.outcome == outcome]


async def test_a_good_token_passes_every_step_that_can_be_told() -> None:
    found = await told(token(), replace(ASKED, tool="read_file", arguments=GOOD))
    assert by_outcome(found, "failed") == []
    assert by_outcome(found, "unknown") == ["policy"]
    assert found.allowed is None
    assert found.facts["recorded"] == "2 × tool.call allowed"


@pytest.mark.req("AUD-02")
@pytest.mark.parametrize(
    ("question", "fails"),
    [
        ({"tool": "read_file", "arguments": {"path": "/b"}}, ["arguments"]),
        ({"tool": "delete_file"}, ["rights of the agent", "rights of the person", "scope"]),
        ({"tool": "search", "arguments": {"query": "x", "limit": 3}}, ["rights of the person"]),
        ({"audience": "https://else.example"}, ["audience"]),
        ({"now": NOW + timedelta(hours=1)}, ["time"]),
        ({"now": NOW - timedelta(hours=1)}, ["time"]),
    ],
)
async def test_what_is_asked_of_a_token_fails_where_it_fails(question: dict[str, Any], fails: list[str]) -> None:
    found = await told(token(), replace(ASKED, **question))
    assert by_outcome(found, "failed")[: len(fails)] == fails
    assert found.failure is not None
    assert found.failure.do


@pytest.mark.req("AUD-02")
@pytest.mark.parametrize(
    ("changes", "world", "fails"),
    [
        ({"issuer": "https://else.example"}, {}, "issuer"),
        ({"evidence": "sha-256:" + "A" * 43}, {}, "delegation"),
        ({}, {"documents": DOCUMENTS[:1]}, "delegation"),
        ({}, {"trust": TrustedIssuers.of()}, "delegation"),
        ({"actors": (BOB_DID, "did:key:zElse")}, {}, "delegation"),
        ({"scopes": frozenset({"tool:delete_file"})}, {}, "delegation"),
        ({}, {"revoked": (4242,)}, "status"),
        ({"status": TokenStatusReference(index=7, uri=f"{BRIDGE}/s")}, {"status": Revoked("it is")}, "status"),
    ],
)
async def test_a_token_that_says_too_much_fails_at_its_step(
    changes: dict[str, Any], world: dict[str, Any], fails: str
) -> None:
    found = await told(token(**changes), **world)
    assert found.failure is not None
    assert (found.failure.name, found.allowed) == (fails, False)


async def test_a_forged_token_and_one_that_cannot_be_read() -> None:
    forged = encode_access_token(TOKEN, key=ALICE, kid="k")
    assert by_outcome(await told(forged), "failed") == ["signature"]
    unknown = encode_access_token(TOKEN, key=KEY, kid="other")
    assert by_outcome(await told(unknown), "failed") == ["signature"]
    assert by_outcome(await told("a.b.c"), "failed") == ["form"]
    with pytest.raises(WrongType):
        await told(sign_jwt({"iss": "x"}, typ="statuslist+jwt", key=KEY))


async def test_what_cannot_be_found_out_is_not_called_good() -> None:
    blind = await told(token(), keys_are_there=False)
    assert "ok" not in {step.outcome for step in blind.steps}
    bound = await told(token(confirmation=Confirmation(jkt="A" * 43)))
    assert "sender" in by_outcome(bound, "unknown")
    unlisted = await told(token(), lists_are_there=False)
    assert "status" in by_outcome(unlisted, "unknown")
    program = await told(
        token(
            evidence=None,
            evidence_uri=None,
            actors=(),
            credential_ids=(),
            client_id=BOB_DID,
            subject=BOB_DID,
            subject_profile="ai_agent",
            entitlements=None,
        ),
    )
    assert next(step.what for step in program.steps if step.name == "delegation").startswith("no credential")


def shown(now: Any = NOW, **said: Any) -> str:
    return present_jwt(DOCUMENTS, key=BOB, audience=RESOURCE, now=now, **said)


@pytest.mark.req("AUD-02")
async def test_a_presentation_in_both_forms_passes_what_can_be_told() -> None:
    both = shown(), json.dumps(present(DOCUMENTS, key=BOB, audience=RESOURCE, challenge="c", now=NOW))
    for text in both:
        found = await told(text, replace(ASKED, tool="read_file", arguments=GOOD))
        assert by_outcome(found, "failed") == []
        assert set(by_outcome(found, "unknown")) == {"sender", "rights of the person", "policy"}
    bound = await told(shown(bound=True))
    assert next(step.what for step in bound.steps if step.name == "sender").startswith("bound to its holder")


@pytest.mark.req("AUD-02")
@pytest.mark.parametrize(
    ("question", "world", "fails"),
    [
        ({"audience": "https://else.example"}, {}, "audience"),
        ({"now": NOW + timedelta(minutes=10)}, {}, "time"),
        ({}, {"trust": TrustedIssuers.of()}, "issuer"),
        ({}, {"revoked": (4242,)}, "status"),
        ({"tool": "list_menu"}, {}, "rights of the agent"),
    ],
)
async def test_a_presentation_fails_at_its_step(question: dict[str, Any], world: dict[str, Any], fails: str) -> None:
    found = await told(shown(), replace(ASKED, **question), **world)
    assert found.failure is not None
    assert found.failure.name == fails


async def test_a_presentation_of_which_the_status_is_unknown_is_not_called_good() -> None:
    found = await told(shown(), lists_are_there=False)
    assert {"status", "rights of the agent", "policy"} <= set(by_outcome(found, "unknown"))
    assert by_outcome(await told('{"type": "x"}'), "failed") == ["form"]
    broken = json.dumps(present(DOCUMENTS[:1], key=BOB, audience=RESOURCE, challenge="c", now=NOW))
    assert by_outcome(await told(broken), "failed") == ["delegation"]


async def test_a_request_id_is_explained_from_the_record() -> None:
    (found,) = await explain(" request-1\n", ASKED, World())
    assert (found.kind, found.allowed) == ("event", True)
    with pytest.raises(NotFound):
        await explain("request-2", ASKED, World())
