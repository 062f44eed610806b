"""The gate that spends limits: after everything else allowed the call, from the first capability that still can."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from did_agent.credential.capability import Capability
from did_agent.credential.limits import Account
from did_agent.policy.decide import Decision, short_did
from verifier.gates import Asked, refuse
from verifier.limits.costs import Cost, Uncountable
from verifier.limits.counter import LimitCounter
from verifier.limits.model import SECOND, Refused, Spent, microseconds
from verifier.limits.plan import charges, in_words, units

Refunds = Literal["never", "on_error"]

MAX_OPEN: Final = 10_000  # spends that can still be taken back; the oldest goes first and stays spent


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsGate:
    """Spends what a call costs; must be the last gate, for what a later one refuses would be spent."""

    counter: LimitCounter
    costs: Mapping[str, Cost] = field(default_factory=dict)
    refunds: Refunds = "never"  # whether a call that happened and failed is given back
    _open: OrderedDict[str, Spent] = field(default_factory=OrderedDict, init=False, repr=False)

    async def judge(self, asked: Asked, decision: Decision) -> Decision:
        """Return the decision when one of the covering capabilities is unlimited or could be spent from.

        Raises: StoreUnavailable.
        """
        refusals: list[tuple[Capability, Refused | Uncountable]] = []
        for held in decision.covering:
            if held.limits is None:
                return decision
            outcome = await self._spend(asked, held)
            if isinstance(outcome, Spent):
                self._remember(asked.request_id, outcome)
                return decision
            refusals.append((held, outcome))
        return _refused(asked, decision, refusals)

    async def undo(self, request_id: str, *, happened: bool) -> None:
        """Give back what a call cost that was not done, or that failed where such calls are free.

        Raises: StoreUnavailable; then it stays spent.
        """
        spent = self._open.pop(request_id, None)
        if spent is not None and (not happened or self.refunds == "on_error"):
            await self.counter.refund(spent)

    async def _spend(self, asked: Asked, held: Capability) -> Spent | Refused | Uncountable:
        planned = charges(held, asked.call.tool, asked.call.arguments, self.costs)
        if isinstance(planned, Uncountable):
            return planned
        return await self.counter.spend(planned, microseconds(asked.now), uuid.uuid4().hex)

    def _remember(self, request_id: str, spent: Spent) -> None:
        self._open[request_id] = spent
        if len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)


def _refused(
    asked: Asked, decision: Decision, refusals: Sequence[tuple[Capability, Refused | Uncountable]]
) -> Decision:
    used_up = [(held, one) for held, one in refusals if isinstance(one, Refused)]
    if used_up:
        # Of several the one that can be used again soonest.
        held, refusal = min(used_up, key=lambda pair: (pair[1].wait is None, pair[1].wait or 0))
        return refuse(decision, reason="limit_reached", explanation=_told(asked, held, refusal))
    why = next((one.why for _, one in refusals if isinstance(one, Uncountable)), "no capability can be counted")
    explanation = f"the limits of the capability for {asked.call.tool} cannot be kept: {why}"
    return refuse(decision, reason="limit_not_enforceable", explanation=explanation)


def _told(asked: Asked, held: Capability, refusal: Refused) -> str:
    charge = refusal.charge
    account = next(one for one in held.accounts if one.id == charge.account)
    left = ""
    if charge.kind == "amount":
        left = f", of which {units(refusal.left)} are left and {units(charge.cost)} are needed"
    until = "; it will not work again: ask for a new grant"
    if refusal.wait is not None:
        until = f"; it can work again in {-(-refusal.wait // SECOND)} seconds"
    whose = _owner(account, asked.admission.caller.agent)
    return f"the limit of {whose} is reached: {in_words(charge, account.limits)}{left}{until}"


def _owner(account: Account, agent: str) -> str:
    if account.holder is None:
        return "what was asked for in detail"
    if account.holder == agent:
        return "the agent's own credential"
    return f"the credential of {short_did(account.holder)}, from which the right was handed on,"
