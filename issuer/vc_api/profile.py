"""What the VC-API issues: any conforming credential of ours, in the form that is asked for (VCALM 0.9, 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from did_agent.credential import vcdm
from did_agent.credential.issuance import new_id
from did_agent.did.key import did_key, verification_method
from did_agent.encoding.jsonld import dataset
from did_agent.errors import BadProof, InvalidParameter, WrongIssuer
from did_agent.keys.public import KeyKind, SigningKey
from did_agent.proof.cryptosuite import CRYPTOSUITES
from did_agent.proof.data_integrity import add_proof
from did_agent.proof.vc_jose import enveloped, secure

CONTEXT_V1: Final = "https://www.w3.org/2018/credentials/v1"
DATA_INTEGRITY: Final = "https://w3id.org/security/data-integrity/v2"
VC_JWT: Final = "vc+jwt"
MAX_POINTERS: Final = 64  # of `mandatoryPointers`

_DEFAULT_SUITES: Final[dict[KeyKind, str]] = {
    "Ed25519": "eddsa-rdfc-2022",
    "P-256": "ecdsa-rdfc-2019",
    "P-384": "ecdsa-rdfc-2019",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one request that mean something here."""

    cryptosuite: str | None
    mandatory_pointers: tuple[str, ...] | None
    credential_id: str | None
    status_purpose: str | None
    unknown: tuple[str, ...]  # members that mean nothing here: a warning, never a failure


def parse_options(value: object, *, status_purpose: str | None) -> Options:
    """Return the options of an issue request.

    Raises: InvalidParameter.
    """
    if not isinstance(value, dict):
        raise InvalidParameter("options is not an object")
    pointers = value.get("mandatoryPointers")
    if pointers is not None and (
        not isinstance(pointers, list) or len(pointers) > MAX_POINTERS or not all(isinstance(p, str) for p in pointers)
    ):
        raise InvalidParameter("mandatoryPointers is not a list of JSON pointers")
    suite = value.get("cryptosuite")
    if suite is not None and suite not in (*sorted(CRYPTOSUITES), VC_JWT):
        raise InvalidParameter(f"cryptosuite is not one of {', '.join(sorted(CRYPTOSUITES))}, {VC_JWT}")
    known = {"cryptosuite", "mandatoryPointers", "credentialId", "statusPurpose"}
    return Options(
        cryptosuite=cast("str | None", suite),
        mandatory_pointers=None if pointers is None else tuple(pointers),
        credential_id=_text(value, "credentialId"),
        status_purpose=_text(value, "statusPurpose") or status_purpose,
        unknown=tuple(sorted(value.keys() - known)),
    )


def prepare(credential: Mapping[str, object], status: Mapping[str, object] | None) -> dict[str, object]:
    """Return what will be signed: the credential as it is, with the status entry and what 1.1 needs for its proof.

    Raises: BadProof when it carries a proof that is none, BadCredential, BadTimestamp, UnknownContext, DataLoss.
    """
    if "proof" in credential:
        vcdm.require_proof_shape(credential["proof"])
    document = {name: value for name, value in credential.items() if name != "proof"}
    contexts = document.get("@context")
    if isinstance(contexts, list) and contexts[:1] == [CONTEXT_V1] and DATA_INTEGRITY not in contexts:
        document["@context"] = [*contexts, DATA_INTEGRITY]
    if status is not None:
        if "credentialStatus" in document:
            raise InvalidParameter("the credential brings a status of its own")
        document["credentialStatus"] = dict(status)
    vcdm.require_credential(document)
    dataset(document)
    return document


def secure_credential(
    document: Mapping[str, object], options: Options, keys: Sequence[SigningKey], *, now: datetime
) -> dict[str, object]:
    """Return the credential signed by the key that its `issuer` names.

    Raises: WrongIssuer when that is none of `keys`, WrongKey when the suite is not for it, BadProof, DataLoss.
    """
    issuer = vcdm.issuer_of(document)
    found = [key for key in keys if did_key(key.public) == issuer]
    if not found:
        raise WrongIssuer("issuer is not a DID of this service")
    key, method = found[0], verification_method(issuer)
    suite = options.cryptosuite or _DEFAULT_SUITES[key.public.kind]
    if suite == VC_JWT:
        token = secure(document, key, envelope=VC_JWT, verification_method=method)
        return enveloped(token, VC_JWT)
    if options.mandatory_pointers is not None:
        if suite != "ecdsa-sd-2023":
            raise BadProof("mandatoryPointers belong to ecdsa-sd-2023")
        from did_agent.proof.selective import SelectiveDisclosure

        chosen = SelectiveDisclosure(mandatory_pointers=options.mandatory_pointers)
        return add_proof(
            document, key, purpose="assertionMethod", created=now, verification_method=method, cryptosuite=chosen
        )
    return add_proof(
        document, key, purpose="assertionMethod", created=now, verification_method=method, cryptosuite=suite
    )


def name_of(document: Mapping[str, object], options: Options) -> str:
    """Return under which name a credential is kept: the one asked for, its own id, or a fresh one."""
    own = document.get("id")
    return options.credential_id or (own if isinstance(own, str) else new_id())


def _text(value: Mapping[str, object], name: str) -> str | None:
    found = value.get(name)
    if found is not None and (not isinstance(found, str) or not 0 < len(found) <= 256):
        raise InvalidParameter(f"{name} is not a string of 1 to 256 characters")
    return found
