"""Published policies and approvals, part of every transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from bridge.model.policy import PolicyRecord, PolicyVersion


class Policies(Protocol):
    """Kept for ever: what was in force when must be known as long as there are audit events."""

    async def policy_version(self) -> int: ...  # of the newest, which is in force; 0 before the first
    async def policy(self, version: int) -> PolicyVersion | None: ...
    async def policy_history(self, *, limit: int) -> Sequence[PolicyRecord]: ...  # the newest first

    # False when somebody else published this number before.
    async def add_policy(self, policy: PolicyVersion) -> bool: ...

    # Approving twice is approving once.
    async def approve_policy(self, digest: str, operator: str, *, now: datetime) -> None: ...
    async def policy_approvers(self, digest: str) -> Sequence[str]: ...
