"""The policy in force: compiled once a version, checked by number alone, and a no when it cannot be compiled."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.model.policy import PolicyRecord, PolicyVersion
from bridge.publication import require_approval
from bridge.service.policy import PolicyInForce
from did_agent.adapters.cedar import Cedar
from did_agent.errors import PolicyUnavailable, StateConflict
from did_agent.policy.active import NO_POLICY
from did_agent.policy.document import parse_policy

NOW = datetime(2026, 11, 23, tzinfo=UTC)
PERMIT = "permit(principal, action, resource);"
RESOURCE = "https://mcp.example/mcp"


@dataclass
class Published:
    """The stored side of policy, counting what is read."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    reads: int = 0

    async def policy_version(self) -> int:
        return len(self.documents)

    async def policy(self, version: int) -> PolicyVersion:
        self.reads += 1
        record = PolicyRecord(version=version, digest="d", published=NOW, by="did:key:zO", note="")
        return PolicyVersion(record=record, document=self.documents[version - 1], cases=())


async def test_a_version_is_read_and_compiled_once() -> None:
    stored, policies = Published(), PolicyInForce(language=Cedar())
    assert await policies.current(stored) is NO_POLICY  # type: ignore[arg-type]
    stored.documents.append({"rules": PERMIT})
    first = await policies.current(stored)  # type: ignore[arg-type]
    assert (first.version, first.rules is not None) == (1, True)
    assert await policies.current(stored) is first  # type: ignore[arg-type]
    assert stored.reads == 1
    stored.documents.append({})
    assert (await policies.current(stored)).version == 2  # type: ignore[arg-type]
    assert stored.reads == 2


@pytest.mark.req("POL-01", "FCL")
@pytest.mark.parametrize("document", [{"rules": "permit("}, {"roles": []}, {"from the future": 1}])
async def test_a_stored_policy_that_cannot_be_compiled_denies(document: dict[str, Any]) -> None:
    policies = PolicyInForce(language=Cedar())
    for _ in range(2):  # and goes on denying
        with pytest.raises(PolicyUnavailable):
            await policies.current(Published([document]))  # type: ignore[arg-type]


@pytest.mark.req("FCL")
async def test_rules_without_their_library_deny(monkeypatch: pytest.MonkeyPatch) -> None:
    policies = PolicyInForce(language=Cedar())
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "cedarpy", None)
        with pytest.raises(PolicyUnavailable):
            await policies.current(Published([{"rules": PERMIT}]))  # type: ignore[arg-type]
        assert (await policies.current(Published([{}]))).version == 1  # type: ignore[arg-type]
    assert (await policies.current(Published([{}, {"rules": PERMIT}]))).version == 2  # type: ignore[arg-type]


@pytest.mark.req("WEB-04")
def test_an_approval_ends_with_the_trust_in_whoever_gave_it() -> None:
    union = parse_policy({"resources": {RESOURCE: {"mode": "union"}}})
    both = frozenset({"did:key:zA", "did:key:zB"})
    assert require_approval(union, sorted(both), operators=both) == ("did:key:zA", "did:key:zB")
    for approvers, operators in (
        (["did:key:zA", "did:key:zA"], both),
        (["did:key:zA", "did:key:zB"], frozenset({"did:key:zA"})),
        ([], both),
    ):
        with pytest.raises(StateConflict):
            require_approval(union, approvers, operators=operators)
    assert require_approval(parse_policy({}), [], operators=both) == ()
