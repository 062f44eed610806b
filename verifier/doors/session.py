"""The door for sessions: what a JSON presentation was swapped for, a text that means nothing to anybody else.

Nothing of a session is believed but who presented what: the chain, its status and what was revoked since are looked at
with each request, as if it were presented again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from did_agent.encoding.digest import digest_uri
from did_agent.errors import Expired, NotBound
from did_agent.policy.admission import caller_from_presentation
from did_agent.presentation.model import VerifiedPresentation
from did_agent.proof.jose import UnverifiedJWS
from did_agent.tokens.nonces import NonceRing
from verifier.doors.presentation import PresentationDoor
from verifier.http import Shown
from verifier.issuers import SESSION_PREFIX
from verifier.model import Admission, Entry, PresentedSession
from verifier.ports import SessionStore
from verifier.sender import prove_keys, require_bound, single_use


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDoor:
    """Takes sessions of this guard."""

    presentations: PresentationDoor
    sessions: SessionStore
    nonces: NonceRing | None = None

    def opens(self, shown: Shown, jws: UnverifiedJWS | None) -> bool:
        """Tell whether this is one of our sessions."""
        return jws is None and shown.credential.startswith(SESSION_PREFIX)

    async def admit(self, shown: Shown, _jws: UnverifiedJWS | None, now: datetime) -> Entry:
        """Return who presented.

        Raises: Malformed, VerificationError, Unavailable.
        """
        session = await self.sessions.find(session_id(shown.credential))
        if session is None or now >= session.expires:
            raise Expired("there is no such session, or no more")
        proven = prove_keys(shown, now=now, nonces=self.nonces)
        if session.confirmation is not None and session.confirmation not in proven.confirmations:
            raise NotBound("a session was shown without the proof of its key")
        require_bound(session.confirmation, proven)
        chain = await self.presentations.standing(session.credentials, holder=session.holder, now=now)
        presentation = VerifiedPresentation(
            holder=session.holder,
            chain=chain,
            challenge=None,
            replay_key=session.id,
            replay_until=session.expires,
            valid_until=min(session.expires, chain.valid_until),
            form="json",
        )
        return Entry(admission=self._admission(presentation, session, now), single_use=single_use(proven))

    def _admission(self, presentation: VerifiedPresentation, session: PresentedSession, now: datetime) -> Admission:
        door = self.presentations
        organisation = door.organisation_of(presentation, now)
        return Admission(
            caller=caller_from_presentation(presentation, resource=door.resource, organisation=organisation),
            form="session",
            token_id=session.id,
            valid_until=presentation.valid_until,
            vouched_by=None if presentation.chain is None else presentation.chain.root_issuer,
        )


def session_id(text: str) -> str:
    """Return the name under which a session is kept and recorded."""
    return digest_uri(text.encode())
