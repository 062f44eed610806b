"""Multikey: keys as multibase text with their kind in front (Controlled Identifiers 1.0, 2.2.2)."""

from __future__ import annotations

from typing import Final

from did_agent.encoding import multibase
from did_agent.errors import BadEncoding, BadKey
from did_agent.keys import ed25519
from did_agent.keys.public import KeyKind, PublicKey, SigningKey

# `keys.ecdsa` is imported where it is used: most verifications meet Ed25519 alone, and its library loads slowly.
_PUBLIC: Final[dict[bytes, KeyKind]] = {b"\xed\x01": "Ed25519", b"\x80\x24": "P-256", b"\x81\x24": "P-384"}
_SECRET: Final[dict[bytes, KeyKind]] = {b"\x80\x26": "Ed25519", b"\x86\x26": "P-256", b"\x87\x26": "P-384"}
_X25519_PUBLIC: Final = b"\xec\x01"
_PREFIX: Final = 2  # bytes of each of these multicodec varints
_FIELD: Final = 2**255 - 19
# u of the points of small order on Curve25519 and its twist, reduced; agreement with them yields a known secret.
_SMALL_ORDER: Final = frozenset(
    {
        0,
        1,
        _FIELD - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)
_LENGTHS: Final[dict[KeyKind, int]] = {"Ed25519": 32, "P-256": 33, "P-384": 49}


def multikey_bytes(key: PublicKey) -> bytes:
    """Return the multicodec prefix and the key, as in a Multikey before its multibase."""
    return _prefix_of(_PUBLIC, key.kind) + key.raw


def encode_multikey(key: PublicKey) -> str:
    """Return `publicKeyMultibase`, base58btc."""
    return multibase.encode_base58btc(multikey_bytes(key))


def parse_multikey(text: str) -> PublicKey:
    """Return the key of a `publicKeyMultibase`; base58btc alone, in its one canonical text.

    Raises: BadKey, with `UNSUPPORTED_TYPE` or `WRONG_LENGTH` as detail where it is that.
    """
    raw = _decode(text)
    kind = _PUBLIC.get(raw[:_PREFIX])
    if kind is None:
        raise BadKey(UNSUPPORTED_TYPE)
    if len(raw) != _PREFIX + _LENGTHS[kind]:
        raise BadKey(WRONG_LENGTH)
    return public_key(kind, raw[_PREFIX:])


def parse_multikey_bytes(raw: bytes) -> PublicKey:
    """Return the key behind multicodec bytes.

    Raises: BadKey.
    """
    kind = _PUBLIC.get(raw[:_PREFIX])
    if kind is None or len(raw) != _PREFIX + _LENGTHS[kind]:
        raise BadKey(UNSUPPORTED_TYPE if kind is None else WRONG_LENGTH)
    return public_key(kind, raw[_PREFIX:])


def parse_ed25519_base58(text: str) -> PublicKey:
    """Return the key of a `publicKeyBase58` of Ed25519VerificationKey2018: 32 bytes without a prefix.

    Raises: BadKey.
    """
    return public_key("Ed25519", _decode("z" + text))


def public_key(kind: KeyKind, raw: bytes) -> PublicKey:
    """Return the validated key of one kind.

    Raises: BadKey.
    """
    if kind == "Ed25519":
        return ed25519.PublicKey.from_bytes(raw)
    from did_agent.keys import ecdsa

    return ecdsa.PublicKey.from_bytes(kind, raw)


def signing_key(kind: KeyKind, secret: bytes) -> SigningKey:
    """Return the signing key of one kind from its secret bytes.

    Raises: BadKey.
    """
    if kind == "Ed25519":
        return ed25519.SigningKey.from_seed(secret)
    from did_agent.keys import ecdsa

    return ecdsa.SigningKey(kind, secret)


def generate_key(kind: KeyKind) -> SigningKey:
    """Return a fresh key of one kind."""
    if kind == "Ed25519":
        return ed25519.SigningKey.generate()
    from did_agent.keys import ecdsa

    return ecdsa.SigningKey.generate(kind)


def secret_bytes(key: SigningKey) -> bytes:
    """Return the secret of a key that may show it, for key stores alone.

    Raises: BadKey for a key whose secret cannot leave its place.
    """
    if isinstance(key, ed25519.SigningKey):
        return key.seed()
    from did_agent.keys import ecdsa

    if isinstance(key, ecdsa.SigningKey):
        return key.secret()
    raise BadKey("this key does not show its secret")


def encode_secret_multikey(key: SigningKey) -> str:
    """Return `secretKeyMultibase`; treat it as the secret it is."""
    return multibase.encode_base58btc(_prefix_of(_SECRET, key.public.kind) + secret_bytes(key))


def parse_secret_multikey(text: str) -> SigningKey:
    """Return the signing key of a `secretKeyMultibase`.

    Raises: BadKey.
    """
    raw = _decode(text)
    kind = _SECRET.get(raw[:_PREFIX])
    if kind is None:
        raise BadKey(UNSUPPORTED_TYPE)
    return signing_key(kind, raw[_PREFIX:])


def encode_x25519(raw: bytes) -> str:
    """Return the Multikey of an X25519 public key, which agrees on keys and never signs."""
    return multibase.encode_base58btc(_X25519_PUBLIC + raw)


def parse_x25519(text: str) -> bytes:
    """Return the 32 bytes of an X25519 Multikey.

    Raises: BadKey.
    """
    raw = _decode(text)
    if not raw.startswith(_X25519_PUBLIC):
        raise BadKey(UNSUPPORTED_TYPE)
    return x25519_key(raw[_PREFIX:])


def x25519_key(raw: bytes) -> bytes:
    """Return the 32 bytes of an X25519 public key if they are one.

    Raises: BadKey.
    """
    if len(raw) != ed25519.KEY_BYTES:
        raise BadKey(WRONG_LENGTH)
    # RFC 7748 masks the highest bit and reduces: without this one key had several texts (VCX-12).
    coordinate = int.from_bytes(raw, "little")
    if coordinate >= _FIELD or coordinate in _SMALL_ORDER:
        raise BadKey("the X25519 key is not canonical or of small order")
    return raw


def is_x25519(text: str) -> bool:
    """Say whether a Multikey names an X25519 key, valid or not.

    Raises: BadKey when it is no Multikey.
    """
    return _decode(text).startswith(_X25519_PUBLIC)


UNSUPPORTED_TYPE: Final = "a key type that is not supported"
WRONG_LENGTH: Final = "a key of the wrong length"


def _decode(text: str) -> bytes:
    try:
        if not text.startswith("z"):
            raise BadKey("a Multikey is base58btc")
        return multibase.decode(text)
    except BadEncoding as error:
        raise BadKey("the Multikey is not canonical base58btc") from error


def _prefix_of(table: dict[bytes, KeyKind], kind: KeyKind) -> bytes:
    return next(prefix for prefix, named in table.items() if named == kind)
