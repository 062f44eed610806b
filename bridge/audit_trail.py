"""The bridge's audit events: who asked for what, what was decided, and why."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from bridge.model import Grant, Identity
from did_agent.audit.event import AuditEvent, Decision
from did_agent.errors import DidAgentError
from did_agent.policy.decide import POLICY_VERSION

_KINDS = {"user": "user", "ai_agent": "agent", "service": "service"}
MAX_EXPLANATION = 500  # characters


def bridge_event(  # noqa: PLR0913  # an event has many fields
    identity: Identity,
    *,
    action: str,
    now: datetime,
    decision: Decision = "allow",
    reason: str = "allowed",
    explanation: str,
    principal: str | None = None,
    principal_kind: str | None = None,
    actors: Sequence[str] = (),
    client_id: str | None = None,
    target: str | None = None,
    resource: str | None = None,
    policy: str | None = None,
    credential_ids: Sequence[str] = (),
    token_id: str | None = None,
    evidence: str | None = None,
    request_id: str | None = None,
    details: Mapping[str, str] | None = None,
) -> AuditEvent:
    """Return an event by this bridge; what is not said is absent."""
    return AuditEvent(
        id=uuid.uuid4().urn,
        time=now,
        source=identity.did,
        party="bridge",
        principal=principal,
        principal_kind=principal_kind,
        actors=tuple(actors),
        client_id=client_id,
        action=action,
        target=target,
        resource=resource,
        argument_digest=None,
        decision=decision,
        reason=reason,
        explanation=explanation[:MAX_EXPLANATION],
        policy=policy,
        credential_ids=tuple(credential_ids),
        token_id=token_id,
        evidence=evidence,
        request_id=request_id,
        details=dict(details or {}),
    )


def token_issued(
    identity: Identity, grant: Grant, *, token_id: str, now: datetime, request_id: str | None
) -> AuditEvent:
    """Return the event of an issued token."""
    return bridge_event(
        identity,
        action="token.issue",
        now=now,
        explanation=f"{grant.type}: every term allows {' '.join(sorted(grant.scopes))}",
        principal=grant.subject,
        principal_kind=_KINDS[grant.subject_profile],
        actors=grant.actors,
        client_id=grant.client_id,
        target=grant.resource,
        resource=grant.resource,
        policy=f"{grant.policy}/{POLICY_VERSION}",
        credential_ids=grant.credential_ids,
        token_id=token_id,
        evidence=grant.authority.digest,
        request_id=request_id,
        details={"scope": " ".join(sorted(grant.scopes)), "grant": grant.type},
    )


def token_refused(
    identity: Identity,
    error: DidAgentError,
    *,
    client_id: str | None,
    resources: Sequence[str],
    grant: str,
    now: datetime,
    request_id: str | None,
) -> AuditEvent:
    """Return the event of a refused token request, with the check that failed: for the operator, not for the caller."""
    return bridge_event(
        identity,
        action="token.issue",
        now=now,
        decision="deny",
        reason=error.code,
        explanation=error.detail or error.public,
        client_id=client_id,
        target=resources[0][:500] if resources else None,
        resource=resources[0][:500] if resources else None,
        request_id=request_id,
        details={"grant": grant},
    )
