"""did:key (CCG did:key, November 2025): one key, one identifier, one text form."""

from __future__ import annotations

from typing import Final

from did_agent.did.document import SIGNATURE_RELATIONSHIPS, DIDDocument, VerificationMethod
from did_agent.encoding import multibase
from did_agent.errors import BadDID, BadEncoding, BadKey
from did_agent.keys import ed25519
from did_agent.keys.multikey import encode_multikey, encode_x25519, is_x25519, parse_multikey, parse_x25519
from did_agent.keys.public import PublicKey

PREFIX: Final = "did:key:"
MAX_CHARS: Final = 256  # characters; checked before base58, which is quadratic (VCX-12)
CONTEXT: Final = "https://www.w3.org/ns/did/v1.1"


def did_key(key: PublicKey) -> str:
    """Return the did:key of a public key."""
    return PREFIX + encode_multikey(key)


def verification_method(did: str) -> str:
    """Return the DID URL of the only signing method of a did:key: its fragment repeats the identifier."""
    return f"{did}#{did.removeprefix(PREFIX)}"


def parse_did_key(did: object) -> PublicKey:
    """Return the signing key that a did:key names; only the canonical text is accepted (VCX-12).

    Raises: BadDID.
    """
    try:
        return parse_multikey(_identifier(did))
    except BadKey as error:
        raise BadDID(f"the did:key does not hold a valid signing key: {error.detail}") from error


def did_key_document(did: str) -> DIDDocument:
    """Return the document that a did:key of a signing key stands for; its `source` is the short one, without agreement.

    Raises: BadDID.
    """
    method = VerificationMethod(id=verification_method(did), controller=did, key=parse_did_key(did))
    return DIDDocument(
        id=did,
        methods=(method,),
        relationships=tuple((relationship, (method.id,)) for relationship in SIGNATURE_RELATIONSHIPS),
        source=expand_did_key(did),
    )


def expand_did_key(did: object, *, key_agreement: bool = False) -> dict[str, object]:
    """Return the published form of a did:key document, also of an X25519 key, which agrees and never signs.

    With `key_agreement` an Ed25519 key brings the X25519 key derived from it.
    Raises: BadDID, BadKey with the reason when the text is well formed but its key is not.
    """
    text = _identifier(did)
    document: dict[str, object] = {"@context": [CONTEXT], "id": did}
    if is_x25519(text):
        parse_x25519(text)
        method_id, method = _multikey(str(did), text)
        return {**document, "verificationMethod": [method], "keyAgreement": [method_id]}
    key = parse_multikey(text)
    method_id, method = _multikey(str(did), text)
    document["verificationMethod"] = [method]
    document |= {relationship: [method_id] for relationship in SIGNATURE_RELATIONSHIPS}
    if key_agreement and isinstance(key, ed25519.PublicKey):
        agreement_id, agreement = _multikey(str(did), encode_x25519(ed25519.to_x25519(key)))
        document |= {"verificationMethod": [method, agreement], "keyAgreement": [agreement_id]}
    return document


def _multikey(did: str, text: str) -> tuple[str, dict[str, object]]:
    method_id = f"{did}#{text}"
    return method_id, {"id": method_id, "type": "Multikey", "controller": did, "publicKeyMultibase": text}


def _identifier(did: object) -> str:
    if not isinstance(did, str) or len(did) > MAX_CHARS or not did.startswith(PREFIX):
        raise BadDID("not a did:key")
    # An explicit version 1 says the same in other words, so it is refused: one key, one text (VCX-12).
    text = did.removeprefix(PREFIX)
    try:
        if not text.startswith("z"):
            raise BadDID("a did:key is base58btc")
        multibase.decode(text)
    except BadEncoding as error:
        raise BadDID("the did:key is not canonical base58btc") from error
    return text
