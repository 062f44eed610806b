"""The door for opaque access tokens, whose meaning their issuer tells (RFC 7662); when it does not, nobody enters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from did_agent.errors import Revoked, Suspended, UntrustedIssuer
from did_agent.proof.jose import UnverifiedJWS
from did_agent.tokens.foreign_token import read_introspection
from did_agent.tokens.nonces import NonceRing
from verifier.doors.foreign import admission_of, claimed_issuer, require_sender
from verifier.http import Shown
from verifier.issuers import SESSION_PREFIX, ForeignIssuer
from verifier.model import Entry
from verifier.ports import IntrospectionSource, Revocations
from verifier.sender import prove_keys, single_use

MAX_OPAQUE: Final = 4_096  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedIssuer:
    """An issuer of opaque tokens, and where it is asked."""

    issuer: ForeignIssuer
    prefix: str  # what its tokens begin with
    introspection: IntrospectionSource


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaqueDoor:
    """Takes tokens for one resource whose issuer is asked about them."""

    resource: str
    issuers: Mapping[str, AskedIssuer]  # by their exact `iss`
    revocations: Revocations
    nonces: NonceRing | None = None
    chains: bool = True

    def opens(self, shown: Shown, jws: UnverifiedJWS | None) -> bool:
        """Tell whether there is an issuer to ask."""
        return self._source(shown, jws) is not None

    async def admit(self, shown: Shown, jws: UnverifiedJWS | None, now: datetime) -> Entry:
        """Return whom the token speaks of.

        Raises: Malformed, VerificationError, Unavailable.
        """
        source = self._source(shown, jws)
        if source is None:
            raise UntrustedIssuer("nobody can be asked about this token")
        # Keys are proven first: who holds a stolen token without its key costs the issuer nothing.
        proven = prove_keys(shown, now=now, nonces=self.nonces)
        answer = await source.introspection.ask(shown.credential)
        token = read_introspection(answer, source.issuer.reading, expected_audience=self.resource, now=now)
        if token is None:
            raise Revoked("its issuer says that the token is not active")
        require_sender(token, source.issuer, proven)
        admission = admission_of(token, source.issuer, resource=self.resource, form="opaque", chains=self.chains)
        try:
            await self.revocations.require_live(admission.revocable_ids, now)
        except (Revoked, Suspended):
            source.introspection.forget(shown.credential)
            raise
        return Entry(admission=admission, single_use=single_use(proven))

    def _source(self, shown: Shown, jws: UnverifiedJWS | None) -> AskedIssuer | None:
        if jws is not None:
            return self.issuers.get(claimed_issuer(jws) or "")
        # Sessions are this guard's own, and nobody's business.
        if len(shown.credential) > MAX_OPAQUE or shown.credential.startswith(SESSION_PREFIX):
            return None
        # An opaque token is shown to one issuer alone, told by how it begins, or it would be told to strangers.
        return next((one for one in self.issuers.values() if shown.credential.startswith(one.prefix)), None)
