"""Admit, decide, record: the one pipeline behind every guard, whatever form of credential was shown."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from did_agent.audit.event import AuditEvent
from did_agent.clock import Clock
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import BadDPoPProof, DidAgentError, InsufficientScope, WrongType
from did_agent.policy.decide import Call, Decision, decide
from did_agent.ports import SpendOnce
from did_agent.proof.jose import MAX_TOKEN, parse_compact
from verifier.doors.known import KnownTexts
from verifier.http import Shown
from verifier.model import Admission, Entry, SingleUse
from verifier.ports import AuditSink, Door, Revocations


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """Guards one resource.  Methods raise on refusal; there is no third outcome."""

    resource: str  # our identifier, the exact `aud`
    source: str  # DID of the party that decides, for the record
    party: str
    doors: Sequence[Door]  # the first that opens for what was shown is the only one asked
    revocations: Revocations
    audit: AuditSink
    clock: Clock
    replay: SpendOnce | None = None  # where single-use values are spent; without it none is accepted
    known: KnownTexts = field(default_factory=KnownTexts)

    async def admit(self, shown: Shown) -> Admission:
        """Return who shows a credential; what it is alone picks the door (TOK-08).

        Raises: Malformed, VerificationError, Unavailable.
        """
        now = self.clock()
        entry = await self._enter(shown, now)
        await self.revocations.require_live(entry.admission.revocable_ids, now)
        for once in entry.single_use:
            await self._spend(once)
        return entry.admission

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

    async def _enter(self, shown: Shown, now: datetime) -> Entry:
        known = self.known.find(shown.credential)
        if known is not None:
            return await known(shown, now)
        jws = parse_compact(shown.credential, max_bytes=MAX_TOKEN)
        for door in self.doors:
            if door.opens(shown, jws):
                entry = await door.admit(shown, jws, now)
                if entry.again is not None:
                    self.known.remember(shown.credential, entry.again)
                return entry
        raise WrongType("no credential of a form that is accepted here")

    async def _spend(self, once: SingleUse) -> None:
        if self.replay is None:
            raise BadDPoPProof("single-use values cannot be spent here")
        if not await self.replay.spend(once.purpose, once.key, expires=once.expires):
            raise once.refusal("it was shown before")

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
