"""Presentations as they travel in OAuth parameters: read, judged, and with the value that must then be spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bridge.model import MAX_ACTORS, Spend
from did_agent.credential.chain import VerifiedChain
from did_agent.credential.known import KnownCredentials
from did_agent.credential.status import VerifiedStatusList
from did_agent.credential.trust import TrustedIssuers
from did_agent.encoding import base64url
from did_agent.errors import BadEncoding, BadPresentation
from did_agent.presentation.model import Asked, Expected
from did_agent.presentation.verify import ask
from did_agent.presentation.verify import judge as judge_presentation
from did_agent.tokens.challenges import CHALLENGE_SECONDS, require_challenge

# The class IRI of the W3C: no registry has a URI for presentations, and nobody can reassign this one.
VP_TYPE: Final = "https://www.w3.org/2018/credentials#VerifiablePresentation"
JWT_TYPE: Final = "urn:ietf:params:oauth:token-type:jwt"
PRESENTATION_TYPES: Final = (VP_TYPE, JWT_TYPE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A presentation that holds: who proved their key, with which chain, and what is consumed with it."""

    holder: str
    chain: VerifiedChain
    spend: Spend


def read(
    token: str,
    *,
    issuer: str,
    trusted: TrustedIssuers,
    challenge_key: bytes,
    now: datetime,
    known: KnownCredentials | None = None,
) -> Asked:
    """Return a presentation for this bridge that stands offline and answers a challenge of ours, if it answers one.

    Raises: WrongChallenge and what `ask` raises.
    """
    expected = Expected(audience=frozenset({issuer}), now=now, trusted=trusted, max_depth=MAX_ACTORS, challenge="jti")
    asked = ask(_text(token), expected, known=known)
    # A vp+jwt of at most a minute may stand on its jti; everything else answers us.
    if asked.signed.challenge is not None:
        require_challenge(asked.signed.challenge, challenge_key, now=now)
    return asked


def judge(asked: Asked, statuses: Mapping[str, VerifiedStatusList]) -> Shown:
    """Return what was shown; a challenge is spent by itself: it was given out once and is answered once.

    Raises: Revoked, Suspended, StatusUnavailable, BadPresentation.
    """
    verified = judge_presentation(asked, statuses)
    if verified.chain is None:
        raise BadPresentation("the presentation shows no credential")
    if verified.challenge is None:
        spend = Spend("presentation", verified.replay_key, verified.replay_until)
    else:
        until = verified.replay_until + timedelta(seconds=CHALLENGE_SECONDS)
        spend = Spend("challenge", verified.challenge, until)
    return Shown(holder=verified.holder, chain=verified.chain, spend=spend)


def _text(token: str) -> str:
    if token.lstrip().startswith("{") or "." in token:
        return token
    try:
        return base64url.decode(token).decode("utf-8")
    except (BadEncoding, UnicodeDecodeError) as error:
        raise BadPresentation("not a presentation in a known serialization") from error
