"""Every way to say no: four families that tell the caller what to do, and their leaves.

`Malformed` could not be read, `VerificationError` was read but not believed, `Denied` was
believed but is not allowed, `Unavailable` could not be found out (and therefore means no).
`Misconfigured` exists at start-up only.  Each leaf has a stable `code`, one `public` sentence
that is safe to show anyone, and a private `detail` for the operator and the audit event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class DidAgentError(Exception):
    """Root of all errors this project raises on purpose."""

    code: ClassVar[str] = "error"
    public: ClassVar[str] = "The request was refused."

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.public)
        self.detail = detail


class Malformed(DidAgentError):
    """Could not be read: fix the request."""

    code = "malformed"
    public = "The request could not be read."


class VerificationError(DidAgentError):
    """Read, not believed: get a fresh, honest proof."""

    code = "not_verified"
    public = "The proof was not accepted."


class Denied(DidAgentError):
    """Believed, not allowed: ask for a capability or for consent."""

    code = "denied"
    public = "This is not allowed."


class Unavailable(DidAgentError):
    """Could not find out: retry later; meanwhile the answer is no."""

    code = "unavailable"
    public = "A needed answer could not be had; try again."


class Misconfigured(DidAgentError):
    """The process must not start like this."""

    code = "misconfigured"
    public = "The service is not configured correctly."


# ---- Malformed


class NotJSON(Malformed):
    code = "not_json"
    public = "The body is not valid JSON."


class DuplicateMember(Malformed):
    code = "duplicate_member"
    public = "A JSON object names the same member twice."


class TooDeep(Malformed):
    code = "too_deep"
    public = "The JSON is nested too deeply."


class TooLarge(Malformed):
    code = "limit_exceeded"
    public = "A size limit was exceeded."


class BadEncoding(Malformed):
    code = "bad_encoding"
    public = "A value is not in its canonical encoding."


class BadKey(Malformed):
    code = "bad_key"
    public = "A key is not a valid public key."


class BadDID(Malformed):
    code = "invalid_did"
    public = "The DID is not valid."


class BadDIDDocument(Malformed):
    code = "invalid_did_document"
    public = "The DID document is not valid."


class BadJOSE(Malformed):
    code = "bad_jose"
    public = "The signed token could not be read."


class BadProof(Malformed):
    code = "bad_proof"
    public = "The proof could not be read."


class UnknownContext(Malformed):
    code = "unknown_context"
    public = "The document uses a JSON-LD context that is not accepted."


class DataLoss(Malformed):
    code = "data_loss"
    public = "A member of the document has no meaning under its context, so a proof would not cover it."


class TooComplex(Malformed):
    code = "too_complex"
    public = "The document costs more to canonicalize than a document may."


class BadTimestamp(Malformed):
    code = "bad_timestamp"
    public = "A date and time is not an RFC 3339 timestamp with zone."


class BadCredential(Malformed):
    code = "malformed_credential"
    public = "The credential does not follow its schema."


class StatusListTooShort(Malformed):
    code = "status_list_too_short"
    public = "The status list has too few entries to hide its holders."


class StatusIndexOutOfRange(Malformed):
    code = "status_index_out_of_range"
    public = "The status list has no entry at this index."


class BadConstraint(Malformed):
    code = "unknown_constraint"
    public = "A capability names a constraint that is unknown or malformed."


class BadPresentation(Malformed):
    code = "malformed_presentation"
    public = "The presentation could not be read."


class BadEvent(Malformed):
    code = "malformed_event"
    public = "The audit event does not follow its schema."


class BadPolicy(Malformed):
    code = "malformed_policy"
    public = "The policy does not follow its schema."


class InvalidParameter(Malformed):
    code = "invalid_parameter"
    public = "A parameter has a value that is not allowed."


class MissingParameter(Malformed):
    code = "missing_parameter"
    public = "A required parameter is missing."


class RepeatedParameter(Malformed):
    code = "repeated_parameter"
    public = "A parameter was sent more than once."


class WrongContentType(Malformed):
    code = "wrong_content_type"
    public = "The content type is not accepted here."


class BadClientMetadata(Malformed):
    code = "invalid_client_metadata"
    public = "The client cannot be registered as it describes itself."


class BadRedirectURI(Malformed):
    code = "invalid_redirect_uri"
    public = "A redirect URI cannot be registered."


class UnsupportedGrantType(Malformed):
    code = "unsupported_grant_type"
    public = "This grant type is not offered."


class BadBindingMessage(Malformed):
    code = "invalid_binding_message"
    public = "The message is too long, or more than one line of plain text."


class UnsupportedDetails(Malformed):
    code = "unsupported_details"
    public = "These authorization details are not accepted here."


# ---- VerificationError


class BadSignature(VerificationError):
    code = "bad_signature"


class WrongType(VerificationError):
    code = "wrong_type"


class WrongAlgorithm(VerificationError):
    code = "wrong_algorithm"


class WrongKey(VerificationError):
    code = "wrong_key"


class WrongPurpose(VerificationError):
    code = "wrong_purpose"


class Expired(VerificationError):
    code = "expired"


class NotYetValid(VerificationError):
    code = "not_yet_valid"


class WrongAudience(VerificationError):
    code = "wrong_audience"


class WrongIssuer(VerificationError):
    code = "wrong_issuer"


class WrongChallenge(VerificationError):
    code = "wrong_challenge"


class Replayed(VerificationError):
    code = "replayed"


class UntrustedIssuer(VerificationError):
    code = "issuer_not_trusted"


class HolderMismatch(VerificationError):
    code = "holder_mismatch"


class Revoked(VerificationError):
    code = "revoked"


class Suspended(VerificationError):
    code = "suspended"


class StatusNotVerified(VerificationError):
    code = "status_not_verified"


class SchemaViolated(VerificationError):
    code = "schema_violated"
    public = "The credential does not follow the schema it names."


class SchemaIndeterminate(VerificationError):
    code = "schema_indeterminate"
    public = "Nobody here can say whether the credential follows the schema it names."


class RelatedResourceMismatch(VerificationError):
    code = "related_resource_mismatch"
    public = "A related resource is not the one that the credential was made with."


class ChainBroken(VerificationError):
    code = "chain_broken"


class NotAttenuated(VerificationError):
    code = "not_attenuated"


class DepthExceeded(VerificationError):
    code = "depth_exceeded"


class UnknownAgent(VerificationError):
    code = "unknown_agent"


class AgentNotActive(VerificationError):
    code = "agent_not_active"


class ActorMismatch(VerificationError):
    code = "actor_mismatch"


class NotAuthenticated(VerificationError):
    code = "not_authenticated"
    public = "No credentials were sent."


class ClientNotAuthenticated(VerificationError):
    code = "client_not_authenticated"
    public = "Client authentication failed."


class BadGrant(VerificationError):
    code = "bad_grant"
    public = "The grant is invalid, expired or already used."


class BadDPoPProof(VerificationError):
    code = "invalid_dpop_proof"
    public = "The DPoP proof was not accepted."


class DPoPNonceNeeded(VerificationError):
    code = "use_dpop_nonce"
    public = "The DPoP proof must carry the nonce that came with this answer."


class NotBound(VerificationError):
    code = "sender_not_proven"
    public = "The token is bound to a key that was not proven."


class NotEvidenced(VerificationError):
    code = "delegation_not_evidenced"
    public = "The token says more than the signed credentials behind it."


class BadLog(VerificationError):
    code = "log_inconsistent"
    public = "The audit log does not match its signed checkpoint."


# ---- Denied


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


# ---- Unavailable


class StatusUnavailable(Unavailable):
    code = "status_unavailable"


class KeysUnavailable(Unavailable):
    code = "keys_unavailable"


class PeerUnavailable(Unavailable):
    code = "peer_unavailable"


class StoreUnavailable(Unavailable):
    code = "store_unavailable"


class AuditUnavailable(Unavailable):
    code = "audit_unavailable"


class PolicyUnavailable(Unavailable):
    code = "policy_unavailable"
