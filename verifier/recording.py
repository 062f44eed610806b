"""What a guard puts on record: every decision about somebody, and refusals of nobody as far as there is room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from did_agent.audit.event import AuditEvent
from did_agent.clock import Clock
from did_agent.errors import DidAgentError
from did_agent.tokens.access_token import HOME
from verifier.gates import Asked
from verifier.identifiers import fresh_uuid
from verifier.model import Admission
from verifier.ports import AuditSink
from verifier.refusals import Refusals
from verifier.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was decided, as the record says it."""

    allowed: bool
    reason: str
    explanation: str
    policy: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Writes the events of one guard."""

    resource: str
    source: str  # DID of the party that decides
    party: str
    audit: AuditSink
    clock: Clock
    tally: Tally = field(default_factory=Tally)
    refusals: Refusals = field(default_factory=Refusals)
    is_pressed: Callable[[], bool] = bool  # whether room for events is scarce

    async def call(self, asked: Asked, digest: str, verdict: Verdict) -> None:
        """Record the decision on a call.

        Raises: AuditUnavailable.
        """
        await self.action(
            asked.admission,
            "tool.call",
            verdict,
            request_id=asked.request_id,
            target=asked.call.tool,
            argument_digest=digest,
        )

    async def action(  # an event has many fields
        self,
        admission: Admission,
        action: str,
        verdict: Verdict,
        *,
        request_id: str,
        target: str | None = None,
        argument_digest: str | None = None,
    ) -> None:
        """Record what somebody did or was refused.

        Raises: AuditUnavailable.
        """
        caller = admission.caller
        await self.audit.record(
            AuditEvent(
                id="urn:uuid:" + fresh_uuid(),
                time=self.clock(),
                source=self.source,
                party=self.party,
                principal=caller.principal.id,
                principal_kind=caller.principal.kind,
                actors=caller.actors,
                client_id=caller.client_id,
                action=action,
                target=target,
                resource=self.resource,
                argument_digest=argument_digest,
                decision="allow" if verdict.allowed else "deny",
                reason=verdict.reason,
                explanation=verdict.explanation,
                policy=verdict.policy,
                credential_ids=caller.credential_ids,
                token_id=admission.token_id,
                evidence=caller.evidence,
                request_id=request_id,
                details={**verdict.details, "form": admission.form, **_spoken_by(admission), **_belonging(admission)},
            )
        )
        self.tally.decisions["allow" if verdict.allowed else "deny", verdict.reason, admission.form] += 1

    async def refusal(self, error: DidAgentError, *, action: str, request_id: str) -> None:
        """Record that nobody was admitted; nothing of the credential is believed, so nobody is named.

        Raises: AuditUnavailable.
        """
        self.tally.refusals[error.code] += 1
        before = self.refusals.take(self.clock(), is_pressed=self.is_pressed())
        if before is None:
            return
        await self.audit.record(
            AuditEvent(
                id="urn:uuid:" + fresh_uuid(),
                time=self.clock(),
                source=self.source,
                party=self.party,
                principal=None,
                principal_kind=None,
                actors=(),
                client_id=None,
                action=action,
                target=None,
                resource=self.resource,
                argument_digest=None,
                decision="deny",
                reason=error.code,
                explanation=error.detail[:300] or error.public,
                policy=None,
                credential_ids=(),
                token_id=None,
                evidence=None,
                request_id=request_id,
                details={} if not before else {"refused_unrecorded_before": str(before)},
            )
        )


def _spoken_by(admission: Admission) -> dict[str, str]:
    # Another issuer's "smith" is not the bridge's: the record must tell them apart.
    return {} if admission.issuer is None else {"issuer": admission.issuer.issuer}


def _belonging(admission: Admission) -> dict[str, str]:
    # Left out for the one that runs the deployment, as its tokens do.
    return {} if admission.organisation == HOME else {"organisation": admission.organisation}
