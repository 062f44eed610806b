"""The `act` claim as a chain of actors (RFC 8693, section 4.1; OAuth Actor Profile)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from did_agent.errors import BadJOSE, DepthExceeded

MAX_ACTORS: Final = 8  # entries; deeper delegation is refused at issue and at every verifier (DEL-08)
_MEMBERS: Final = frozenset({"sub", "iss", "sub_profile", "act"})  # no exp, nbf, aud: they mean nothing here


def act_claim(actors: Sequence[str], *, issuer: str) -> dict[str, object] | None:
    """Return the `act` object of a chain, the actor acting now outermost; None when nobody is represented."""
    claim: dict[str, object] | None = None
    for actor in reversed(actors):
        entry: dict[str, object] = {"sub": actor, "iss": issuer, "sub_profile": "ai_agent"}
        claim = entry if claim is None else {**entry, "act": claim}
    return claim


def parse_act(claim: object, *, max_depth: int = MAX_ACTORS) -> tuple[str, ...]:
    """Return the actors of an `act` claim, the one acting now first; empty when the claim is absent (None).

    Raises: BadJOSE, DepthExceeded.
    """
    actors: list[str] = []
    while claim is not None:
        if not isinstance(claim, dict) or not claim.keys() <= _MEMBERS:
            raise BadJOSE("act holds unknown members")
        subject, issuer = claim.get("sub"), claim.get("iss")
        if not isinstance(subject, str) or not subject or not isinstance(issuer, str) or not issuer:
            raise BadJOSE("every actor is named by sub and iss")
        if subject in actors:
            raise BadJOSE("an actor stands twice in the chain")
        actors.append(subject)
        if len(actors) > max_depth:
            raise DepthExceeded(f"more than {max_depth} actors")
        claim = claim.get("act")
    return tuple(actors)
