"""The door for presentations (`vp+jwt`), each for one request."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from did_agent.credential.known import KnownCredentials
from did_agent.credential.trust import TrustedIssuers
from did_agent.errors import Replayed, Revoked, Suspended
from did_agent.policy.admission import caller_from_presentation
from did_agent.presentation.model import Expected
from did_agent.presentation.verify import ask, judge
from did_agent.proof.jose import UnverifiedJWS
from verifier.http import Shown
from verifier.model import Admission, Entry, SingleUse
from verifier.ports import StatusListSource

MAX_DEPTH: Final = 4  # delegations after the root
_PURPOSE: Final = "presentation"


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentationDoor:
    """Takes presentations of credentials from trusted issuers, made for one resource."""

    resource: str
    trusted: TrustedIssuers
    statuses: StatusListSource
    known: KnownCredentials = field(default_factory=KnownCredentials)

    def opens(self, shown: Shown, jws: UnverifiedJWS | None) -> bool:
        """Tell whether this is a presentation."""
        return jws is not None and jws.type == "vp+jwt" and shown.scheme == "bearer"

    async def admit(self, shown: Shown, _jws: UnverifiedJWS | None, now: datetime) -> Entry:
        """Return who presents.

        Raises: Malformed, VerificationError, Unavailable.
        """
        expected = Expected(
            audience=frozenset({self.resource}),
            now=now,
            trusted=self.trusted,
            max_depth=MAX_DEPTH,
            challenge="jti",
        )
        asked = ask(shown.credential, expected, known=self.known)
        statuses = await self.statuses.get(asked.status_urls)
        try:
            presentation = judge(asked, statuses)
        except (Revoked, Suspended):
            self.known.forget(*(() if asked.chain is None else asked.chain.credential_ids))
            raise
        admission = Admission(
            caller=caller_from_presentation(presentation, resource=self.resource),
            form="vp",
            token_id=None,
            valid_until=presentation.valid_until,
        )
        once = SingleUse(
            purpose=_PURPOSE, key=presentation.replay_key, expires=presentation.replay_until, refusal=Replayed
        )
        return Entry(admission=admission, single_use=(once,))
