"""Problem types of the VC standards for our errors (VCDM 2.0, 7.1; Data Integrity 1.0, 4.7; BSL 1.0, 3.5; RFC 9457)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from did_agent import errors
from did_agent.errors import Denied, DidAgentError, Malformed, Unavailable, VerificationError

VCDM: Final = "https://www.w3.org/TR/vc-data-model#"
SECURITY: Final = "https://w3id.org/security#"
STATUS: Final = "https://www.w3.org/ns/credentials/status-list#"
DID: Final = "https://www.w3.org/ns/did#"
OURS: Final = "https://w3id.org/did-agent#"
MAX_DETAIL: Final = 300  # characters

# The first class that fits wins, so leaves stand before their families.
TYPES: Final[Mapping[type[DidAgentError], str]] = {
    # could not be read
    errors.NotJSON: VCDM + "PARSING_ERROR",
    errors.DuplicateMember: VCDM + "PARSING_ERROR",
    errors.TooDeep: VCDM + "PARSING_ERROR",
    errors.TooLarge: VCDM + "PARSING_ERROR",
    errors.BadEncoding: VCDM + "PARSING_ERROR",
    errors.BadJOSE: VCDM + "PARSING_ERROR",
    errors.BadCredential: VCDM + "MALFORMED_VALUE_ERROR",
    errors.BadPresentation: VCDM + "MALFORMED_VALUE_ERROR",
    errors.BadTimestamp: VCDM + "MALFORMED_VALUE_ERROR",
    errors.UnknownContext: VCDM + "MALFORMED_VALUE_ERROR",
    errors.InvalidParameter: VCDM + "MALFORMED_VALUE_ERROR",
    errors.MissingParameter: VCDM + "MALFORMED_VALUE_ERROR",
    errors.RepeatedParameter: VCDM + "MALFORMED_VALUE_ERROR",
    errors.WrongContentType: VCDM + "MALFORMED_VALUE_ERROR",
    errors.StatusIndexOutOfRange: VCDM + "RANGE_ERROR",
    errors.StatusListTooShort: STATUS + "STATUS_LIST_LENGTH_ERROR",
    errors.BadProof: SECURITY + "PROOF_VERIFICATION_ERROR",
    errors.TooComplex: SECURITY + "PROOF_TRANSFORMATION_ERROR",
    errors.DataLoss: SECURITY + "DATA_LOSS_DETECTION_ERROR",
    errors.BadDID: SECURITY + "INVALID_VERIFICATION_METHOD_URL",
    errors.BadDIDDocument: SECURITY + "INVALID_CONTROLLED_IDENTIFIER_DOCUMENT",
    errors.BadKey: SECURITY + "INVALID_VERIFICATION_METHOD",
    errors.BadConstraint: OURS + "CAPABILITY_UNKNOWN_CONSTRAINT",
    # read, not believed
    errors.BadSignature: VCDM + "CRYPTOGRAPHIC_SECURITY_ERROR",
    errors.WrongAlgorithm: VCDM + "CRYPTOGRAPHIC_SECURITY_ERROR",
    errors.WrongType: VCDM + "MALFORMED_VALUE_ERROR",
    errors.WrongKey: SECURITY + "INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD",
    errors.WrongPurpose: SECURITY + "PROOF_VERIFICATION_ERROR",
    errors.WrongAudience: SECURITY + "INVALID_DOMAIN_ERROR",
    errors.WrongChallenge: SECURITY + "INVALID_CHALLENGE_ERROR",
    errors.Replayed: SECURITY + "INVALID_CHALLENGE_ERROR",
    errors.StatusNotVerified: STATUS + "STATUS_VERIFICATION_ERROR",
    errors.Expired: OURS + "CREDENTIAL_EXPIRED",
    errors.NotYetValid: OURS + "CREDENTIAL_NOT_YET_VALID",
    errors.Revoked: OURS + "CREDENTIAL_REVOKED",
    errors.Suspended: OURS + "CREDENTIAL_SUSPENDED",
    errors.UntrustedIssuer: OURS + "ISSUER_NOT_TRUSTED",
    errors.WrongIssuer: OURS + "ISSUER_NOT_TRUSTED",
    errors.HolderMismatch: OURS + "HOLDER_BINDING_ERROR",
    errors.SchemaViolated: OURS + "SCHEMA_FAILURE",
    errors.SchemaIndeterminate: OURS + "SCHEMA_INDETERMINATE",
    errors.RelatedResourceMismatch: OURS + "RELATED_RESOURCE_MISMATCH",
    errors.ChainBroken: OURS + "CAPABILITY_CHAIN_ERROR",
    errors.NotAttenuated: OURS + "CAPABILITY_NOT_ATTENUATED",
    errors.DepthExceeded: OURS + "CAPABILITY_DEPTH_EXCEEDED",
    errors.UnknownAgent: OURS + "AGENT_NOT_ACCEPTED",
    errors.AgentNotActive: OURS + "AGENT_NOT_ACCEPTED",
    errors.ActorMismatch: OURS + "AGENT_NOT_ACCEPTED",
    # believed, not allowed
    errors.UnknownResource: OURS + "CAPABILITY_AUDIENCE_MISMATCH",
    errors.NotFound: OURS + "NOT_FOUND",
    errors.StateConflict: OURS + "STATE_CONFLICT",
    # could not be found out
    errors.StatusUnavailable: STATUS + "STATUS_RETRIEVAL_ERROR",
    errors.KeysUnavailable: DID + "NOT_FOUND",
    errors.PeerUnavailable: OURS + "EVIDENCE_UNAVAILABLE",
    # families, for what is met outside of credentials
    Malformed: VCDM + "MALFORMED_VALUE_ERROR",
    VerificationError: VCDM + "CRYPTOGRAPHIC_SECURITY_ERROR",
    Denied: OURS + "CAPABILITY_DENIED",
    Unavailable: OURS + "EVIDENCE_UNAVAILABLE",
    DidAgentError: OURS + "REFUSED",
}

# Keys, signatures, tokens and digests are long words; nothing that explains an error is.
_LONG_WORD: Final = re.compile(r"[A-Za-z0-9+/=_.~-]{32,}")
_NOT_PRINTED: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def problem_type(error: DidAgentError) -> str:
    """Return the URL of the problem type that stands for an error."""
    return next(name for kind, name in TYPES.items() if isinstance(error, kind))


def problem_details(error: DidAgentError) -> dict[str, str]:
    """Return an error as ProblemDetails, without anything long enough to be a key, a token or a body.

    What was wrong with a request its sender may know; of a proof only the kind is told (OPS-03).
    """
    kind = problem_type(error)
    title = kind.partition("#")[2].replace("_", " ").capitalize()
    detail = (error.detail if isinstance(error, Malformed) else "") or error.public
    return {"type": kind, "title": title, "detail": _disclosable(detail), "code": error.code}


def _disclosable(detail: str) -> str:
    return _LONG_WORD.sub("[…]", _NOT_PRINTED.sub(" ", detail[: 4 * MAX_DETAIL]))[:MAX_DETAIL]
