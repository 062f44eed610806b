"""Enrolment: who was let in answers once, by a key that proves itself."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from did_agent.credential.trust import TrustedIssuers
from did_agent.encoding.digest import digest_uri
from did_agent.errors import InsufficientScope, InvalidParameter, StateConflict, WrongChallenge
from did_agent.presentation.model import Expected, VerifiedPresentation
from did_agent.presentation.verify import ask, judge
from issuer.model import Enrolment, Operator
from issuer.model.enrolment import Application, EnrolmentToken
from issuer.possession import prove_agent

INVITATION_LIFE: Final = timedelta(minutes=15)
MAX_USES: Final = 10_000  # agents of one token
MAX_TOKEN_LIFE: Final = 30 * 86_400  # seconds
TOKEN_PREFIX: Final = "didagent_enrol_"  # found by scanners for leaked secrets
_CHALLENGE_BYTES: Final = 32


def invite(agent_id: str, *, now: datetime) -> tuple[str, Enrolment]:
    """Return the challenge to hand out, and what is kept of it."""
    challenge = secrets.token_urlsafe(_CHALLENGE_BYTES)
    kept = Enrolment(agent_id=agent_id, challenge_digest=digest_of(challenge), expires=now + INVITATION_LIFE)
    return challenge, kept


def make_secret() -> str:
    """Return the secret of an enrolment token, to be shown once."""
    return TOKEN_PREFIX + secrets.token_urlsafe(_CHALLENGE_BYTES)


def digest_of(challenge: str) -> str:
    """Return what is kept of a challenge or of a token's secret."""
    return digest_uri(challenge.encode())


def require_token(token: EnrolmentToken) -> EnrolmentToken:
    """Return a token within the bounds of tokens.

    Raises: InvalidParameter.
    """
    if not 0 < token.uses <= MAX_USES:
        raise InvalidParameter(f"uses: 1 to {MAX_USES}")
    if not 0 < (token.expires - token.created).total_seconds() <= MAX_TOKEN_LIFE:
        raise InvalidParameter(f"valid_seconds: 1 to {MAX_TOKEN_LIFE}")
    return token


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


def prove_for(secret: str, possession: str, *, issuer_url: str, now: datetime) -> VerifiedPresentation:
    """Return whose key made a single-use proof for exactly this token or attestation, which its nonce names by digest.

    A proof seen on the way lets nobody use another secret, and a secret seen on the way takes no part in another's
    proof.
    Raises: Malformed, VerificationError.
    """
    proven = prove_agent(possession, issuer_url=issuer_url, now=now)
    if proven.challenge != digest_of(secret):
        raise WrongChallenge("the key answered to something else")
    return proven


def require_decider(application: Application, *, by: Operator) -> None:
    """Return if somebody may decide on a key that waits: the agent's owner, or a manager who did not let it in.

    Raises: InsufficientScope.
    """
    if by.principal == application.owner:
        return
    if not by.roles & {"admin", "manager"}:
        raise InsufficientScope("the owner of the agent decides")
    if by.principal == application.by:
        raise InsufficientScope("who let an agent in does not approve it for another owner")


def require_waiting(application: Application) -> Application:
    """Return an application that waits.

    Raises: StateConflict.
    """
    if application.verdict != "waiting":
        raise StateConflict(f"this key is {application.verdict}")
    return application
