"""Why a decision came out as it did: every step of the record, and a remedy for everything that can refuse."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from did_agent import errors
from did_agent.audit.why import ADMISSION, GATES, RIGHTS, STEP_OF, Step, explain_event, failed, in_order
from did_agent.errors import DidAgentError
from did_agent.errors.remedies import ERROR_REMEDIES, POLICY_REMEDIES, remedy
from tests.fakes.bundles import event
from verifier import descoping, pins

ROOT = Path(__file__).parents[2]
LEAVES = {
    kind.code: kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, DidAgentError) and kind is not DidAgentError
}
# Reasons of what was allowed, of an end that is no refusal, and of the bridge's own records of people.
NO_REFUSALS = {"allowed", "signed_out", "cleared", "registered", "imported", "demonstration"}
FACTS = {"agent_may": "tool:read_file", "user_may": "tool:read_file", "form": "jwt"}


def explained(**said: Any) -> dict[str, Step]:
    found = explain_event(event(**said).to_json())
    return {step.name: step for step in found.steps}


@pytest.mark.req("AUD-02")
@pytest.mark.parametrize("code", sorted(LEAVES))
def test_every_error_that_can_be_a_reason_has_its_remedy(code: str) -> None:
    assert ERROR_REMEDIES[code].endswith((".", "?"))
    assert failed(LEAVES[code]("why")).do == remedy(code)


def test_every_reason_in_the_sources_has_its_remedy_too() -> None:
    literal = re.compile(r'reason="([a-z_]+)"')
    folders = ("verifier", "bridge", "ledger", "did_agent/policy")
    said = {
        code for name in folders for path in (ROOT / name).rglob("*.py") for code in literal.findall(path.read_text())
    }
    decided = set(re.findall(r'"((?:agent|user|arguments|limit|scope|mode|rule|refused)_[a-z_]+)"', DECIDE.read_text()))
    named = said | (decided & STEP_OF.keys()) | {pins.CHANGED, pins.NOT_APPROVED, descoping.REASON}
    assert {code for code in named - NO_REFUSALS if code not in ERROR_REMEDIES | POLICY_REMEDIES} == set()
    assert "agent_not_capable" in named


DECIDE = ROOT / "did_agent" / "policy" / "decide.py"


def test_no_remedy_is_for_nothing_and_none_is_told_twice() -> None:
    assert ERROR_REMEDIES.keys() - {"server_refused", "header_mismatch"} == LEAVES.keys()
    assert not ERROR_REMEDIES.keys() & POLICY_REMEDIES.keys()
    assert set(STEP_OF) - {"wrong_host"} <= ERROR_REMEDIES.keys() | POLICY_REMEDIES.keys()
    assert remedy("of_another_release")


def test_an_allowed_call_passed_every_step() -> None:
    found = explain_event(event(details=FACTS).to_json())
    assert [step.name for step in found.steps] == [*ADMISSION["jwt"], *RIGHTS, *GATES]
    assert {step.outcome for step in found.steps} == {"ok"}
    assert (found.allowed, found.failure) == (True, None)
    assert found.facts["token_id"] == "token-1"
    shown = explain_event(event(details={**FACTS, "form": "vp"}, token_id=None).to_json())
    assert [step.name for step in shown.steps][: len(ADMISSION["vp"])] == list(ADMISSION["vp"])


@pytest.mark.parametrize(
    ("reason", "details", "fails", "beyond"),
    [
        ("agent_not_capable", {"agent_may": "nothing"}, "rights of the agent", "limits"),
        ("arguments_refused", {"agent_may": "nothing"}, "arguments", "limits"),
        ("user_not_entitled", {"user_may": "nothing"}, "rights of the person", "limits"),
        ("refused_by_rules", {}, "policy", "limits"),
        ("tool_changed", {}, "approved tool", "limits"),
        ("descoped", {}, "session", "limits"),
    ],
)
def test_a_refused_call_names_the_step_and_reaches_none_behind_it(
    reason: str, details: dict[str, str], fails: str, beyond: str
) -> None:
    found = explain_event(event(decision="deny", reason=reason, details={**FACTS, **details}).to_json())
    assert found.failure is not None
    assert (found.failure.name, found.failure.do) == (fails, remedy(reason))
    steps = {step.name: step.outcome for step in found.steps}
    assert steps[beyond] == "not reached"
    assert all(steps[name] == "ok" for name in ADMISSION["jwt"])
    assert [name for name, outcome in steps.items() if outcome == "failed"] == [fails]


def test_both_answers_are_told_whichever_decided() -> None:
    may_not = {**FACTS, "agent_may": "nothing", "user_may": "nothing"}
    steps = explained(
        decision="deny", reason="agent_not_capable", details=may_not, explanation="tool:read_file was not granted"
    )
    assert [name for name, step in steps.items() if step.outcome == "failed"] == [
        "rights of the agent", "rights of the person", "scope",
    ]  # fmt: skip
    alone = {**FACTS, "user_may": "not asked: the agent acts on its own"}
    assert explained(decision="deny", reason="limit_reached", details=alone)["rights of the person"].outcome == "ok"


def test_of_what_was_refused_at_the_door_nothing_else_is_claimed() -> None:
    nobody = {"principal": None, "principal_kind": None, "actors": (), "credential_ids": (), "evidence": None}
    said = {"action": "resource.access", "target": None, "details": {}, "token_id": None, **nobody}
    found = explain_event(event(decision="deny", reason="revoked", explanation="it is revoked", **said).to_json())
    outcomes = {step.name: step.outcome for step in found.steps}
    assert outcomes["status"] == "failed"
    assert outcomes["delegation"] == "not reached"
    assert outcomes["signature"] == "unknown"
    assert "nobody" in found.title


def test_a_token_that_was_not_given_fails_where_nothing_was_left() -> None:
    said = {"action": "token.issue", "target": "https://files.example/mcp", "party": "bridge"}
    steps = explained(decision="deny", reason="empty_grant", details={"grant": "x", "agent_may": "nothing"}, **said)
    assert steps["rights of the agent"].outcome == steps["scope"].outcome == "failed"
    assert "limits" not in steps
    refused = explained(decision="deny", reason="consent_denied", details={"grant": "x"}, **said)
    assert refused["consent"].do == remedy("consent_denied")


def test_other_decisions_are_one_step() -> None:
    steps = explained(action="credential.revoke", decision="deny", reason="not_found", explanation="none")
    assert list(steps) == ["decision"]
    assert steps["decision"].do == remedy("not_found")


def test_an_erased_person_is_not_named() -> None:
    found = explain_event(event(principal="sealed:sha-256:x").to_json())
    assert "sealed" not in found.title
    assert "erased" in found.title


def test_steps_behind_a_failure_are_not_reached() -> None:
    steps = in_order(("a", "b", "c"), [Step(name="b", outcome="failed")])
    assert [step.outcome for step in steps] == ["ok", "failed", "not reached"]
