"""Lines of the trust list as an organisation keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from did_agent.tokens.trust_list import TrustEntry
from issuer.model import HOME


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustLine:
    """One entry, and who added it why; the published list has the entry alone."""

    organisation: str = HOME
    entry: TrustEntry
    note: str
    added: datetime
    added_by: str
