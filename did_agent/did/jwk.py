"""did:jwk: a DID that is its own JSON Web Key, base64url of its JSON (did:jwk method)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from did_agent.did.document import RELATIONSHIPS, SIGNATURE_RELATIONSHIPS, DIDDocument, parse_did_document
from did_agent.encoding import base64url
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import BadDID, BadEncoding, BadKey, Malformed
from did_agent.keys.jwk import parse_public_jwk, public_jwk, require_agreement_jwk
from did_agent.keys.public import PublicKey

PREFIX: Final = "did:jwk:"
MAX_CHARS: Final = 2_048  # characters of the identifier

_CONTEXT: Final = ["https://www.w3.org/ns/did/v1.1"]


def did_jwk(key: PublicKey) -> str:
    """Return the did:jwk of a public key, its JWK in canonical form."""
    return PREFIX + base64url.encode(canonicalize(public_jwk(key)))


def did_jwk_document(did: str) -> DIDDocument:
    """Return the document of a did:jwk: one method `#0`, for what its key can do and its `use` allows.

    The identifier is over the bytes as given: another spelling of the same key is another DID.
    Raises: BadDID.
    """
    if len(did) > MAX_CHARS or not did.startswith(PREFIX):
        raise BadDID("not a did:jwk")
    try:
        jwk = parse_object(base64url.decode(did.removeprefix(PREFIX)), max_bytes=MAX_CHARS)
    except (BadEncoding, Malformed) as error:
        raise BadDID("the did:jwk is not base64url of strict JSON") from error
    method_id = f"{did}#0"
    try:
        relationships = _relationships(jwk)
    except BadKey as error:
        raise BadDID(f"the did:jwk does not hold a valid public key: {error.detail}") from error
    source: dict[str, object] = {
        "@context": list(_CONTEXT),
        "id": did,
        "verificationMethod": [{"id": method_id, "type": "JsonWebKey", "controller": did, "publicKeyJwk": jwk}],
        **{relationship: [method_id] for relationship in relationships},
    }
    return parse_did_document(source, expected_id=did)


def _relationships(jwk: Mapping[str, object]) -> tuple[str, ...]:
    """Return what the key may be used for; one for agreement alone signs nothing.

    Raises: BadKey.
    """
    if jwk.get("use") == "enc" or jwk.get("crv") == "X25519":
        require_agreement_jwk(jwk)
        return ("keyAgreement",)
    curve = parse_public_jwk(jwk).kind
    return SIGNATURE_RELATIONSHIPS if curve == "Ed25519" or "use" in jwk else RELATIONSHIPS
