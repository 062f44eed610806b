"""The door for presentations (`vp+jwt`): each for one request, or for minutes beside proofs of their holder's key."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal

from did_agent.credential.known import KnownCredentials
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.resolve import method_key
from did_agent.errors import BadDPoPProof, NotBound, Replayed, Revoked, Suspended
from did_agent.keys.jwk import thumbprint
from did_agent.policy.admission import caller_from_presentation
from did_agent.presentation.model import Asked, Expected, VerifiedPresentation
from did_agent.presentation.verify import ask, judge
from did_agent.proof.jose import UnverifiedJWS
from did_agent.tokens.nonces import NonceRing
from verifier.http import Shown
from verifier.model import Admission, Entry, SingleUse
from verifier.ports import StatusListSource
from verifier.sender import prove_keys, single_use

Mode = Literal["single_use", "dpop", "both"]

MAX_DEPTH: Final = 4  # delegations after the root
PURPOSE: Final = "presentation"


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentationDoor:
    """Takes presentations of credentials from trusted issuers, made for one resource."""

    resource: str
    trusted: TrustedIssuers
    statuses: StatusListSource
    known: KnownCredentials = field(default_factory=KnownCredentials)
    mode: Mode = "both"
    nonces: NonceRing | None = None

    def opens(self, _shown: Shown, jws: UnverifiedJWS | None) -> bool:
        """Tell whether this is a presentation."""
        return jws is not None and jws.type == "vp+jwt"

    async def admit(self, shown: Shown, jws: UnverifiedJWS | None, now: datetime) -> Entry:
        """Return who presents.

        Raises: Malformed, VerificationError, Unavailable.
        """
        if shown.scheme == "dpop":
            return await self._admit_proven(shown, jws, now)
        if self.mode == "dpop":
            raise NotBound("presentations are taken beside a proof of their holder's key alone")
        presentation = await self.verified(shown.credential, self._expected(now))
        return Entry(admission=self._admission(presentation), single_use=(_spent(presentation, Replayed),))

    async def verified(self, raw: str | bytes, expected: Expected) -> VerifiedPresentation:
        """Return a presentation that stands, with the status of every credential behind it.

        Raises: Malformed, VerificationError, Unavailable.
        """
        asked = ask(raw, expected, known=self.known)
        statuses = await self.statuses.get(asked.status_urls)
        try:
            return judge(asked, statuses)
        except (Revoked, Suspended):
            self.known.forget(*_ids(asked))
            raise

    async def _admit_proven(self, shown: Shown, jws: UnverifiedJWS | None, now: datetime) -> Entry:
        if self.mode == "single_use":
            raise BadDPoPProof("presentations are taken as bearer alone, each for one request")
        proven = prove_keys(shown, now=now, nonces=self.nonces)
        presentation = await self.verified(shown.credential, replace(self._expected(now), challenge="proof"))
        # The very key that signed the presentation: any other could belong to whoever saw it.
        _, key = method_key(None if jws is None else jws.header.get("kid"), relationship="authentication")
        if proven.proof is None or proven.proof.jkt != thumbprint(key):
            raise BadDPoPProof("the proof is not by the holder of the presentation")
        # Seen beside a proof, it must not count as a bearer later.
        noted = _spent(presentation, None)
        return Entry(admission=self._admission(presentation), single_use=(noted, *single_use(proven)))

    def _expected(self, now: datetime) -> Expected:
        return Expected(
            audience=frozenset({self.resource}), now=now, trusted=self.trusted, max_depth=MAX_DEPTH, challenge="jti"
        )

    def _admission(self, presentation: VerifiedPresentation) -> Admission:
        return Admission(
            caller=caller_from_presentation(presentation, resource=self.resource),
            form="vp",
            token_id=None,
            valid_until=presentation.valid_until,
        )


def _spent(presentation: VerifiedPresentation, refusal: type[Replayed] | None) -> SingleUse:
    return SingleUse(purpose=PURPOSE, key=presentation.replay_key, expires=presentation.replay_until, refusal=refusal)


def _ids(asked: Asked) -> tuple[str, ...]:
    return () if asked.chain is None else asked.chain.credential_ids
