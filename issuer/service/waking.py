"""Who may let a suspended agent act again: a sponsor only what it stopped itself (WEB-04)."""

from __future__ import annotations

from typing import Final

from did_agent.errors import InsufficientScope
from issuer.access import own_alone
from issuer.model import Agent, Operator
from issuer.ports import Work

_LOOKED_AT: Final = 20  # happenings, the newest first; a suspended agent was suspended by one of the last


async def require_may_wake(work: Work, agent: Agent, by: Operator) -> None:
    """Return when somebody may take back the suspension of an agent, or when there is none.

    Raises: InsufficientScope, StoreUnavailable.
    """
    if agent.state != "suspended" or own_alone(by) is None:
        return
    for happened in await work.history(agent, after=0, limit=_LOOKED_AT):
        if happened.after == "suspended" and happened.before != "suspended":
            if happened.actor == by.principal:
                return
            break
    raise InsufficientScope("somebody else suspended it; an admin or a manager lets it act again")
