"""An agent as a caller of the issuer: an empty presentation, made for us, shows possession of its key."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from did_agent.credential.trust import TrustedIssuers
from did_agent.errors import BadPresentation
from did_agent.presentation.model import Expected, VerifiedPresentation
from did_agent.presentation.verify import ask, judge

PURPOSE: Final = "possession"


def prove_agent(token: str, *, issuer_url: str, now: datetime) -> VerifiedPresentation:
    """Return whose key made a single-use `vp+jwt` for this issuer; its `replay_key` is still to be spent.

    Raises: Malformed, VerificationError.
    """
    expected = Expected(
        audience=frozenset({issuer_url}),
        now=now,
        trusted=TrustedIssuers.of(),
        max_depth=0,
        challenge="jti",
        allow_empty=True,
    )
    proven = judge(ask(token, expected), {})
    if proven.chain is not None or proven.is_bound:
        raise BadPresentation("an agent shows possession of its key and nothing else")
    return proven
