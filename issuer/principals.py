"""Who can own agents, and whom a sponsor may say answers for one (WEB-04): by what is known, never by what is said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from did_agent.errors import InsufficientScope, InvalidParameter
from issuer.model import Operator
from issuer.model.principals import KNOWN_FOR, MAX_NAMES, Principal
from issuer.naming import require_text

MAX_PRINCIPAL: Final = 256  # characters
_OWNING: Final = frozenset({"admin", "manager", "sponsor"})


def require_principal(name: str) -> str:
    """Return what a principal is called, as tokens may call it.

    Raises: InvalidParameter.
    """
    if not 0 < len(name) <= MAX_PRINCIPAL or not name.isascii() or not name.isprintable() or " " in name:
        raise InvalidParameter(f"principal: a DID or user name, at most {MAX_PRINCIPAL} visible ASCII characters")
    return name


def require_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of sponsors, each once.

    Raises: InvalidParameter.
    """
    if len(names) > MAX_NAMES or not all(name.strip() for name in names):
        raise InvalidParameter(f"sponsors: at most {MAX_NAMES} names, none of them empty")
    return tuple(sorted({require_text("sponsors", name) for name in names}))


def require_owner(name: str, known: Principal | None, *, now: datetime) -> str:
    """Return who is to own an agent, when it is a principal of the organisation that may own any.

    Who never was, is another organisation's, or has not come for long is refused alike.
    Raises: InvalidParameter.
    """
    if known is not None and known.id == name and (known.named_by is not None or _came_lately(known, now)):
        return name
    raise InvalidParameter("owner: nobody of the organisation who can own agents is called that")


def require_may_say(names: Iterable[str], given: Principal | None, *, by: Operator) -> None:
    """Return when somebody may put these sponsors under agents: a sponsor its own name and those an admin gave it.

    Any other would bring its agents out of reach of the kill switch that is meant for them (REV-03).
    Raises: InsufficientScope.
    """
    if not by.roles <= {"sponsor"}:
        return
    allowed = {by.principal, *(() if given is None else given.sponsors)}
    beyond = sorted(set(names) - allowed)
    if beyond:
        raise InsufficientScope("a sponsor names itself as sponsor, or whom an admin gave it to name")


def _came_lately(known: Principal, now: datetime) -> bool:
    return known.seen is not None and now < known.seen + KNOWN_FOR and bool(known.roles & _OWNING)
