"""Key proofs of a credential request: for us, fresh, and all by one key (OpenID4VCI 1.0, 8.2 and appendix F)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from did_agent.credential.trust import TrustedIssuers
from did_agent.errors import (
    BadCredentialRequest,
    BadKeyProof,
    BadProofNonce,
    Malformed,
    NoResponseEncryption,
    UnknownConfiguration,
    UnknownCredentialIdentifier,
    VerificationError,
    WrongChallenge,
)
from did_agent.presentation.model import Expected
from did_agent.presentation.verify import ask, judge
from did_agent.tokens.challenges import require_challenge
from did_agent.tokens.key_proof import verify_key_proof
from issuer.configurations import BATCH_SIZE

_MAX_NAME: Final = 128  # characters of an identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRequest:
    """What a wallet asks for; nothing of it is believed."""

    configuration: str
    kind: str  # of proofs
    proofs: Sequence[object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """The one key behind all proofs of a request; `nonces` are still to be spent."""

    did: str
    nonces: frozenset[str]
    client_ids: frozenset[str]
    count: int


def read_request(members: Mapping[str, object], *, identifiers: Sequence[str]) -> CredentialRequest:
    """Return what is asked for; `identifiers` are those that came with the token.  Unknown members are ignored (8.2).

    Raises: BadCredentialRequest and its leaves, BadKeyProof when there is no proof.
    """
    if "credential_response_encryption" in members:
        raise NoResponseEncryption("credential_response_encryption is not offered in the metadata")
    configuration = _asked_for(members, identifiers)
    proofs = members.get("proofs")
    if not isinstance(proofs, dict) or len(proofs) != 1:
        raise BadKeyProof("proofs of exactly one type are needed")
    kind, listed = next(iter(proofs.items()))
    if not isinstance(listed, list) or not listed:
        raise BadKeyProof("proofs are a list")
    if len(listed) > BATCH_SIZE:
        raise BadCredentialRequest(f"at most {BATCH_SIZE} proofs")
    return CredentialRequest(configuration=configuration, kind=kind, proofs=listed)


def judge_proofs(asked: CredentialRequest, *, audience: str, nonce_key: bytes, now: datetime) -> Proven:
    """Return the key that all proofs were made by, for the credential issuer `audience`.

    Raises: BadKeyProof, BadProofNonce.
    """
    if asked.kind not in ("jwt", "di_vp"):
        raise BadKeyProof(f"proofs of type {asked.kind[:40]} are not accepted")
    read = _read_jwt if asked.kind == "jwt" else _read_presentation
    found = []
    for proof in asked.proofs:
        try:
            found.append(read(proof, audience, now))
        except (Malformed, VerificationError) as error:
            raise BadKeyProof(f"{error.code}: {error.detail}") from error
    dids = {did for did, _, _ in found}
    if len(dids) != 1:
        raise BadKeyProof("an agent has one key, and these are proofs by several")
    for _, nonce, _ in found:
        try:
            require_challenge(nonce, nonce_key, now=now)
        except WrongChallenge as error:
            raise BadProofNonce(error.detail) from error
    return Proven(
        did=dids.pop(),
        nonces=frozenset(nonce for _, nonce, _ in found),
        client_ids=frozenset(client for _, _, client in found if client is not None),
        count=len(found),
    )


def require_client(proven: Proven, client_id: str | None) -> None:
    """Return when no proof names another client than the token does (F.1).

    Raises: BadKeyProof.
    """
    if proven.client_ids - ({client_id} if client_id is not None else set()):
        raise BadKeyProof("iss is not the client that the token was given to")


def _asked_for(members: Mapping[str, object], identifiers: Sequence[str]) -> str:
    identifier, configuration = members.get("credential_identifier"), members.get("credential_configuration_id")
    if (identifier is None) == (configuration is None):
        raise BadCredentialRequest("exactly one of credential_identifier and credential_configuration_id is expected")
    named = configuration if identifier is None else identifier
    if not isinstance(named, str) or not 0 < len(named) <= _MAX_NAME:
        raise BadCredentialRequest("an identifier is a short text")
    if identifier is not None and named not in identifiers:
        raise UnknownCredentialIdentifier("the identifier did not come with the token")
    if configuration is not None and named in identifiers:
        raise UnknownConfiguration("identifiers came with the token: ask by credential_identifier")
    return named


def _read_jwt(proof: object, audience: str, now: datetime) -> tuple[str, str, str | None]:
    if not isinstance(proof, str):
        raise BadKeyProof("a jwt proof is a text")
    proven = verify_key_proof(proof, expected_audience=audience, now=now)
    return proven.did, proven.nonce, proven.client_id


def _read_presentation(proof: object, audience: str, now: datetime) -> tuple[str, str, str | None]:
    if not isinstance(proof, dict):
        raise BadKeyProof("a di_vp proof is an object")
    expected = Expected(
        audience=frozenset({audience}),
        now=now,
        trusted=TrustedIssuers.of(),
        max_depth=0,
        challenge="required",
        allow_empty=True,
    )
    shown = judge(ask(proof, expected), {})
    if shown.chain is not None or shown.challenge is None:
        raise BadKeyProof("a di_vp proof shows possession of a key and nothing else")
    return shown.holder, shown.challenge, None
