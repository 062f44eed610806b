"""What every signature key can do, whatever its curve; suites and JOSE know keys by these two Protocols."""

from __future__ import annotations

from typing import Final, Literal, Protocol

KeyKind = Literal["Ed25519", "P-256", "P-384", "RSA"]

# The `alg` values each kind signs with.  The key decides, the header only has to agree (TOK-01); Ed25519 has two
# names for one thing (RFC 9864).
ALGORITHMS: Final[dict[KeyKind, tuple[str, ...]]] = {
    "Ed25519": ("EdDSA", "Ed25519"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "RSA": ("RS256",),  # access tokens alone, for resources that know nothing newer
}


class PublicKey(Protocol):
    """A public key that was validated when it was made (TOK-13)."""

    @property
    def kind(self) -> KeyKind:
        """Curve of the key, or RSA."""

    @property
    def raw(self) -> bytes:
        """32 bytes of Ed25519, the compressed point of an EC key, or the DER of an RSA key (PKCS #1)."""

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return if `signature` is this key's over `message`.

        Raises: BadSignature.
        """


class SigningKey(Protocol):
    """A private key; it never shows itself."""

    @property
    def public(self) -> PublicKey:
        """The public half."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature: 64 bytes for Ed25519, fixed-size r and s for ECDSA (IEEE P1363)."""
