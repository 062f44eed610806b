"""Principals: who operates agents of an organisation, as far as its issuer knows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

KNOWN_FOR: Final = timedelta(days=90)  # how long somebody counts as known who just came once
MAX_NAMES: Final = 32  # names of sponsors of one principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An operator or a person of an organisation: named by an admin, or seen with a token for this issuer."""

    organisation: str
    id: str  # as tokens call it: a DID, or a user name of the bridge
    roles: frozenset[str] = frozenset()  # when it last came
    seen: datetime | None = None  # when it last came; None for who was only named
    sponsors: tuple[str, ...] = ()  # names it may put under agents, beside its own
    named_by: str | None = None  # the admin who named it; None for who just came
