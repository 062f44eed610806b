"""Presentations as they travel in OAuth parameters: detect the form, ask, judge, and what must then be spent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bridge.challenges import require_challenge
from bridge.model import CHALLENGE_SECONDS, MAX_ACTORS, Spend
from did_agent.credential.chain import VerifiedChain
from did_agent.credential.trust import TrustedIssuers
from did_agent.encoding import base64url
from did_agent.errors import BadEncoding, BadPresentation
from did_agent.presentation.model import Asked, Expected, VerifiedPresentation
from did_agent.presentation.verify import ask, judge

# The class IRI of the W3C: no registry has a URI for presentations, and nobody can reassign this one.
__all__ = ["JWT_TYPE", "PRESENTATION_TYPES", "VP_TYPE", "Shown", "expected_here", "judge", "read", "shown"]

VP_TYPE: Final = "https://www.w3.org/2018/credentials#VerifiablePresentation"
JWT_TYPE: Final = "urn:ietf:params:oauth:token-type:jwt"
PRESENTATION_TYPES: Final = frozenset({VP_TYPE, JWT_TYPE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A presentation that holds, its chain, and the single-use value that must be consumed with it."""

    presentation: VerifiedPresentation
    chain: VerifiedChain
    spend: Spend

    @property
    def holder(self) -> str:
        """The agent that proved its key."""
        return self.presentation.holder


def expected_here(*, issuer: str, trusted: TrustedIssuers, now: datetime) -> Expected:
    """Return what this bridge demands: made for its issuer string, fresh, at most four delegations deep."""
    return Expected(audience=frozenset({issuer}), now=now, trusted=trusted, max_depth=MAX_ACTORS, challenge="jti")


def read(token: str, expected: Expected, *, challenge_key: bytes) -> Asked:
    """Return a presentation that stands offline and answers a challenge of ours, if it answers one.

    Raises: WrongChallenge and what `ask` raises.
    """
    asked = ask(_text(token), expected)
    # A vp+jwt of at most a minute may stand on its jti; everything else answers us.
    if asked.signed.challenge is not None:
        require_challenge(asked.signed.challenge, challenge_key, now=expected.now)
    return asked


def shown(presentation: VerifiedPresentation) -> Shown:
    """Return a judged presentation with what it spends.

    A challenge is spent itself, not with its holder: it was given out once and is answered once.
    Raises: BadPresentation.
    """
    if presentation.chain is None:
        raise BadPresentation("the presentation shows no credential")
    if presentation.challenge is not None:
        # Kept for the life of the challenge after the latest moment at which it could have been made.
        expires = presentation.replay_until + timedelta(seconds=CHALLENGE_SECONDS)
        spend = Spend(purpose="challenge", key=presentation.challenge, expires=expires)
    else:
        spend = Spend(purpose="presentation", key=presentation.replay_key, expires=presentation.replay_until)
    return Shown(presentation=presentation, chain=presentation.chain, spend=spend)


def _text(token: str) -> str:
    if token.lstrip().startswith("{") or "." in token:
        return token
    try:
        return base64url.decode(token).decode("utf-8")
    except (BadEncoding, UnicodeDecodeError) as error:
        raise BadPresentation("not a presentation in a known serialization") from error
