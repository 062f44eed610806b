"""Which policy is in force at the call, where no bridge publishes one: rights meet, and nothing else is asked."""

from __future__ import annotations

from datetime import datetime

from did_agent.policy.active import NO_POLICY, ActivePolicy


class NoPolicies:
    """Implements `verifier.ports.PolicySource` for guards that follow no bridge's policy."""

    async def ready(self) -> None:
        """Nothing is waited for."""

    def current(self, _now: datetime) -> ActivePolicy:
        """Return the policy of which nothing was ever published."""
        return NO_POLICY
