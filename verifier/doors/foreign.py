"""The door for signed access tokens of issuers beside the bridge (RFC 9068; RFC 7519), as bearer or bound to a key.

Such a caller's rights are its scopes, by an exact map: what the map does not name gives nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from did_agent.credential.capability import Capability, covered_by, scopes_of
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import BadJOSE, Expired, Malformed, NotBound, NotEvidenced, WrongKey
from did_agent.keys.public import PublicKey
from did_agent.policy.caller import DID_NAMESPACE, Principal, PrincipalKind, VerifiedCaller
from did_agent.proof.jose import UnverifiedJWS
from did_agent.proof.jwt import SKEW
from did_agent.tokens.foreign_token import ForeignToken, verify_foreign_token
from did_agent.tokens.nonces import NonceRing
from verifier.http import Shown
from verifier.issuers import ForeignIssuer
from verifier.model import Admission, Entry, Form
from verifier.ports import KeySource, TokenStatuses
from verifier.sender import ProvenKeys, prove_keys, require_bound, single_use

_SKEW: Final = timedelta(seconds=SKEW)
_PROFILES: Final[dict[str, PrincipalKind]] = {"user": "user", "ai_agent": "agent", "service": "service"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIssuer:
    """An issuer of signed tokens, and where its keys come from."""

    issuer: ForeignIssuer
    keys: KeySource
    statuses: TokenStatuses


@dataclass(frozen=True, slots=True, kw_only=True)
class _KnownToken:
    """A verified token, and what it was verified with."""

    token: ForeignToken
    admission: Admission
    source: SignedIssuer
    kid: object
    key: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignDoor:
    """Takes signed tokens of configured issuers for one resource."""

    resource: str  # our identifier, the exact `aud`
    issuers: Mapping[str, SignedIssuer]  # by their exact `iss`
    nonces: NonceRing | None = None
    chains: bool = True  # whether an issuer's word on actors is enough; not where delegations must be evidenced

    def opens(self, _shown: Shown, jws: UnverifiedJWS | None) -> bool:
        """Tell whether the token says that one of our issuers made it."""
        return jws is not None and claimed_issuer(jws) in self.issuers

    async def admit(self, shown: Shown, jws: UnverifiedJWS | None, now: datetime) -> Entry:
        """Return whom the token speaks of.

        Raises: Malformed, VerificationError, Unavailable.
        """
        source = self.issuers[claimed_issuer(jws) or ""]
        kid = None if jws is None else jws.header.get("kid")
        key = await source.keys.find(kid)
        token = verify_foreign_token(
            jws or shown.credential,
            source.issuer.reading,
            find_key=lambda _header, _claims: key,
            expected_audience=self.resource,
            now=now,
        )
        admission = admission_of(token, source.issuer, resource=self.resource, form="jwt", chains=self.chains)
        known = _KnownToken(token=token, admission=admission, source=source, kid=kid, key=key)
        return await self._enter(known, shown, now)

    async def _again(self, known: _KnownToken, shown: Shown, now: datetime) -> Entry:
        """Return whom a token speaks of whose signature was verified before."""
        if await known.source.keys.find(known.kid) != known.key:
            raise WrongKey("the issuer's key has another value than when the token was verified")
        if now - _SKEW >= known.token.expires:
            raise Expired("exp has passed")
        return await self._enter(known, shown, now)

    async def _enter(self, known: _KnownToken, shown: Shown, now: datetime) -> Entry:
        proven = prove_keys(shown, now=now, nonces=self.nonces)
        require_sender(known.token, known.source.issuer, proven)
        if known.token.status is not None:
            await known.source.statuses.require_valid(known.token.status, now)
        return Entry(admission=known.admission, single_use=single_use(proven), again=partial(self._again, known))


def claimed_issuer(jws: UnverifiedJWS | None) -> str | None:
    """Return who a token says made it, for routing alone."""
    try:
        issuer = None if jws is None else parse_object(jws.payload).get("iss")
    except Malformed:
        return None
    return issuer if isinstance(issuer, str) else None


def require_sender(token: ForeignToken, issuer: ForeignIssuer, proven: ProvenKeys) -> None:
    """Return when whoever shows the token proved the key it is bound to, if it is or must be bound to one (TOK-09).

    Raises: NotBound, BadDPoPProof.
    """
    if token.confirmation is None and issuer.require_bound:
        raise NotBound("tokens of this issuer must be bound to a key, and this one is not")
    if token.confirmation is not None and token.confirmation not in proven.confirmations:
        raise NotBound("a sender-constrained token was shown without the proof of its key")
    require_bound(token.confirmation, proven)


def admission_of(
    token: ForeignToken, issuer: ForeignIssuer, *, resource: str, form: Form, chains: bool = True
) -> Admission:
    """Return whom another issuer's token speaks of.

    Raises: BadJOSE, NotEvidenced.
    """
    if token.actors and not chains:
        raise NotEvidenced("no signed credential is behind what this issuer says of actors")
    capabilities = _capabilities(token, issuer, resource)
    scopes = scopes_of(capabilities)
    principal = _principal(token, issuer)
    caller = VerifiedCaller(
        principal=principal,
        actors=token.actors,
        client_id=token.client_id,
        scopes=scopes,
        capabilities=capabilities,
        entitlements=scopes if principal.kind == "user" else None,
        credential_ids=(),
        evidence=None,
    )
    return Admission(
        caller=caller, form=form, token_id=token.id, valid_until=token.expires, issuer=issuer, held=token.scopes
    )


def _principal(token: ForeignToken, issuer: ForeignIssuer) -> Principal:
    profile = {"agent": "ai_agent"}.get(issuer.subject, issuer.subject)
    kind = _PROFILES.get(str(token.subject_profile if profile == "sub_profile" else profile))
    if kind is None:
        raise BadJOSE("sub_profile is not known")
    # Never the namespace of the bridge: a name here is nobody's name there (DEL-11).
    names_itself = kind == "agent" and token.subject.startswith("did:")
    namespace = DID_NAMESPACE if names_itself else issuer.issuer
    return Principal(kind=kind, id=token.subject, namespace=namespace)


def _capabilities(token: ForeignToken, issuer: ForeignIssuer, resource: str) -> tuple[Capability, ...]:
    granted = issuer.capabilities(token.scopes, resource)
    if token.details is None:
        return granted
    # The details narrow what the scopes give, tool by tool; they never add to it.
    narrowed = []
    for detail in token.details:
        single = {
            tool: Capability(resources=(resource,), tools={tool: arguments}, limits=detail.limits)
            for tool, arguments in detail.tools.items()
        }
        held = [tool for tool, one in single.items() if any(covered_by(one, whole) for whole in granted)]
        if held:
            tools = {tool: detail.tools[tool] for tool in held}
            narrowed.append(Capability(resources=(resource,), tools=tools, limits=detail.limits))
    return tuple(narrowed)
