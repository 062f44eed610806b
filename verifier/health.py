"""What a guard works with, as its readiness shows it."""

from __future__ import annotations

from collections.abc import Sequence

from did_agent.adapters.readiness import OK, Look, Part, part
from did_agent.adapters.status import StatusLists
from did_agent.adapters.trust_list import PulledTrust
from did_agent.clock import Clock
from verifier.adapters.feed import RevocationFeed
from verifier.adapters.policy_bundle import BridgePolicy
from verifier.adapters.spool import Spool


def guard_parts(
    *,
    spool: Spool,
    feed: RevocationFeed | None,
    policy: BridgePolicy | None,
    trusted: PulledTrust | None,
    statuses: object,
    delivers: bool,
    clock: Clock,
) -> Sequence[Part]:
    """Return the parts of a guard: without news of what was revoked, or room for its record, it lets nobody through."""
    parts = [part("spool", lambda: not spool.is_pressed(), "full")]
    if delivers:
        parts.append(part("ledger", lambda: not spool.waits, "away", needed=False))
    if feed is not None:
        parts.append(part("revocation_feed", lambda: feed.is_heard(clock()), "stale"))
    if policy is not None:
        parts.append(Part(name="policy", look=_policy(policy, clock)))
    if trusted is not None:
        parts.append(part("trust_list", lambda: trusted.text(clock()) is not None, "stale", needed=False))
    if isinstance(statuses, StatusLists):
        parts.append(part("status_lists", lambda: statuses.is_fresh, "away", needed=False))
    return parts


def _policy(policy: BridgePolicy, clock: Clock) -> Look:
    async def look() -> str:
        policy.current(clock())
        return OK

    return look
