"""A real bridge and a guard that follows it: tasks end everywhere at once, and rights go away while agents run."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from did_agent.errors import Revoked, StoreUnavailable
from did_agent.policy.decide import Decision
from tests.fakes.bridge_policy import PERMIT, publish
from tests.fakes.bridge_world import RESOURCE
from tests.integration.test_guard_follows_bridge import Kitchen, guard, kitchen, until
from verifier.adapters.marks import open_marks
from verifier.descoping import Descoping
from verifier.http import bearer_alone

__all__ = ["kitchen"]
WALL = [
    {"name": "wall", "after": ["list_menu"], "remove": ["create_order"], "for_seconds": 20, "within": "agent"},
]


async def for_task(at: Kitchen, task: str | None) -> str:
    form = {} if task is None else {"task": task}
    answer = await at.w.client_credentials(at.agent.key, resource=RESOURCE, **form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def rules(at: Kitchen, *entries: dict[str, Any]) -> None:
    await publish(at.w, {"descoping": [*entries]})
    await until(lambda: len(at.parts.verifier.policies.current(at.w.clock()).document.descoping) == len(entries))


async def signal(at: Kitchen, level: int, subject: str | None = None) -> None:
    body = {"subject": subject or at.agent.did, "level": level, "seconds": 60}
    answer = await at.w.http.post("/signals", json=body, headers=await at.w.admin_headers())
    assert answer.status_code == 200, answer.text


def reasons(*decisions: Decision) -> list[str]:
    return [one.reason for one in decisions]


@pytest.mark.req("DEL-10")
async def test_a_completed_task_is_refused_by_the_guard_within_two_seconds(kitchen: Kitchen) -> None:
    done, goes_on = await for_task(kitchen, "tidy-up"), await for_task(kitchen, "another")
    assert (await kitchen.call(done, "list_menu")).allowed
    admission = await kitchen.parts.verifier.admit(bearer_alone(done))
    assert admission.caller.task is not None
    assert admission.caller.task in admission.revocable_ids
    cut: list[str] = []
    assert kitchen.parts.feed is not None
    kitchen.parts.feed.watch(cut.append)
    began = time.monotonic()
    answer = await kitchen.w.post("/tasks/complete", {"task": "tidy-up", **kitchen.w.assertion(kitchen.agent.key)})
    assert answer.status_code == 200, answer.text
    await until(lambda: bool(cut))
    with pytest.raises(Revoked):
        await kitchen.call(done, "list_menu")
    assert time.monotonic() - began < 2
    assert admission.caller.task in cut  # so that streams that are open are cut
    assert (await kitchen.call(goes_on, "list_menu")).allowed


@pytest.mark.req("POL-03")
async def test_a_tool_goes_away_after_another_was_called(kitchen: Kitchen) -> None:
    await rules(kitchen, *WALL)
    token = await for_task(kitchen, None)
    assert (await kitchen.call(token, "create_order")).allowed
    assert (await kitchen.call(token, "list_menu")).allowed
    refused = await kitchen.call(token, "create_order")
    assert (refused.allowed, refused.reason) == (False, "descoped")
    assert "the rule wall takes create_order away" in refused.explanation
    assert (await kitchen.call(kitchen.presented(), "create_order")).reason == "descoped"  # through either door
    assert (await kitchen.call(token, "list_menu")).allowed
    assert [event["reason"] for event in kitchen.events if event["target"] == "create_order"][-1] == "descoped"
    kitchen.w.clock.now += timedelta(seconds=20)
    assert (await kitchen.call(token, "create_order")).allowed


@pytest.mark.req("POL-03")
async def test_within_a_task_nothing_of_another_task_counts(kitchen: Kitchen) -> None:
    await rules(kitchen, {**WALL[0], "within": "task"})
    one, other = await for_task(kitchen, "one"), await for_task(kitchen, "other")
    assert (await kitchen.call(one, "list_menu")).allowed
    assert reasons(await kitchen.call(one, "create_order"), await kitchen.call(other, "create_order")) == [
        "descoped",
        "allowed",
    ]


@pytest.mark.req("POL-03")
async def test_of_two_calls_at_once_that_exclude_each_other_one_passes(kitchen: Kitchen) -> None:
    back = {**WALL[0], "name": "back", "after": ["create_order"], "remove": ["list_menu"]}
    await rules(kitchen, *WALL, back)
    token = await for_task(kitchen, None)
    decisions = await asyncio.gather(kitchen.call(token, "list_menu"), kitchen.call(token, "create_order"))
    assert sorted(reasons(*decisions)) == ["allowed", "descoped"]


@pytest.mark.req("POL-03")
async def test_a_call_that_was_refused_or_not_recorded_leaves_no_mark(kitchen: Kitchen, monkeypatch: Any) -> None:
    await rules(kitchen, *WALL)
    token, verifier = await for_task(kitchen, None), kitchen.parts.verifier

    async def full(*_said: object, **_more: object) -> None:
        raise StoreUnavailable("full")

    with monkeypatch.context() as patch:
        patch.setattr(type(kitchen.parts.spool), "record", full)
        with pytest.raises(StoreUnavailable):
            await kitchen.call(token, "list_menu")
    assert (await kitchen.call(token, "create_order")).allowed
    admission = await verifier.admit(bearer_alone(token))
    assert (await verifier.decide(admission, tool="list_menu", arguments={}, request_id="one")).allowed
    await verifier.undo("one")  # it was done, and failed: what it read may be known
    assert (await kitchen.call(token, "create_order")).reason == "descoped"


@pytest.mark.req("POL-03")
async def test_marks_hold_at_another_guard_of_the_same_store_and_after_a_restart(
    kitchen: Kitchen, tmp_path: Any
) -> None:
    await rules(kitchen, *WALL)
    token = await for_task(kitchen, None)
    assert (await kitchen.call(token, "list_menu")).allowed
    store = f"sqlite:///{tmp_path / 'guard' / 'guard.db'}"
    (tmp_path / "other").mkdir()
    parts = guard(kitchen.w, tmp_path / "other", limits_url=store)
    (gate,) = (one for one in parts.verifier.gates if isinstance(one, Descoping))
    moved = Descoping(policies=kitchen.parts.verifier.policies, risks=kitchen.parts.verifier.risks, marks=gate.marks)
    admission = await kitchen.parts.verifier.admit(bearer_alone(token))
    (here,) = (one for one in kitchen.parts.verifier.gates if isinstance(one, Descoping))
    object.__setattr__(here, "marks", moved.marks)
    decision = await kitchen.parts.verifier.decide(admission, tool="create_order", arguments={}, request_id="x")
    assert decision.reason == "descoped"
    object.__setattr__(here, "marks", open_marks("postgresql://127.0.0.1:9/nothing", default=tmp_path))
    with pytest.raises(StoreUnavailable):
        await kitchen.parts.verifier.decide(admission, tool="create_order", arguments={}, request_id="y")
    await gate.marks.close()


@pytest.mark.req("POL-03")
async def test_a_risk_signal_takes_away_until_it_is_cleared_or_over(kitchen: Kitchen) -> None:
    await rules(kitchen, {"name": "risky", "risk_at_least": 70, "remove": ["create_order"]})
    token, verifier = await for_task(kitchen, None), kitchen.parts.verifier
    admission = await verifier.admit(bearer_alone(token))

    def risk() -> int:
        return verifier.risks.risk_of(admission.caller, kitchen.w.clock())

    assert (risk(), (await kitchen.call(token, "create_order")).allowed) == (0, True)
    await signal(kitchen, 69)
    await until(lambda: risk() == 69)
    assert (await kitchen.call(token, "create_order")).allowed
    await signal(kitchen, 70)
    await until(lambda: risk() == 70)
    assert reasons(await kitchen.call(token, "create_order"), await kitchen.call(token, "list_menu")) == [
        "descoped",
        "allowed",
    ]
    await signal(kitchen, 0)
    await until(lambda: risk() == 0)
    assert (await kitchen.call(token, "create_order")).allowed
    await signal(kitchen, 100)
    await until(lambda: risk() == 100)
    kitchen.w.clock.now += timedelta(seconds=60)
    assert risk() == 0


@pytest.mark.req("POL-03")
async def test_rules_read_the_same_risk(kitchen: Kitchen) -> None:
    forbid = '@id("risky") forbid(principal, action, resource) when { context has risk && context.risk >= 70 };'
    await publish(kitchen.w, {"rules": PERMIT + forbid})
    await until(lambda: kitchen.version() == 1)
    token = await for_task(kitchen, None)
    admission = await kitchen.parts.verifier.admit(bearer_alone(token))
    assert (await kitchen.call(token, "list_menu")).allowed
    await signal(kitchen, 70)
    await until(lambda: kitchen.parts.verifier.risks.risk_of(admission.caller, kitchen.w.clock()) == 70)
    assert (await kitchen.call(token, "list_menu")).reason == "refused_by_rules"


@pytest.mark.req("POL-03")
async def test_a_risk_of_somebody_else_takes_nothing_away(kitchen: Kitchen) -> None:
    await rules(kitchen, {"name": "risky", "risk_at_least": 1, "remove": ["*"]})
    token = await for_task(kitchen, None)
    await signal(kitchen, 100, "did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH")
    await signal(kitchen, 1)
    admission = await kitchen.parts.verifier.admit(bearer_alone(token))
    await until(lambda: kitchen.parts.verifier.risks.risk_of(admission.caller, kitchen.w.clock()) == 1)
    assert (await kitchen.call(token, "list_menu")).reason == "descoped"


@pytest.mark.req("POL-03")
async def test_outside_the_hours_nothing_passes_and_within_them_no_more_than_before(kitchen: Kitchen) -> None:
    hours = {"from": "08:00", "to": "18:00", "days": [1, 2, 3, 4, 5, 6, 7], "timezone": "UTC"}
    entry = {"name": "hours", "outside": hours, "remove": ["*"]}
    at = kitchen.w.clock
    inside = at().replace(hour=12) > at()
    await rules(kitchen, entry)
    token = await for_task(kitchen, None)
    expected = "allowed" if 8 <= at().hour < 18 else "descoped"
    assert (await kitchen.call(token, "list_menu")).reason == expected, inside
    await rules(kitchen, {**entry, "outside": {**hours, "from": "18:00", "to": "08:00"}})
    await until(lambda: kitchen.version() == 2)
    turned = "descoped" if expected == "allowed" else "allowed"
    assert (await kitchen.call(token, "list_menu")).reason == turned
    assert (await kitchen.call(token, "update_stock")).reason == "agent_not_capable"
