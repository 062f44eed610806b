"""The door for presentations (`vp+jwt`): each for one request, or for minutes beside proofs of their holder's key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final, Literal

from did_agent.credential.chain import VerifiedChain, require_trusted_root, verify_chain
from did_agent.credential.known import KnownCredentials
from did_agent.credential.standing import require_standing
from did_agent.credential.trust import TrustSource
from did_agent.did.resolve import method_key
from did_agent.errors import BadDPoPProof, Expired, NotBound, Replayed, Revoked, Suspended
from did_agent.keys.jwk import thumbprint
from did_agent.policy.admission import caller_from_presentation
from did_agent.presentation.form import Raw
from did_agent.presentation.model import Asked, Expected, VerifiedPresentation
from did_agent.presentation.verify import ask, is_recent, judge
from did_agent.proof.jose import UnverifiedJWS
from did_agent.tokens.access_token import HOME
from did_agent.tokens.nonces import NonceRing
from verifier.http import Shown
from verifier.model import Admission, Entry, SingleUse
from verifier.ports import StatusListSource
from verifier.sender import ProvenKeys, prove_keys, single_use

Mode = Literal["single_use", "dpop", "both"]

MAX_DEPTH: Final = 4  # delegations after the root
PURPOSE: Final = "presentation"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A verified presentation that may be shown again, beside another proof by the same key."""

    asked: Asked  # without its documents: the chain has what is needed of them
    jws: UnverifiedJWS | None
    jkt: str  # thumbprint of the key that signed it


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentationDoor:
    """Takes presentations of credentials from trusted issuers, made for one resource."""

    resource: str
    trusted: TrustSource
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
        presentation = await self.verified(jws or shown.credential, self._expected(now))
        return Entry(admission=self._admission(presentation, now), single_use=(_spent(presentation, Replayed),))

    async def verified(self, raw: Raw, expected: Expected) -> VerifiedPresentation:
        """Return a presentation that stands, with the status of every credential behind it.

        Raises: Malformed, VerificationError, Unavailable.
        """
        return await self._judged(ask(raw, expected, known=self.known))

    async def standing(
        self, credentials: Sequence[Mapping[str, object]], *, holder: str, now: datetime
    ) -> VerifiedChain:
        """Return the chain of credentials that were presented before, if it holds and stands now as well.

        Raises: Malformed, VerificationError, Unavailable.
        """
        trusted = self.trusted.current(now)
        chain = verify_chain(
            credentials, holder=holder, now=now, trusted=trusted, max_depth=MAX_DEPTH, known=self.known
        )
        lists = await self.statuses.get(entry.list_url for entry in chain.status_entries)
        try:
            require_standing(chain, lists, now=now)
        except (Revoked, Suspended):
            self.known.forget(*chain.credential_ids)
            raise
        return chain

    async def _admit_proven(self, shown: Shown, jws: UnverifiedJWS | None, now: datetime) -> Entry:
        if self.mode == "single_use":
            raise BadDPoPProof("presentations are taken as bearer alone, each for one request")
        proven = prove_keys(shown, now=now, nonces=self.nonces)
        asked = ask(shown.credential, replace(self._expected(now), challenge="proof"), known=self.known)
        _, key = method_key(None if jws is None else jws.header.get("kid"), relationship="authentication")
        slim = replace(asked, signed=replace(asked.signed, credentials=()))
        return await self._enter(_Known(asked=slim, jws=jws, jkt=thumbprint(key)), proven)

    async def _again(self, known: _Known, shown: Shown, now: datetime) -> Entry:
        """Return who presents what was verified before; time, status and the proof are looked at anew."""
        if shown.scheme != "dpop":
            return await self.admit(shown, known.jws, now)
        proven = prove_keys(shown, now=now, nonces=self.nonces)
        asked = replace(known.asked, expected=replace(known.asked.expected, now=now))
        is_recent(asked.signed, asked.expected)
        if asked.chain is not None:
            require_trusted_root(asked.chain, self.trusted.current(now), now=now)
            if now >= asked.chain.valid_until:
                raise Expired("a credential of the chain has ended")
        return await self._enter(replace(known, asked=asked), proven)

    async def _enter(self, known: _Known, proven: ProvenKeys) -> Entry:
        presentation = await self._judged(known.asked)
        # The very key that signed the presentation: any other could belong to whoever saw it.
        if proven.proof is None or proven.proof.jkt != known.jkt:
            raise BadDPoPProof("the proof is not by the holder of the presentation")
        # Seen beside a proof, it must not count as a bearer later; one that its holder bound never does.
        noted = () if presentation.is_bound else (_spent(presentation, None),)
        return Entry(
            admission=self._admission(presentation, known.asked.expected.now),
            single_use=(*noted, *single_use(proven)),
            again=partial(self._again, known),
        )

    async def _judged(self, asked: Asked) -> VerifiedPresentation:
        statuses = await self.statuses.get(asked.status_urls)
        try:
            return judge(asked, statuses)
        except (Revoked, Suspended):
            self.known.forget(*(() if asked.chain is None else asked.chain.credential_ids))
            raise

    def _expected(self, now: datetime) -> Expected:
        return Expected(
            audience=frozenset({self.resource}),
            now=now,
            trusted=self.trusted.current(now),
            max_depth=MAX_DEPTH,
            challenge="jti",
        )

    def organisation_of(self, presentation: VerifiedPresentation, now: datetime) -> str:
        """Return the organisation whose issuer vouches for what was presented."""
        chain = presentation.chain
        named = None if chain is None else self.trusted.current(now).organisation_of(chain.root_issuer)
        return named or HOME

    def _admission(self, presentation: VerifiedPresentation, now: datetime) -> Admission:
        memo = {} if presentation.chain is None else presentation.chain.memo
        caller = memo.get(self.resource)
        if caller is None:
            # The same chain is the same caller, of whom deciding remembers what it worked out.
            caller = memo[self.resource] = caller_from_presentation(
                presentation, resource=self.resource, organisation=self.organisation_of(presentation, now)
            )
        return Admission(
            caller=caller,
            form="vp",
            token_id=None,
            valid_until=presentation.valid_until,
            vouched_by=None if presentation.chain is None else presentation.chain.root_issuer,
        )


def _spent(presentation: VerifiedPresentation, refusal: type[Replayed] | None) -> SingleUse:
    return SingleUse(purpose=PURPOSE, key=presentation.replay_key, expires=presentation.replay_until, refusal=refusal)
