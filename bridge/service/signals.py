"""Risk signals: raised by operators and registered sources, and told to every verifier through the feed (POL-03)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from bridge import audit_trail
from bridge.model import Identity
from bridge.model.signals import MAX_LIFE, Signal
from bridge.ports import Store
from bridge.service.callers import Caller
from bridge.service.ending import is_agent
from bridge.service.revocation import announce
from did_agent.clock import Clock
from did_agent.errors import InsufficientScope, InvalidParameter, NotFound
from did_agent.tokens.security_event import MAX_REASON, MAX_RISK, Risk

MOST = 500  # signals one answer lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """Takes signals and lists them; each is recorded in its transaction."""

    store: Store
    identity: Identity
    clock: Clock

    async def raise_risk(
        self, subject: str, *, level: int, seconds: int, reason: str, by: Caller, request_id: str
    ) -> Signal:
        """Say how risky an agent or a person is, in place of what the same source said before; 0 takes it back.

        Raises: InvalidParameter, InsufficientScope, NotFound when there is no such person, BadDID.
        """
        require_source(by)
        if not 0 <= level <= MAX_RISK or not 0 < seconds <= MAX_LIFE.total_seconds():
            raise InvalidParameter(f"level is 0 to {MAX_RISK}, and seconds at most {MAX_LIFE.total_seconds():.0f}")
        now = self.clock()
        risk = Risk(source=by.id, level=level, until=now + timedelta(seconds=seconds))
        signal = Signal(subject=subject, risk=risk, reason=reason[:MAX_REASON], raised=now)
        async with self.store.transaction() as work:
            # A mistyped name would hold nobody back and be answered as done.
            if not is_agent(subject) and await work.user(subject) is None:
                raise NotFound("there is no such user; agents are named by their DID")
            await work.put_signal(signal)
            await announce(
                work,
                "risk-signal",
                subject,
                reason="a risk was signalled",
                key=uuid.uuid4().hex,
                identity=self.identity,
                now=now,
                risk=risk,
            )
            await work.record(
                audit_trail.bridge_event(
                    self.identity,
                    "risk.signal",
                    signal.reason or "a risk was signalled",
                    now=now,
                    principal=by.id,
                    principal_kind="service",
                    target=subject,
                    request_id=request_id,
                    details={"level": str(level), "seconds": str(seconds)},
                )
            )
        return signal

    async def current(self, *, by: Caller) -> Sequence[Signal]:
        """Return what is signalled now, the riskiest first.

        Raises: InsufficientScope.
        """
        require_source(by)
        async with self.store.transaction() as work:
            return await work.signals(now=self.clock(), limit=MOST)


def require_source(by: Caller) -> None:
    """Return when whoever asks may signal risks: an operator, or a source an operator named.

    Raises: InsufficientScope.
    """
    if by.resources is not None:
        raise InsufficientScope("only operators and signal sources say how risky somebody is")
