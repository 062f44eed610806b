"""Spending what credentials allow as a guard does: the accounts their signed text names, in a counter or in memory."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from did_agent.credential.accounts import charged
from did_agent.credential.capability import Capability
from did_agent.credential.model import parse_capability_credential
from verifier.limits.costs import Cost
from verifier.limits.counting import count
from verifier.limits.model import Charge, Count, Spent, microseconds
from verifier.limits.plan import charges

COSTS = {"a": Cost(amount="1", currency="EUR")}


def accounts_of(document: Mapping[str, Any]) -> list[str]:
    """Return where the calls of an agent's own credential are counted."""
    (held,) = charged([parse_capability_credential(document)])
    return [account.id for account in held.accounts]


def charges_of(held: Capability) -> tuple[Charge, ...]:
    """Return what a call of the tool `a` is charged."""
    planned = charges(held, "a", {}, COSTS)
    assert isinstance(planned, tuple), planned
    return planned


async def pays(counter: Any, held: Capability, now: datetime) -> bool:
    """Make a call at a guard with this counter, and tell whether it was allowed."""
    return isinstance(await counter.spend(charges_of(held), microseconds(now), uuid.uuid4().hex), Spent)


@dataclass
class Till:
    """A counter in memory."""

    counts: dict[tuple[str, str], Count] = field(default_factory=dict)

    def pays(self, document: Mapping[str, Any], now: datetime) -> bool:
        """Make a call with an agent's own credential, and tell whether it was allowed."""
        (held,) = charged([parse_capability_credential(document)])
        verdicts = {
            (one.account, one.kind): count(self.counts.get((one.account, one.kind)), one, microseconds(now))
            for one in charges_of(held)
        }
        if not all(verdict.allowed for verdict in verdicts.values()):
            return False
        self.counts |= {name: verdict.after for name, verdict in verdicts.items()}
        return True
