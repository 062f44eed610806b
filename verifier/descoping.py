"""The gate of rules that take rights away while an agent runs (POL-03)."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from did_agent.policy import descoping
from did_agent.policy.caller import VerifiedCaller
from did_agent.policy.decide import Decision
from verifier.gates import Asked, refuse
from verifier.marks import Marked
from verifier.ports import Marks, PolicySource, Risks

REASON: Final = "descoped"
MAX_OPEN: Final = 10_000  # calls whose marks can still be taken back; the oldest goes first and stays marked


class NoRisks:
    """Implements `verifier.ports.Risks` where nobody tells of any."""

    def risk_of(self, _caller: VerifiedCaller, _now: datetime) -> int:
        """Return that none is known."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Descoping:
    """Refuses what rules have taken away, and marks calls after which they do.

    Looking and marking is one step of the store: of two calls at once that exclude each other, one is refused.  A mark
    is durable before the tool runs.
    """

    policies: PolicySource
    risks: Risks
    marks: Marks
    _open: OrderedDict[str, Marked] = field(default_factory=OrderedDict, init=False, repr=False)

    async def judge(self, asked: Asked, decision: Decision) -> Decision:
        """Return the decision, refused when a rule takes the tool away.

        Raises: PolicyUnavailable, StoreUnavailable.
        """
        self._open.pop(asked.request_id, None)  # of an earlier call of the same id nothing is taken back any more
        rules = self.policies.current(asked.now).document.descoping
        if not rules:
            return decision
        caller, tool = asked.admission.caller, asked.call.tool
        plan = descoping.judge(rules, caller, tool, now=asked.now, risk=self.risks.risk_of(caller, asked.now))
        if plan.refused:
            return _refused(decision, plan.refused[0], tool)
        if not plan.looked and not plan.marks:
            return decision
        outcome = await self.marks.claim(tuple(plan.looked), plan.marks, now=asked.now, by=uuid.uuid4().hex)
        if not isinstance(outcome, Marked):
            return _refused(decision, plan.looked[outcome], tool)
        if outcome.before:
            self._remember(asked.request_id, outcome)
        return decision

    async def undo(self, request_id: str, *, happened: bool) -> None:
        """Take back the marks of a call that was not done; one that happened and failed may have told what it read.

        Raises: StoreUnavailable; then they stay.
        """
        marked = self._open.pop(request_id, None)
        if marked is not None and not happened:
            await self.marks.release(marked)

    def _remember(self, request_id: str, marked: Marked) -> None:
        self._open[request_id] = marked
        if len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)


def _refused(decision: Decision, rule: descoping.DescopingRule, tool: str) -> Decision:
    return refuse(decision, reason=REASON, explanation=descoping.in_words(rule, tool))
