"""ECDSA on P-256 and P-384 (FIPS 186-5), signatures as r and s; the only module that imports `cryptography`.

An ECDSA signature has a twin that verifies as well (r, n-s): never use one as an identifier (TOK-14).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from did_agent.errors import BadKey, BadSignature
from did_agent.keys.public import KeyKind

_CURVES: Final[dict[KeyKind, Any]] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}
_HASHES: Final[dict[KeyKind, Any]] = {"P-256": SHA256(), "P-384": SHA384()}
FIELD_BYTES: Final[dict[KeyKind, int]] = {"P-256": 32, "P-384": 48}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A point on its curve; made by `from_bytes` and `from_point` only."""

    kind: KeyKind
    raw: bytes  # compressed SEC1 point
    _key: ec.EllipticCurvePublicKey = field(repr=False, compare=False)

    @classmethod
    def from_bytes(cls, kind: KeyKind, raw: bytes) -> PublicKey:
        """Return the key of a compressed point.

        Raises: BadKey for a wrong length, an uncompressed or hybrid form, or a point that is not on the curve.
        """
        if kind not in _CURVES or len(raw) != FIELD_BYTES[kind] + 1 or raw[0] not in (2, 3):
            raise BadKey("not a compressed EC public key")
        try:
            key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[kind], raw)
        except ValueError as error:
            raise BadKey(f"not a point of {kind}") from error
        return cls(kind, raw, key)

    @classmethod
    def from_point(cls, kind: KeyKind, x: bytes, y: bytes) -> PublicKey:
        """Return the key of two coordinates of full length.

        Raises: BadKey.
        """
        size = FIELD_BYTES.get(kind)
        if size is None or len(x) != size or len(y) != size:
            raise BadKey("coordinates of an EC key have the length of its field")
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[kind], b"\x04" + x + y)
        except ValueError as error:
            raise BadKey(f"not a point of {kind}") from error
        return cls.from_bytes(kind, bytes([2 + (y[-1] & 1)]) + x)

    @property
    def point(self) -> tuple[bytes, bytes]:
        """The two coordinates, each as long as the field."""
        encoded = self._key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        size = FIELD_BYTES[self.kind]
        return encoded[1 : size + 1], encoded[size + 1 :]

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return if `signature` (r and s) is this key's over `message`, hashed as the curve demands.

        Raises: BadSignature.
        """
        size = FIELD_BYTES[self.kind]
        if len(signature) != 2 * size:
            raise BadSignature(f"a signature of {self.kind} has {2 * size} bytes")
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        try:
            self._key.verify(encode_dss_signature(r, s), message, ec.ECDSA(_HASHES[self.kind]))
        except (InvalidSignature, ValueError) as error:
            raise BadSignature(f"the {self.kind} signature does not verify") from error


class SigningKey:
    """A private EC key; shows nothing of itself when printed."""

    __slots__ = ("_key", "public")

    def __init__(self, kind: KeyKind, secret: bytes) -> None:
        if kind not in _CURVES or len(secret) != FIELD_BYTES[kind]:
            raise BadKey("an EC secret has the length of its field")
        try:
            self._key = ec.derive_private_key(int.from_bytes(secret, "big"), _CURVES[kind])
        except ValueError as error:
            raise BadKey(f"not a secret of {kind}") from error
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self.public: Final = PublicKey.from_bytes(kind, point)

    @classmethod
    def generate(cls, kind: KeyKind = "P-256") -> SigningKey:
        """Return a fresh key from the operating system's randomness.

        Raises: BadKey for a kind that is no EC curve.
        """
        if kind not in _CURVES:
            raise BadKey(f"{kind} is not an EC curve")
        number = ec.generate_private_key(_CURVES[kind]).private_numbers().private_value
        return cls(kind, number.to_bytes(FIELD_BYTES[kind], "big"))

    def secret(self) -> bytes:
        """Return the secret number, for key stores alone."""
        return self._key.private_numbers().private_value.to_bytes(FIELD_BYTES[self.public.kind], "big")

    def sign(self, message: bytes) -> bytes:
        """Return r and s over `message`; deterministic (RFC 6979), so that no weak nonce can leak the key."""
        hashed = _HASHES[self.public.kind]
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(hashed, deterministic_signing=True)))
        size = FIELD_BYTES[self.public.kind]
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def __repr__(self) -> str:
        return "SigningKey(…)"

    def __reduce__(self) -> str:
        raise TypeError("a signing key is not pickled")
