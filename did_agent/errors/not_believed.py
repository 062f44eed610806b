"""What was read and is not believed."""

from __future__ import annotations

from did_agent.errors.families import VerificationError


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


class TaskCompleted(BadGrant):
    code = "task_completed"
    public = "The task is completed; nothing is given for it any more."


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


class BadBundle(VerificationError):
    code = "bundle_inconsistent"
    public = "The evidence bundle does not fit together."
