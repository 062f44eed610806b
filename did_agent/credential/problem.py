"""Problem types of the VC standards for our errors (VCDM 2.0, 7.1; Data Integrity 1.0, 4.7; BSL 1.0, 3.5; RFC 9457)."""

from __future__ import annotations

from typing import Final

from did_agent import errors
from did_agent.errors import DidAgentError, Malformed, Unavailable, VerificationError

VCDM: Final = "https://www.w3.org/TR/vc-data-model#"
SECURITY: Final = "https://w3id.org/security#"
STATUS: Final = "https://www.w3.org/ns/credentials/status-list#"
OURS: Final = "https://w3id.org/did-agent#"

# The first class that fits wins, so leaves stand before their families.
TYPES: Final[dict[type[DidAgentError], str]] = {
    errors.NotJSON: VCDM + "PARSING_ERROR",
    errors.DuplicateMember: VCDM + "PARSING_ERROR",
    errors.TooDeep: VCDM + "PARSING_ERROR",
    errors.TooLarge: VCDM + "PARSING_ERROR",
    errors.BadJOSE: VCDM + "PARSING_ERROR",
    errors.BadEncoding: VCDM + "PARSING_ERROR",
    errors.TooComplex: SECURITY + "PROOF_TRANSFORMATION_ERROR",
    errors.DataLoss: SECURITY + "DATA_LOSS_DETECTION_ERROR",
    errors.BadProof: SECURITY + "PROOF_VERIFICATION_ERROR",
    errors.WrongPurpose: SECURITY + "PROOF_VERIFICATION_ERROR",
    errors.WrongAudience: SECURITY + "INVALID_DOMAIN_ERROR",
    errors.WrongChallenge: SECURITY + "INVALID_CHALLENGE_ERROR",
    errors.BadDID: SECURITY + "INVALID_VERIFICATION_METHOD_URL",
    errors.BadDIDDocument: SECURITY + "INVALID_CONTROLLED_IDENTIFIER_DOCUMENT",
    errors.BadKey: SECURITY + "INVALID_VERIFICATION_METHOD",
    errors.WrongKey: SECURITY + "INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD",
    errors.KeysUnavailable: SECURITY + "INVALID_CONTROLLED_IDENTIFIER_DOCUMENT",
    errors.BadSignature: VCDM + "CRYPTOGRAPHIC_SECURITY_ERROR",
    errors.WrongAlgorithm: VCDM + "CRYPTOGRAPHIC_SECURITY_ERROR",
    errors.StatusUnavailable: STATUS + "STATUS_RETRIEVAL_ERROR",
    errors.StatusNotVerified: STATUS + "STATUS_VERIFICATION_ERROR",
    errors.StatusListTooShort: STATUS + "STATUS_LIST_LENGTH_ERROR",
    errors.StatusIndexOutOfRange: VCDM + "RANGE_ERROR",
    errors.Expired: OURS + "CREDENTIAL_EXPIRED",
    errors.NotYetValid: OURS + "CREDENTIAL_NOT_YET_VALID",
    errors.Revoked: OURS + "CREDENTIAL_REVOKED",
    errors.Suspended: OURS + "CREDENTIAL_SUSPENDED",
    errors.UntrustedIssuer: OURS + "ISSUER_NOT_TRUSTED",
    errors.WrongIssuer: OURS + "ISSUER_NOT_TRUSTED",
    errors.HolderMismatch: OURS + "HOLDER_BINDING_ERROR",
    errors.SchemaViolated: OURS + "SCHEMA_FAILURE",
    errors.ChainBroken: OURS + "CAPABILITY_CHAIN_ERROR",
    errors.NotAttenuated: OURS + "CAPABILITY_NOT_ATTENUATED",
    errors.DepthExceeded: OURS + "CAPABILITY_DEPTH_EXCEEDED",
    errors.BadConstraint: OURS + "CAPABILITY_UNKNOWN_CONSTRAINT",
    Malformed: VCDM + "MALFORMED_VALUE_ERROR",
    VerificationError: VCDM + "CRYPTOGRAPHIC_SECURITY_ERROR",
    Unavailable: STATUS + "STATUS_RETRIEVAL_ERROR",
    DidAgentError: OURS + "REFUSED",
}
MAX_DETAIL: Final = 300  # characters


def problem_type(error: DidAgentError) -> str:
    """Return the URL of the problem type that stands for an error."""
    return next(name for kind, name in TYPES.items() if isinstance(error, kind))


def problem_details(error: DidAgentError) -> dict[str, str]:
    """Return an error as ProblemDetails; of a request its sender may know what was wrong, of a proof only the kind."""
    kind = problem_type(error)
    title = kind.partition("#")[2].replace("_", " ").capitalize()
    found = {"type": kind, "title": title, "code": error.code}
    return found | ({"detail": error.detail[:MAX_DETAIL]} if isinstance(error, Malformed) and error.detail else {})
