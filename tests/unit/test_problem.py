"""Every error of a verification has its problem type, and none of them tells more than its kind (VCDM 2.0, 7.1)."""

from __future__ import annotations

import inspect
from urllib.parse import urlsplit

import pytest

from did_agent import errors
from did_agent.credential import bitstring
from did_agent.credential.problem import (
    DID,
    MAX_DETAIL,
    OURS,
    SECURITY,
    STATUS,
    TYPES,
    VCDM,
    problem_details,
    problem_type,
)
from did_agent.errors import Denied, DidAgentError, Malformed, Unavailable, VerificationError

FAMILIES = (Malformed, VerificationError, Denied, Unavailable)
LEAVES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, FAMILIES) and kind not in FAMILIES
]
# Of tokens, consent, policy, audit and stores: no credential is verified where they arise, so their family's type will do.
ELSEWHERE = {
    errors.BadCredentialRequest,
    errors.UnknownConfiguration,
    errors.UnknownCredentialIdentifier,
    errors.NoResponseEncryption,
    errors.BadNotification,
    errors.BadKeyProof,
    errors.BadProofNonce,
    errors.CredentialRequestDenied,
    errors.UnknownTransaction,
    errors.UnknownNotification,
    errors.BadEvent,
    errors.UnknownEvent,
    errors.TaskCompleted,
    errors.UnsupportedGrantType,
    errors.UnsupportedDetails,
    errors.NotAuthenticated,
    errors.ClientNotAuthenticated,
    errors.BadGrant,
    errors.BadDPoPProof,
    errors.DPoPNonceNeeded,
    errors.NotBound,
    errors.BadBundle,
    errors.BadLog,
    errors.InsufficientScope,
    errors.ConsentDenied,
    errors.EmptyGrant,
    errors.UnauthorizedClient,
    errors.ActorUnauthorized,
    errors.StoreUnavailable,
    errors.AuditUnavailable,
    errors.AuthorizationPending,
    errors.BadBindingMessage,
    errors.BadClientMetadata,
    errors.BadPolicy,
    errors.BadRedirectURI,
    errors.DetailsRefused,
    errors.NotEvidenced,
    errors.PolicyStale,
    errors.PolicyUnavailable,
    errors.PolledTooSoon,
    errors.QuotaExceeded,
    errors.RequestExpired,
    errors.TooManyPending,
}
STANDARD = {
    VCDM: {"PARSING_ERROR", "CRYPTOGRAPHIC_SECURITY_ERROR", "MALFORMED_VALUE_ERROR", "RANGE_ERROR"},
    STATUS: {"STATUS_RETRIEVAL_ERROR", "STATUS_VERIFICATION_ERROR", "STATUS_LIST_LENGTH_ERROR"},
    DID: {"NOT_FOUND"},
    SECURITY: {
        "PROOF_GENERATION_ERROR", "PROOF_VERIFICATION_ERROR", "PROOF_TRANSFORMATION_ERROR", "INVALID_DOMAIN_ERROR",
        "INVALID_CHALLENGE_ERROR", "DATA_LOSS_DETECTION_ERROR", "INVALID_VERIFICATION_METHOD_URL",
        "INVALID_CONTROLLED_IDENTIFIER_DOCUMENT", "INVALID_CONTROLLED_IDENTIFIER_DOCUMENT_ID",
        "INVALID_VERIFICATION_METHOD", "INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD",
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in LEAVES if kind not in ELSEWHERE])
def test_every_leaf_of_a_verification_is_in_the_table_itself(kind: type[DidAgentError]) -> None:
    assert kind in TYPES, f"{kind.__name__} has no problem type of its own"


def test_what_arises_elsewhere_is_named_once_and_still_has_a_type() -> None:
    assert not ELSEWHERE & TYPES.keys()
    assert all(problem_type(kind("x")) for kind in ELSEWHERE)


@pytest.mark.parametrize("kind", [*TYPES, *LEAVES])
def test_a_type_is_one_of_a_standard_or_of_ours(kind: type[DidAgentError]) -> None:
    url = problem_type(kind("x"))
    base, _, name = url.partition("#")
    assert urlsplit(url).scheme == "https"
    assert name in STANDARD.get(base + "#", {name} if base + "#" == OURS else set())


@pytest.mark.parametrize("kind", LEAVES)
def test_every_problem_has_type_title_and_detail(kind: type[DidAgentError]) -> None:
    for detail in ("", "something is not as it should be"):
        found = problem_details(kind(detail))
        assert found.keys() == {"type", "title", "detail", "code"}
        assert all(found.values())


def test_no_leaf_is_hidden_by_a_family_before_it() -> None:
    kinds = list(TYPES)
    for position, kind in enumerate(kinds):
        assert not any(issubclass(kind, earlier) for earlier in kinds[:position])


def test_the_catalogues_of_status_and_of_problems_agree() -> None:
    for kind, name in bitstring.ERROR_TYPES.items():
        if kind not in FAMILIES:
            assert problem_type(kind("x")) == name


def test_the_sender_learns_what_was_wrong_with_a_request() -> None:
    assert problem_details(errors.BadCredential("credentialSchema has no id"))["detail"] == "credentialSchema has no id"


@pytest.mark.parametrize("kind", [leaf for leaf in LEAVES if not issubclass(leaf, Malformed)])
def test_nobody_learns_the_private_detail_of_a_proof_or_a_fetch(kind: type[DidAgentError]) -> None:
    assert "private" not in problem_details(kind("private: peer 10.0.0.7 said no"))["detail"]


@pytest.mark.parametrize(
    "secret",
    [
        "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
        "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJkaWQ6a2V5OnoifQ.c2lnbmF0dXJlc2lnbmF0dXJl",
        "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC",
    ],
)
def test_no_detail_echoes_a_key_or_a_token(secret: str) -> None:
    for text in (secret, f"id {secret} is wrong", f"{{'k': '{secret}'}}"):
        detail = problem_details(errors.BadCredential(text))["detail"]
        assert not any(secret[start : start + 16] in detail for start in range(len(secret) - 16))


def test_a_detail_is_one_short_line_of_printable_text() -> None:
    detail = problem_details(errors.BadCredential("a\r\nb\x00c \u2028" + "word " * 10_000))["detail"]
    assert len(detail) <= MAX_DETAIL
    assert detail.isprintable()
    assert detail.encode()
