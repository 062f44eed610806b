"""The bridge's audit events: who asked for what, what was decided, and why."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Final

from bridge.model import Grant, Identity, OAuthRequest
from bridge.policy import Told
from did_agent.audit.event import AuditEvent
from did_agent.errors import DidAgentError
from did_agent.tokens.access_token import HOME, AccessToken

MAX_TEXT: Final = 500  # characters of an explanation or a target

_KINDS: Final = {"user": "user", "ai_agent": "agent", "service": "service"}
_UNSAID: Final[dict[str, Any]] = {
    "principal": None,
    "principal_kind": None,
    "actors": (),
    "client_id": None,
    "target": None,
    "resource": None,
    "argument_digest": None,
    "decision": "allow",
    "reason": "allowed",
    "policy": None,
    "credential_ids": (),
    "token_id": None,
    "evidence": None,
    "request_id": None,
    "details": {},
}


def bridge_event(identity: Identity, action: str, explanation: str, *, now: datetime, **said: Any) -> AuditEvent:
    """Return an event by this bridge; fields that are not said are absent."""
    fields = {**_UNSAID, **said, "action": action, "explanation": explanation[:MAX_TEXT]}
    return AuditEvent(id=uuid.uuid4().urn, time=now, source=identity.did, party="bridge", **fields)


def by_operator(
    identity: Identity, action: str, target: str, *, by: AccessToken, request_id: str, now: datetime
) -> AuditEvent:
    """Return the event of something an operator changed."""
    return bridge_event(
        identity,
        action,
        "an operator did it",
        now=now,
        principal=by.subject,
        principal_kind="service",
        client_id=by.client_id,
        target=target,
        token_id=by.id,
        request_id=request_id,
    )


def token_issued(
    identity: Identity, grant: Grant, *, told: Told, token_id: str, now: datetime, request_id: str
) -> AuditEvent:
    """Return the event of an issued token."""
    scope = " ".join(sorted(grant.scopes))
    said = {} if grant.task is None else {"task": grant.task}
    said |= {} if grant.organisation == HOME else {"organisation": grant.organisation}
    return bridge_event(
        identity,
        "token.issue",
        "; ".join(filter(None, (f"every term allows {scope}", told.explanation))),
        now=now,
        principal=grant.subject,
        principal_kind=_KINDS[grant.subject_profile],
        actors=grant.actors,
        client_id=grant.client_id,
        target=grant.resource,
        resource=grant.resource,
        policy=told.policy,
        credential_ids=grant.credential_ids,
        token_id=token_id,
        evidence=grant.authority.digest,
        request_id=request_id,
        details={"scope": scope, "grant": grant.type, **said, **told.details},
    )


def token_refused(
    identity: Identity,
    error: DidAgentError,
    request: OAuthRequest,
    *,
    told: Told,
    client_id: str | None,
    grant: str,
    now: datetime,
) -> AuditEvent:
    """Return the event of a refused token request, with the check that failed: for the operator, not for the caller."""
    resource = request.resources[0][:MAX_TEXT] if request.resources else None
    return bridge_event(
        identity,
        "token.issue",
        told.explanation,
        now=now,
        policy=told.policy,
        decision="deny",
        reason=error.code,
        client_id=client_id,
        target=resource,
        resource=resource,
        request_id=request.request_id,
        details={"grant": grant, **told.details},
    )
