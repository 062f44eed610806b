"""Risk signals: how much somebody who watches distrusts an agent or a person, for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from did_agent.tokens.security_event import Risk

MAX_LIFE: Final = timedelta(days=31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """The last word of one source on one subject."""

    subject: str  # DID of an agent, or a username
    risk: Risk
    reason: str  # for the record of operators; the feed is public and does not say it
    raised: datetime
