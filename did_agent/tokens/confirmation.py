"""The `cnf` claim: the key that whoever presents a token must prove to hold (RFC 7800, RFC 8705, RFC 9449)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from did_agent.errors import BadJOSE

_DIGEST: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # base64url of a SHA-256


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """Exactly one of: a DPoP key by its JWK thumbprint (RFC 9449, 6.1), a certificate by its digest (RFC 8705, 3.1)."""

    jkt: str | None = None
    x5t_s256: str | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.jkt, self.x5t_s256) if value is not None]
        if len(given) != 1 or not _DIGEST.fullmatch(given[0]):
            raise BadJOSE("a confirmation is one SHA-256 digest")

    def claim(self) -> dict[str, str]:
        """Return the value of `cnf`."""
        return {"jkt": self.jkt} if self.jkt is not None else {"x5t#S256": str(self.x5t_s256)}


def parse_confirmation(value: object) -> Confirmation | None:
    """Return what a `cnf` claim demands; None when there is no claim.

    Raises: BadJOSE when it demands what we do not know: an unknown demand is never taken for none.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping) or not set(value) <= {"jkt", "x5t#S256"}:
        raise BadJOSE("cnf demands something unknown")
    members = {"jkt": value.get("jkt"), "x5t_s256": value.get("x5t#S256")}
    if not all(member is None or isinstance(member, str) for member in members.values()):
        raise BadJOSE("cnf holds something else than digests")
    return Confirmation(**members)
