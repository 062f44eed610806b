"""What is believed and not allowed."""

from __future__ import annotations

from collections.abc import Mapping

from did_agent.errors.families import Denied


class InsufficientScope(Denied):
    code = "insufficient_scope"
    public = "The token does not carry the scope for this operation."


class EmptyGrant(Denied):
    """Beside the term that left nothing, `facts` says what each of them would have allowed: for the audit event."""

    code = "empty_grant"
    public = "Nothing is left to grant."

    def __init__(self, detail: str = "", *, facts: Mapping[str, str] | None = None, terms: object = None) -> None:
        super().__init__(detail)
        self.facts: Mapping[str, str] = facts or {}
        self.terms = terms  # what was combined, to decide it again


class UnauthorizedClient(Denied):
    code = "unauthorized_client"
    public = "This client may not do that."


class UnknownResource(Denied):
    code = "unknown_resource"
    public = "The resource is not served here."


class ConsentDenied(Denied):
    code = "consent_denied"
    public = "The user did not consent."


class NotFound(Denied):
    code = "not_found"
    public = "There is no such thing here."


class StateConflict(Denied):
    code = "state_conflict"
    public = "The current state does not allow this."


class QuotaExceeded(Denied):
    code = "quota_exceeded"
    public = "There were too many of these; try again tomorrow."


class TooManyPending(QuotaExceeded):
    code = "too_many_pending"
    public = "There are too many open questions; ask again when they are answered or over."


class AuthorizationPending(Denied):
    code = "authorization_pending"
    public = "The person has not answered yet."


class PolledTooSoon(AuthorizationPending):
    code = "slow_down"
    public = "The person has not answered yet; ask less often."


class RequestExpired(Denied):
    code = "request_expired"
    public = "The person did not answer in time."


class DetailsRefused(Denied):
    code = "details_refused"
    public = "Nothing is left of what the authorization details ask for."


class ActorUnauthorized(Denied):
    code = "actor_unauthorized"
    public = "The actor has no permission to act for this subject."
