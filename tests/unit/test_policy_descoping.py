"""Rules that take rights away while an agent runs: how they are written, when they hold, and for whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from did_agent.errors import BadPolicy
from did_agent.policy.caller import Principal, VerifiedCaller
from did_agent.policy.decide import short_did
from did_agent.policy.descoping import DescopingRule, in_words, judge, parse_rules
from did_agent.policy.document import PolicyDocument, parse_policy
from did_agent.policy.lint import lint
from tests.unit.test_policy import AGENT, caller

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday, 13:00 in Berlin
OTHER = "did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH"
AFTER: dict[str, Any] = {"name": "secrets", "after": ["read_secrets"], "remove": ["send_mail"], "for_seconds": 3600}
RISK: dict[str, Any] = {"name": "risky", "risk_at_least": 70, "remove": ["*"]}
ODD_HOURS: list[dict[str, Any]] = [
    {"from": "8:00"},
    {"from": "24:00"},
    {"from": "18:00"},
    {"to": 18},
    {"days": []},
    {"days": [0]},
    {"days": [8]},
    {"days": ["1"]},
    {"timezone": "Europe/Atlantis"},
    {"timezone": "../../etc/passwd"},
    {"timezone": ""},
    {"holidays": []},
]
HOURS: dict[str, Any] = {
    "name": "hours",
    "outside": {"from": "08:00", "to": "18:00", "days": [1, 2, 3, 4, 5], "timezone": "Europe/Berlin"},
    "remove": ["create_order"],
}


def rules(*entries: dict[str, Any]) -> tuple[DescopingRule, ...]:
    return parse_rules([*entries])


def refused(entry: dict[str, Any], tool: str, *, now: datetime = NOW, risk: int = 0) -> bool:
    return bool(judge(rules(entry), caller(), tool, now=now, risk=risk).refused)


def keys(entry: dict[str, Any], who: VerifiedCaller) -> set[str]:
    """Return the marks that a watched call makes; those that refuse are the same."""
    marks = {mark.key for mark in judge(rules(entry), who, "read_secrets", now=NOW, risk=0).marks}
    assert marks == {*judge(rules(entry), who, "send_mail", now=NOW, risk=0).looked}
    return marks


# ---- how they are written


def test_a_policy_says_its_rules_again_as_it_read_them() -> None:
    written = {"descoping": [AFTER, HOURS, RISK]}
    document = parse_policy(written)
    assert parse_policy(document.to_json()) == replace(document, descoping=tuple(sorted_rules(document)))
    assert document.digest == parse_policy({"descoping": [RISK, AFTER, HOURS]}).digest
    assert document.digest != parse_policy({}).digest


def sorted_rules(document: PolicyDocument) -> list[DescopingRule]:
    return sorted(document.descoping, key=lambda rule: rule.name)


def test_a_policy_without_such_rules_keeps_its_digest() -> None:
    assert "descoping" not in parse_policy({}).to_json()
    assert parse_policy({"descoping": []}).digest == parse_policy({}).digest


@pytest.mark.req("POL-01")
@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": 7},
        {"remove": []},
        {"remove": "send_mail"},
        {"remove": ["send mail"]},
        {"remove": [7]},
        {"after": []},
        {"after": ["*"]},
        {"for_seconds": 0},
        {"for_seconds": True},
        {"for_seconds": 31 * 86_400 + 1},
        {"within": "world"},
        {"within": ["task"]},
        {"risk_at_least": 70},
        {"unless": "friday"},
    ],
)
def test_a_rule_that_is_not_understood_is_refused(changes: dict[str, Any]) -> None:
    assert rules(AFTER)
    with pytest.raises(BadPolicy):
        rules({**AFTER, **changes})


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "x", "remove": ["*"]},
        {"name": "x", "remove": ["*"], "risk_at_least": 0},
        {"name": "x", "remove": ["*"], "risk_at_least": 101},
        {"name": "x", "remove": ["*"], "risk_at_least": None},
        {"name": "x", "remove": ["*"], "risk_at_least": 5, "within": "task"},
        {"name": "x", "remove": ["*"], "risk_at_least": 5, "for_seconds": 5},
        {"name": "x", "remove": ["*"], "after": ["a"]},
        *({**HOURS, "outside": HOURS["outside"] | change} for change in ODD_HOURS),
    ],
)
def test_a_rule_has_one_trigger_and_all_of_it(entry: dict[str, Any]) -> None:
    with pytest.raises(BadPolicy):
        rules(entry)


def test_two_rules_have_two_names_and_there_are_not_too_many() -> None:
    with pytest.raises(BadPolicy):
        rules(AFTER, AFTER)
    assert rules(*({**AFTER, "name": f"r{number}"} for number in range(64)))
    with pytest.raises(BadPolicy):
        rules(*({**AFTER, "name": f"r{number}"} for number in range(65)))


def test_a_mistyped_tool_is_found_before_the_policy_is_published() -> None:
    document = parse_policy({"descoping": [AFTER, RISK]})
    language: Any = None
    served = {"https://mcp.example/mcp": frozenset({"send_mail", "read_secrets"})}
    assert lint(document, language=language, resources=served) == []
    found = lint(document, language=language, resources={"https://mcp.example/mcp": frozenset({"send_mail"})})
    assert [(one.level, one.where, one.message) for one in found] == [
        ("error", "descoping.secrets", "unknown tool read_secrets")
    ]


# ---- when they hold


@pytest.mark.req("POL-03")
def test_a_risk_takes_away_from_its_level_on() -> None:
    assert [refused(RISK, "send_mail", risk=level) for level in (0, 69, 70, 100)] == [False, False, True, True]
    assert not refused({**RISK, "remove": ["other"]}, "send_mail", risk=100)


@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        ("2026-11-23T06:59:59+00:00", True),
        ("2026-11-23T07:00:00+00:00", False),
        ("2026-11-23T16:59:59+00:00", False),
        ("2026-11-23T17:00:00+00:00", True),
        ("2026-11-22T12:00:00+00:00", True),  # a Sunday
        ("2026-07-20T06:00:00+00:00", False),  # summer time
        ("2026-07-20T16:00:00+00:00", True),
    ],
)
def test_hours_are_those_of_their_time_zone(moment: str, holds: bool) -> None:
    assert refused(HOURS, "create_order", now=datetime.fromisoformat(moment)) is holds
    assert not refused(HOURS, "list_menu", now=datetime.fromisoformat(moment))


@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        ("2026-11-23T21:59:00+00:00", True),
        ("2026-11-23T22:00:00+00:00", False),
        ("2026-11-24T05:59:00+00:00", False),  # the shift of Monday goes on
        ("2026-11-24T06:00:00+00:00", True),
        ("2026-11-24T22:30:00+00:00", True),
        ("2026-11-23T05:00:00+00:00", True),  # that would be the shift of Sunday
    ],
)
def test_a_night_shift_belongs_to_the_day_it_begins_on(moment: str, holds: bool) -> None:
    hours = {"from": "22:00", "to": "06:00", "days": [1], "timezone": "UTC"}
    assert refused({**HOURS, "outside": hours}, "create_order", now=datetime.fromisoformat(moment)) is holds


def test_a_watched_call_leaves_a_mark_that_refuses_what_the_rule_removes() -> None:
    plan = judge(rules(AFTER), caller(), "read_secrets", now=NOW, risk=0)
    assert (plan.refused, dict(plan.looked)) == ((), {})
    assert {mark.until for mark in plan.marks} == {NOW + timedelta(hours=1)}
    assert keys(AFTER, caller())
    nothing = judge(rules(AFTER), caller(), "list_menu", now=NOW, risk=0)
    assert (nothing.refused, dict(nothing.looked), nothing.marks) == ((), {}, ())


def test_a_rule_says_why_without_telling_how_risky_somebody_is() -> None:
    after, risk, hours = rules(AFTER, RISK, HOURS)
    assert in_words(after, "send_mail").startswith("the rule secrets takes send_mail away: read_secrets was called")
    assert "70" not in in_words(risk, "send_mail")
    assert "hours" in in_words(hours, "create_order")


# ---- for whom


@pytest.mark.req("POL-03", "DEL-11")
def test_marks_of_one_agent_hold_for_everybody_in_its_chain() -> None:
    alone, sent = caller(actors=(AGENT,)), caller(actors=(OTHER, AGENT))
    assert keys(AFTER, sent) > keys(AFTER, alone)  # what the helper read, whoever sent it knows too
    assert not keys(AFTER, alone) & keys(AFTER, caller(actors=(OTHER,)))
    itself = caller(principal=Principal(kind="agent", id=AGENT, namespace="did"), actors=())
    assert keys(AFTER, itself) == keys(AFTER, alone)


def test_marks_of_a_principal_hold_whoever_acts_and_for_nobody_of_the_same_name() -> None:
    rule = {**AFTER, "within": "principal"}
    assert keys(rule, caller(actors=(OTHER,))) == keys(rule, caller())
    for who in (
        Principal(kind="user", id="jones", namespace="https://bridge.example"),
        Principal(kind="user", id="smith", namespace="https://other.example"),
    ):
        assert not keys(rule, caller(principal=who)) & keys(rule, caller())


def test_marks_of_a_task_hold_in_it_alone() -> None:
    rule = {**AFTER, "within": "task"}
    one, other = caller(task="urn:did-agent:task:one"), caller(task="urn:did-agent:task:other")
    assert keys(rule, one) == keys(rule, replace(one, actors=(OTHER, AGENT)))
    assert not keys(rule, one) & keys(rule, other)
    # Where there is no task, what the agents do for one person counts as one.
    assert keys(rule, caller()) == keys(rule, caller(actors=(OTHER, AGENT)))
    assert not keys(rule, caller()) & keys(rule, caller(actors=(OTHER,)))


@pytest.mark.req("POL-03")
@given(st.lists(st.sampled_from([AFTER, RISK, HOURS]), unique_by=lambda one: one["name"]), st.integers(0, 100))
def test_more_rules_never_allow_more(entries: list[dict[str, Any]], risk: int) -> None:
    everything = judge(rules(AFTER, RISK, HOURS), caller(), "send_mail", now=NOW, risk=risk)
    some = judge(rules(*entries), caller(), "send_mail", now=NOW, risk=risk)
    assert {*some.refused} <= {*everything.refused}
    assert {*some.looked} <= {*everything.looked}


def test_short_names_are_no_keys() -> None:
    assert all(short_did(AGENT) not in key and AGENT not in key for key in keys(AFTER, caller()))
