"""Risk signals in the bridge's database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Integer, Table, Text, select

from bridge.adapters.rows import Rows, digest_of
from bridge.adapters.tables import _key, _text, _time, metadata
from bridge.model.signals import Signal
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.tokens.security_event import Risk

signals: Final = Table(
    "bridge_signals",
    metadata,
    _key("pair"),  # digest of subject and source
    _text("subject"),
    _text("source"),
    Column("level", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    _time("raised"),
    _time("expires"),
)


class SignalRows(Rows):
    """Implements `bridge.ports.signals.Signals`."""

    async def put_signal(self, signal: Signal) -> None:
        risk = signal.risk
        values = {
            "subject": signal.subject,
            "source": risk.source,
            "level": risk.level,
            "reason": signal.reason,
            "raised": numeric_date(signal.raised),
            "expires": numeric_date(risk.until),
        }
        await self._put(signals.c.pair, digest_of(f"{risk.source} {signal.subject}"), values)

    async def signals(self, *, now: datetime, limit: int) -> Sequence[Signal]:
        query = select(signals).where(signals.c.expires > numeric_date(now), signals.c.level > 0)
        ordered = query.order_by(signals.c.level.desc(), signals.c.subject, signals.c.source).limit(limit)
        return [_signal(row) for row in (await self._do.execute(ordered)).mappings()]


def _signal(row: Mapping[Any, Any]) -> Signal:
    return Signal(
        subject=row["subject"],
        risk=Risk(source=row["source"], level=row["level"], until=from_numeric_date(row["expires"])),
        reason=row["reason"],
        raised=from_numeric_date(row["raised"]),
    )
