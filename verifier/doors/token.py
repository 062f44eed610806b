"""The door for access tokens (RFC 9068) of the one bridge we believe, as bearer or bound to a key."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from did_agent.errors import Expired, NotBound, WrongKey
from did_agent.keys.public import PublicKey
from did_agent.policy.admission import caller_from_token
from did_agent.proof.jose import UnverifiedJWS
from did_agent.proof.jwt import SKEW
from did_agent.tokens.access_token import AccessToken, verify_access_token
from did_agent.tokens.nonces import NonceRing
from verifier.delegation import StrictDelegation
from verifier.doors.known import KnownCallers
from verifier.http import Shown
from verifier.model import Admission, Entry
from verifier.ports import KeySource, TokenStatuses
from verifier.sender import ProvenKeys, prove_keys, require_bound, single_use

_SKEW = timedelta(seconds=SKEW)


@dataclass(frozen=True, slots=True, kw_only=True)
class _KnownToken:
    """A verified token, and what it was verified with."""

    token: AccessToken
    admission: Admission
    kid: object
    key: PublicKey
    plain: Entry  # for whoever shows it as a bearer, where that is enough


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenDoor:
    """Takes tokens of one issuer for one resource."""

    resource: str  # our identifier, the exact `aud`
    issuer: str  # the bridge's issuer string, the exact `iss`
    keys: KeySource
    delegation: StrictDelegation | None = None  # without it the bridge's word on delegations is enough
    nonces: NonceRing | None = None
    statuses: TokenStatuses | None = None  # the bridge's status lists; without them its feed alone says what ended
    callers: KnownCallers = field(default_factory=KnownCallers)

    def opens(self, _shown: Shown, jws: UnverifiedJWS | None) -> bool:
        """Tell whether this is an access token."""
        return jws is not None and jws.type == "at+jwt"

    async def admit(self, shown: Shown, jws: UnverifiedJWS | None, now: datetime) -> Entry:
        """Return whom the token speaks of.

        Raises: Malformed, VerificationError, Unavailable.
        """
        kid = None if jws is None else jws.header.get("kid")
        key = await self.keys.find(kid)
        proven = prove_keys(shown, now=now, nonces=self.nonces)
        token = verify_access_token(
            jws or shown.credential,
            find_key=lambda _header, _claims: key,
            expected_issuer=self.issuer,
            expected_audience=self.resource,
            proven=proven.confirmations,
            now=now,
        )
        admission = self._admission(token)
        known = _KnownToken(token=token, admission=admission, kid=kid, key=key, plain=Entry(admission=admission))
        return await self._enter(known, proven, now)

    async def _again(self, known: _KnownToken, shown: Shown, now: datetime) -> Entry:
        """Return whom a token speaks of whose signature was verified before."""
        if await self.keys.find(known.kid) != known.key:
            raise WrongKey("the issuer's key has another value than when the token was verified")
        token = known.token
        if now - _SKEW >= token.expires:
            raise Expired("exp has passed")
        is_plain = token.confirmation is None and token.status is None and self.delegation is None
        if is_plain and shown.scheme == "bearer":
            return known.plain
        proven = prove_keys(shown, now=now, nonces=self.nonces)
        if token.confirmation is not None and token.confirmation not in proven.confirmations:
            raise NotBound("a sender-constrained token was shown without the proof of its key")
        return await self._enter(known, proven, now)

    async def _enter(self, known: _KnownToken, proven: ProvenKeys, now: datetime) -> Entry:
        token, admission = known.token, known.admission
        require_bound(token.confirmation, proven)
        if token.status is not None and self.statuses is not None:
            await self.statuses.require_valid(token.status, now)
        if self.delegation is not None:
            behind = await self.delegation.require(token, now=now)
            # Whoever forged a token may have left out the credential whose revocation would end it.
            ids = tuple(dict.fromkeys((*admission.caller.credential_ids, *behind)))
            caller = self.callers.same(replace(admission.caller, credential_ids=ids))
            admission = replace(admission, caller=caller)
        return Entry(admission=admission, single_use=single_use(proven), again=partial(self._again, known))

    def _admission(self, token: AccessToken) -> Admission:
        caller = self.callers.same(caller_from_token(token))
        return Admission(
            caller=caller,
            form="jwt",
            token_id=token.id,
            valid_until=token.expires,
        )
