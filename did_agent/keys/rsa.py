"""RSA signatures as JOSE's RS256 has them (RFC 7518, 3.3; PKCS #1 v1.5 with SHA-256), for access tokens alone.

Ours are made with 3,072 bits; from others 2,048 to 4,096 are taken, with the one public exponent everybody uses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from did_agent.errors import BadKey, BadSignature
from did_agent.keys.public import KeyKind

BITS: Final = 3_072
MIN_BITS: Final = 2_048
MAX_BITS: Final = 4_096  # verifying costs more with each
EXPONENT: Final = 65_537


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A modulus; made by `from_numbers` and `from_bytes` only."""

    raw: bytes  # DER of RSAPublicKey (RFC 8017, A.1.1)
    numbers: tuple[bytes, bytes]  # modulus and exponent, big-endian and as short as can be
    _key: rsa.RSAPublicKey = field(repr=False, compare=False)
    kind: KeyKind = "RSA"

    @classmethod
    def from_numbers(cls, modulus: bytes, exponent: bytes) -> PublicKey:
        """Return the key of a modulus and an exponent without leading zeros (RFC 7518, 6.3.1).

        Raises: BadKey for another length, another exponent, or a modulus that cannot be one.
        """
        if modulus[:1] == b"\0" or exponent != EXPONENT.to_bytes(3, "big"):
            raise BadKey("not an RSA key with the exponent 65537")
        number = int.from_bytes(modulus, "big")
        if not MIN_BITS <= number.bit_length() <= MAX_BITS:
            raise BadKey(f"an RSA key has {MIN_BITS} to {MAX_BITS} bits")
        if number % 2 == 0 or any(number % prime == 0 for prime in _SMALL_PRIMES):
            raise BadKey("the modulus has a small factor")
        try:
            key = rsa.RSAPublicNumbers(EXPONENT, number).public_key()
        except ValueError as error:
            raise BadKey("not an RSA key") from error
        raw = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
        return cls(raw, (modulus, exponent), key)

    @classmethod
    def from_bytes(cls, raw: bytes) -> PublicKey:
        """Return the key that `raw` of another one describes.

        Raises: BadKey.
        """
        # SEQUENCE { INTEGER modulus, INTEGER exponent }, each as DER demands.
        modulus, rest = _integer(_content(raw, 0x30))
        exponent, rest = _integer(rest)
        key = cls.from_numbers(modulus, exponent)
        if rest or key.raw != raw:
            raise BadKey("not the DER of an RSA key")
        return key

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return if `signature` is this key's over `message`.

        Raises: BadSignature.
        """
        try:
            self._key.verify(signature, message, padding.PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError) as error:
            raise BadSignature("the RSA signature does not verify") from error


class SigningKey:
    """A private RSA key; shows nothing of itself when printed."""

    __slots__ = ("_key", "public")

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        numbers = key.public_key().public_numbers()
        modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
        exponent = numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")
        self.public: Final = PublicKey.from_numbers(modulus, exponent)

    @classmethod
    def generate(cls) -> SigningKey:
        """Return a fresh key; this takes a good part of a second."""
        return cls(rsa.generate_private_key(EXPONENT, BITS))

    @classmethod
    def from_secret(cls, secret: bytes) -> SigningKey:
        """Return the key of its PKCS #8 DER.

        Raises: BadKey.
        """
        try:
            key = load_der_private_key(secret, None)
        except (ValueError, TypeError) as error:
            raise BadKey("not a private RSA key") from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise BadKey("not a private RSA key")
        return cls(key)

    def secret(self) -> bytes:
        """Return the PKCS #8 DER, for key stores alone."""
        return self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message`, as long as the modulus."""
        return self._key.sign(message, padding.PKCS1v15(), SHA256())

    def __repr__(self) -> str:
        return "SigningKey(…)"

    def __reduce__(self) -> str:
        raise TypeError("a signing key is not pickled")


_SMALL_PRIMES: Final = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97)


def _content(raw: bytes, tag: int) -> bytes:
    content, rest = _element(raw, tag)
    if rest:
        raise BadKey("not the DER of an RSA key")
    return content


def _integer(raw: bytes) -> tuple[bytes, bytes]:
    content, rest = _element(raw, 0x02)
    return content.lstrip(b"\0"), rest


def _element(raw: bytes, tag: int) -> tuple[bytes, bytes]:
    if len(raw) < 2 or raw[0] != tag:
        raise BadKey("not the DER of an RSA key")
    size, start = raw[1], 2
    if size >= 0x80:
        start += size - 0x80
        size = int.from_bytes(raw[2:start], "big")
    if start > 6 or len(raw) < start + size:
        raise BadKey("not the DER of an RSA key")
    return raw[start : start + size], raw[start + size :]
