"""Swapping a JSON presentation for a session: it answers our challenge once, and is not sent again with each request.

A Data Integrity presentation does not fit a header; who has no `vp+jwt` swaps it at the guard itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from did_agent.clock import Clock
from did_agent.errors import BadPresentation, NotBound, Replayed
from did_agent.policy.admission import caller_from_presentation
from did_agent.ports import SpendOnce
from did_agent.presentation.model import Expected, VerifiedPresentation
from did_agent.tokens.challenges import CHALLENGE_SECONDS, make_challenge, require_challenge
from did_agent.tokens.confirmation import Confirmation
from did_agent.tokens.nonces import NonceRing
from verifier.doors.presentation import MAX_DEPTH, PresentationDoor
from verifier.doors.session import session_id
from verifier.http import Shown
from verifier.issuers import SESSION_PREFIX
from verifier.model import Admission, PresentedSession, SingleUse
from verifier.ports import Revocations, SessionStore
from verifier.sender import offered_keys, single_use

LIFE: Final = timedelta(seconds=300)  # of a session, if its chain does not end before
_PURPOSE: Final = "session challenge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A presentation that holds; nothing was spent, recorded or kept."""

    admission: Admission
    session: PresentedSession
    text: str = field(repr=False)  # what stands for the session
    single_use: Sequence[SingleUse]


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """What is needed to swap presentations at one resource."""

    door: PresentationDoor
    sessions: SessionStore
    revocations: Revocations
    replay: SpendOnce
    clock: Clock
    challenge_key: bytes = field(repr=False)
    nonces: NonceRing | None = None

    def challenge(self) -> dict[str, object]:
        """Return a fresh challenge, and to whom its answer must be addressed."""
        challenge = make_challenge(self.challenge_key, now=self.clock())
        return {"challenge": challenge, "domain": self.door.resource, "expires_in": CHALLENGE_SECONDS}

    async def prepare(self, raw: bytes, shown: Shown) -> Prepared:
        """Return the session that a presentation is good for.

        Raises: Malformed, VerificationError, Unavailable.
        """
        now = self.clock()
        if raw.lstrip()[:1] != b"{":
            raise BadPresentation("a presentation as JSON is expected")
        proven = offered_keys(shown, now=now, nonces=self.nonces)
        if self.door.mode == "dpop" and not proven.confirmations:
            raise NotBound("where presentations are taken beside proofs alone, so are sessions")
        presentation = await self.door.verified(raw, self._expected(now))
        require_challenge(presentation.challenge, self.challenge_key, now=now)
        text = SESSION_PREFIX + secrets.token_urlsafe(32)
        session = self._session(text, presentation, _binding(proven.confirmations), now)
        organisation = self.door.organisation_of(presentation, now)
        admission = Admission(
            caller=caller_from_presentation(presentation, resource=self.door.resource, organisation=organisation),
            form="session",
            token_id=session.id,
            valid_until=session.expires,
        )
        await self.revocations.require_live(admission.revocable_ids, now)
        answered = SingleUse(
            purpose=_PURPOSE,
            key=str(presentation.challenge),
            expires=now + timedelta(seconds=CHALLENGE_SECONDS),
            refusal=Replayed,
        )
        return Prepared(admission=admission, session=session, text=text, single_use=(answered, *single_use(proven)))

    async def spend(self, prepared: Prepared) -> None:
        """Consume the challenge, and the proof where there is one.

        Raises: Replayed, BadDPoPProof, StoreUnavailable.
        """
        for once in prepared.single_use:
            fresh = await self.replay.spend(once.purpose, once.key, expires=once.expires)
            if not fresh and once.refusal is not None:
                raise once.refusal("it was used before")

    async def open(self, prepared: Prepared) -> dict[str, object]:
        """Keep the session and return what its holder gets.

        Raises: StoreUnavailable.
        """
        session = prepared.session
        await self.sessions.save(session)
        is_dpop = session.confirmation is not None and session.confirmation.jkt is not None
        left = session.expires - self.clock()
        return {
            "access_token": prepared.text,
            "token_type": "DPoP" if is_dpop else "Bearer",
            "expires_in": max(0, int(left.total_seconds())),
        }

    def _expected(self, now: datetime) -> Expected:
        return Expected(
            audience=frozenset({self.door.resource}),
            now=now,
            trusted=self.door.trusted.current(now),
            max_depth=MAX_DEPTH,
            challenge="required",
        )

    def _session(
        self, text: str, presentation: VerifiedPresentation, confirmation: Confirmation | None, now: datetime
    ) -> PresentedSession:
        if presentation.chain is None:
            raise BadPresentation("the presentation holds no capability")
        return PresentedSession(
            id=session_id(text),
            holder=presentation.holder,
            credentials=presentation.chain.documents,
            confirmation=confirmation,
            expires=min(now + LIFE, presentation.valid_until),
        )


def _binding(proven: frozenset[Confirmation]) -> Confirmation | None:
    """Return the key that the session is bound to: that of a DPoP proof before that of a certificate."""
    ordered = sorted(proven, key=lambda one: one.jkt is None)
    return ordered[0] if ordered else None
