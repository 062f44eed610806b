"""An agent's keys over time, as the register tells them; nothing of it is believed that the keys did not sign."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """Which key an agent has by now, and what its earlier ones said of those that came after them."""

    agent_id: str
    current: str | None  # DID; None while it has none
    handed_over: datetime | None  # when it was last given to another owner
    statements: tuple[str, ...]  # signed; in no order that counts
