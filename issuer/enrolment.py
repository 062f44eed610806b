"""Enrolment: an invitation is answered once, by a key that proves itself."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from did_agent.credential.trust import TrustedIssuers
from did_agent.encoding.digest import digest_uri
from did_agent.errors import WrongChallenge
from did_agent.presentation.model import Expected
from did_agent.presentation.verify import ask, judge
from issuer.model import Enrolment

INVITATION_LIFE: Final = timedelta(minutes=15)
_CHALLENGE_BYTES: Final = 32


def invite(agent_id: str, *, now: datetime) -> tuple[str, Enrolment]:
    """Return the challenge to hand out, and what is kept of it."""
    challenge = secrets.token_urlsafe(_CHALLENGE_BYTES)
    kept = Enrolment(agent_id=agent_id, challenge_digest=digest_of(challenge), expires=now + INVITATION_LIFE)
    return challenge, kept


def digest_of(challenge: str) -> str:
    """Return what is kept of a challenge."""
    return digest_uri(challenge.encode())


def prove_possession(presentation: Mapping[str, object], *, issuer_url: str, now: datetime) -> tuple[str, str]:
    """Return the DID that proved its key, and the digest of the challenge it answered.

    Raises: Malformed, VerificationError.
    """
    expected = Expected(
        audience=frozenset({issuer_url}),
        now=now,
        trusted=TrustedIssuers.of(),
        max_depth=0,
        challenge="required",
        allow_empty=True,
    )
    proven = judge(ask(presentation, expected), {})
    if proven.chain is not None or proven.challenge is None:
        raise WrongChallenge("enrolment shows possession of a key and nothing else")
    return proven.holder, digest_of(proven.challenge)
