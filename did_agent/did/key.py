"""did:key for Ed25519 (CCG did:key, November 2025): one key, one identifier, one text form."""

from __future__ import annotations

from typing import Final

from did_agent.encoding import multibase
from did_agent.errors import BadDID, BadEncoding, BadKey
from did_agent.keys.ed25519 import PublicKey

PREFIX: Final = "did:key:"
MAX_CHARS: Final = 256  # characters; checked before base58, which is quadratic (VCX-12)

_ED25519_PUBLIC: Final = b"\xed\x01"  # multicodec varint


def did_key(key: PublicKey) -> str:
    """Return the did:key of a public key."""
    return PREFIX + multibase.encode_base58btc(_ED25519_PUBLIC + key.raw)


def verification_method(did: str) -> str:
    """Return the DID URL of the only verification method of a did:key: its fragment repeats the identifier."""
    return f"{did}#{did.removeprefix(PREFIX)}"


def parse_did_key(did: object) -> PublicKey:
    """Return the key that a did:key names; only the canonical text is accepted (VCX-12).

    Raises: BadDID.
    """
    if not isinstance(did, str) or len(did) > MAX_CHARS or not did.startswith(PREFIX + "z"):
        raise BadDID("not a did:key")
    try:
        raw = multibase.decode(did.removeprefix(PREFIX))
        if not raw.startswith(_ED25519_PUBLIC):
            raise BadDID("a did:key of a key type that is not supported")
        return PublicKey.from_bytes(raw[len(_ED25519_PUBLIC) :])
    except (BadEncoding, BadKey) as error:
        raise BadDID("the did:key does not hold a valid Ed25519 key") from error
