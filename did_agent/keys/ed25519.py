"""Ed25519 (RFC 8032) by libsodium; the only module that imports PyNaCl.

libsodium refuses small-order points and non-canonical encodings, which other libraries accept (TOK-13).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from nacl.bindings import crypto_core_ed25519_is_valid_point, crypto_sign_ed25519_pk_to_curve25519, crypto_sign_open
from nacl.exceptions import CryptoError
from nacl.signing import SigningKey as _SigningKey

from did_agent.errors import BadKey, BadSignature

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that is a valid point of the prime-order group; made by `from_bytes` only."""

    kind: ClassVar[Literal["Ed25519"]] = "Ed25519"
    raw: bytes

    @classmethod
    def from_bytes(cls, raw: bytes) -> PublicKey:
        """Return the key of 32 bytes.

        Raises: BadKey for a wrong length, a point off the curve, of small order, or not canonical.
        """
        if len(raw) != KEY_BYTES or not crypto_core_ed25519_is_valid_point(raw):
            raise BadKey("not a valid Ed25519 public key")
        return cls(raw)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return if `signature` is this key's over `message`.

        Raises: BadSignature.
        """
        if len(signature) != SIGNATURE_BYTES:
            raise BadSignature("an Ed25519 signature has 64 bytes")
        try:
            crypto_sign_open(signature + message, self.raw)
        except (CryptoError, ValueError, TypeError) as error:
            raise BadSignature("the Ed25519 signature does not verify") from error


def to_x25519(key: PublicKey) -> bytes:
    """Return the X25519 public key that belongs to an Ed25519 one (RFC 7748, the birational map)."""
    return crypto_sign_ed25519_pk_to_curve25519(key.raw)


class SigningKey:
    """A private key; shows nothing of itself when printed."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != KEY_BYTES:
            raise BadKey("an Ed25519 seed has 32 bytes")
        self._key = _SigningKey(seed)
        self.public: Final = PublicKey(bytes(self._key.verify_key))

    @classmethod
    def generate(cls) -> SigningKey:
        """Return a fresh key from the operating system's randomness."""
        return cls(bytes(_SigningKey.generate()))

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """Return the key of a 32-byte seed.

        Raises: BadKey.
        """
        return cls(seed)

    def seed(self) -> bytes:
        """Return the secret seed, for key stores alone."""
        return bytes(self._key)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over `message`."""
        return self._key.sign(message).signature

    def __repr__(self) -> str:
        return "SigningKey(…)"

    def __reduce__(self) -> str:
        raise TypeError("a signing key is not pickled")
