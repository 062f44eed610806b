"""Admit, decide, record: the one pipeline behind every guard, for presentations and tokens alike."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from did_agent.audit.event import AuditEvent
from did_agent.clock import Clock
from did_agent.credential.known import KnownCredentials
from did_agent.credential.trust import TrustedIssuers
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import (
    BadDPoPProof,
    DidAgentError,
    InsufficientScope,
    Replayed,
    Revoked,
    Suspended,
    UntrustedIssuer,
    WrongType,
)
from did_agent.policy.admission import caller_from_presentation, caller_from_token
from did_agent.policy.decide import Call, Decision, decide
from did_agent.ports import SpendOnce
from did_agent.presentation.model import Expected
from did_agent.presentation.verify import ask, judge
from did_agent.proof.jose import MAX_TOKEN, parse_compact
from did_agent.tokens.access_token import verify_access_token
from did_agent.tokens.dpop import DPoPProof
from verifier.delegation import StrictDelegation
from verifier.http import Shown
from verifier.model import Admission
from verifier.ports import AuditSink, KeySource, Revocations, StatusListSource
from verifier.sender import prove_keys, require_bound

MAX_DEPTH: Final = 4  # delegations after the root
_PRESENTATION_PURPOSE: Final = "presentation"
_PROOF_PURPOSE: Final = "dpop"


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentationDoor:
    """What is needed to accept presentations; without it tokens alone are."""

    trusted: TrustedIssuers
    statuses: StatusListSource
    replay: SpendOnce
    known: KnownCredentials = field(default_factory=KnownCredentials)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """Guards one resource.  Methods raise on refusal; there is no third outcome."""

    resource: str  # our identifier, the exact `aud`
    issuer: str  # the bridge's issuer string, the exact `iss`
    source: str  # DID of the party that decides, for the record
    party: str
    keys: KeySource
    revocations: Revocations
    audit: AuditSink
    clock: Clock
    presentations: PresentationDoor | None = None
    replay: SpendOnce | None = None  # where DPoP proofs are spent; without it none is accepted
    delegation: StrictDelegation | None = None  # without it the bridge's word on delegations is enough

    async def admit(self, shown: Shown) -> Admission:
        """Return who shows a credential; its JOSE type alone picks the door (TOK-08).

        Raises: Malformed, VerificationError, Unavailable.
        """
        jws = parse_compact(shown.credential, max_bytes=MAX_TOKEN)
        if jws.type == "at+jwt":
            return await self._admit_token(shown, jws.header.get("kid"))
        if jws.type == "vp+jwt" and shown.scheme == "bearer":
            return await self._admit_presentation(shown.credential)
        raise WrongType("neither an access token nor a presentation")

    async def decide(
        self, admission: Admission, *, tool: str, arguments: Mapping[str, object], request_id: str
    ) -> Decision:
        """Return the decision on one tool call, recorded before it is returned.

        Raises: AuditUnavailable, BadEncoding when the arguments have no canonical form.
        """
        digest = digest_uri(canonicalize(arguments))
        call = Call(resource=self.resource, tool=tool, arguments=arguments)
        decision = decide(admission.caller, call)
        await self.audit.record(
            self._event(
                admission,
                action="tool.call",
                target=tool,
                argument_digest=digest,
                allowed=decision.allowed,
                reason=decision.reason,
                explanation=decision.explanation,
                policy=decision.policy,
                request_id=request_id,
            )
        )
        return decision

    async def refuse(self, error: DidAgentError, *, action: str, request_id: str) -> None:
        """Record that nobody was admitted; nothing of the credential is believed, so nobody is named.

        Raises: AuditUnavailable.
        """
        await self.audit.record(
            self._event(
                None,
                action=action,
                target=None,
                argument_digest=None,
                allowed=False,
                reason=error.code,
                explanation=error.detail[:300] or error.public,
                policy=None,
                request_id=request_id,
            )
        )

    async def record(  # an event has many fields
        self, admission: Admission, *, action: str, allowed: bool, reason: str, explanation: str, request_id: str
    ) -> None:
        """Record an admitted caller's action that is not a tool call.

        Raises: AuditUnavailable.
        """
        await self.audit.record(
            self._event(
                admission,
                action=action,
                target=None,
                argument_digest=None,
                allowed=allowed,
                reason=reason,
                explanation=explanation,
                policy=None,
                request_id=request_id,
            )
        )

    async def _admit_token(self, shown: Shown, kid: object) -> Admission:
        key = await self.keys.find(kid)
        now = self.clock()
        proven = prove_keys(shown, now=now)
        token = verify_access_token(
            shown.credential,
            find_key=lambda _header, _claims: key,
            expected_issuer=self.issuer,
            expected_audience=self.resource,
            proven=proven.confirmations,
            now=now,
        )
        require_bound(token.confirmation, proven)
        caller = caller_from_token(token)
        if self.delegation is not None:
            behind = await self.delegation.require(token, now=now)
            # Whoever forged a token may have left out the credential whose revocation would end it.
            caller = replace(caller, credential_ids=tuple(dict.fromkeys((*caller.credential_ids, *behind))))
        admission = Admission(caller=caller, form="jwt", token_id=token.id, valid_until=token.expires)
        await self.revocations.require_live(admission.revocable_ids, now)
        await self._spend(proven.proof)
        return admission

    async def _spend(self, proof: DPoPProof | None) -> None:
        """Consume a DPoP proof, last of all, so that nobody can burn another's (TOK-10)."""
        if proof is None:
            return
        if self.replay is None:
            raise BadDPoPProof("DPoP proofs are not accepted here")
        if not await self.replay.spend(_PROOF_PURPOSE, proof.replay_key, expires=proof.replay_until):
            raise BadDPoPProof("this proof was used before")

    async def _admit_presentation(self, text: str) -> Admission:
        door = self.presentations
        if door is None:
            raise UntrustedIssuer("no issuer is trusted here, so presentations are not accepted")
        now = self.clock()
        expected = Expected(
            audience=frozenset({self.resource}),
            now=now,
            trusted=door.trusted,
            max_depth=MAX_DEPTH,
            challenge="jti",
        )
        asked = ask(text, expected, known=door.known)
        statuses = await door.statuses.get(asked.status_urls)
        try:
            presentation = judge(asked, statuses)
        except (Revoked, Suspended):
            door.known.forget(*(() if asked.chain is None else asked.chain.credential_ids))
            raise
        admission = Admission(
            caller=caller_from_presentation(presentation, resource=self.resource),
            form="vp",
            token_id=None,
            valid_until=presentation.valid_until,
        )
        await self.revocations.require_live(admission.revocable_ids, now)
        # Last of all, so that nobody can burn another's presentation with a bad one (VCX-01).
        if not await door.replay.spend(
            _PRESENTATION_PURPOSE, presentation.replay_key, expires=presentation.replay_until
        ):
            raise Replayed("this presentation was shown before")
        return admission

    def _event(  # an event has many fields
        self,
        admission: Admission | None,
        *,
        action: str,
        target: str | None,
        argument_digest: str | None,
        allowed: bool,
        reason: str,
        explanation: str,
        policy: str | None,
        request_id: str,
    ) -> AuditEvent:
        caller = None if admission is None else admission.caller
        return AuditEvent(
            id=uuid.uuid4().urn,
            time=self.clock(),
            source=self.source,
            party=self.party,
            principal=None if caller is None else caller.principal.id,
            principal_kind=None if caller is None else caller.principal.kind,
            actors=() if caller is None else caller.actors,
            client_id=None if caller is None else caller.client_id,
            action=action,
            target=target,
            resource=self.resource,
            argument_digest=argument_digest,
            decision="allow" if allowed else "deny",
            reason=reason,
            explanation=explanation,
            policy=policy,
            credential_ids=() if caller is None else caller.credential_ids,
            token_id=None if admission is None else admission.token_id,
            evidence=None if caller is None else caller.evidence,
            request_id=request_id,
            details={} if admission is None else {"form": admission.form},
        )


def require_scope(admission: Admission, scope: str) -> None:
    """Return when the caller was granted `scope`.

    Raises: InsufficientScope.
    """
    if scope not in admission.caller.scopes:
        raise InsufficientScope(f"{scope} is needed")
