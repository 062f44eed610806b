"""Public and private keys as JSON Web Keys (RFC 7517, 7518, 8037) and their thumbprints (RFC 7638)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from did_agent.encoding import base64url
from did_agent.encoding.digest import sha256
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import BadEncoding, BadKey
from did_agent.keys import ed25519
from did_agent.keys.multikey import secret_bytes, signing_key, x25519_key
from did_agent.keys.public import ALGORITHMS, KeyKind, PublicKey, SigningKey

PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_KINDS: Final[dict[tuple[object, object], KeyKind]] = {
    ("OKP", "Ed25519"): "Ed25519",
    ("EC", "P-256"): "P-256",
    ("EC", "P-384"): "P-384",
}


def public_jwk(key: PublicKey, kid: str | None = None) -> dict[str, object]:
    """Return the public JWK, for JWKS with `kid`, `use` and `alg`."""
    jwk: dict[str, object]
    if key.kind == "Ed25519":
        jwk = {"kty": "OKP", "crv": key.kind, "x": base64url.encode(key.raw)}
    elif key.kind == "RSA":
        from did_agent.keys import rsa

        modulus, exponent = rsa.PublicKey.from_bytes(key.raw).numbers
        jwk = {"kty": "RSA", "n": base64url.encode(modulus), "e": base64url.encode(exponent)}
    else:
        x, y = _ec_point(key)
        jwk = {"kty": "EC", "crv": key.kind, "x": base64url.encode(x), "y": base64url.encode(y)}
    return jwk if kid is None else {**jwk, "kid": kid, "use": "sig", "alg": ALGORITHMS[key.kind][0]}


def parse_public_jwk(jwk: object, *, rsa_too: bool = False) -> PublicKey:
    """Return the key of a public Ed25519, P-256 or P-384 JWK; of RSA only where `rsa_too` says so.

    Raises: BadKey, also when a private member is there or the record says another `alg` or `use` (TOK-01).
    """
    if not isinstance(jwk, Mapping) or PRIVATE_MEMBERS & jwk.keys():
        raise BadKey("not a public JWK")
    kind: KeyKind = "RSA" if rsa_too and jwk.get("kty") == "RSA" else _kind(jwk)
    if jwk.get("alg", ALGORITHMS[kind][0]) not in ALGORITHMS[kind] or jwk.get("use", "sig") != "sig":
        raise BadKey("the JWK is for another algorithm or use")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise BadKey("the JWK is not for verifying signatures")
    if kind == "Ed25519":
        return ed25519.PublicKey.from_bytes(_member(jwk, "x"))
    if kind == "RSA":
        from did_agent.keys import rsa

        return rsa.PublicKey.from_numbers(_member(jwk, "n"), _member(jwk, "e"))
    from did_agent.keys import ecdsa

    return ecdsa.PublicKey.from_point(kind, _member(jwk, "x"), _member(jwk, "y"))


def require_agreement_jwk(jwk: object) -> None:
    """Return if the JWK is a public key that two parties can agree on a secret with: X25519, P-256 or P-384.

    Raises: BadKey.
    """
    if not isinstance(jwk, Mapping) or PRIVATE_MEMBERS & jwk.keys() or jwk.get("use", "enc") != "enc":
        raise BadKey("not a public JWK for key agreement")
    if (jwk.get("kty"), jwk.get("crv")) == ("OKP", "X25519"):
        x25519_key(_member(jwk, "x"))
    elif jwk.get("kty") == "EC":
        parse_public_jwk({name: jwk.get(name) for name in ("kty", "crv", "x", "y")})
    else:
        raise BadKey("no key agreement with this kind of key")


def thumbprint(key: PublicKey) -> str:
    """Return the RFC 7638 SHA-256 thumbprint of the key."""
    return base64url.encode(sha256(canonicalize(public_jwk(key))))


def private_jwk(key: SigningKey) -> dict[str, object]:
    """Return the private JWK, for key stores alone."""
    return {**public_jwk(key.public), "d": base64url.encode(secret_bytes(key))}


def parse_private_jwk(jwk: object) -> SigningKey:
    """Return the signing key of a private JWK.

    Raises: BadKey, also when the public members are not the public half of `d`.
    """
    if not isinstance(jwk, Mapping):
        raise BadKey("not a JWK")
    key = signing_key(_kind(jwk), _member(jwk, "d"))
    if public_jwk(key.public) != {name: jwk.get(name) for name in public_jwk(key.public)}:
        raise BadKey("the halves of the JWK do not belong together")
    return key


def _kind(jwk: Mapping[object, object]) -> KeyKind:
    kty, crv = jwk.get("kty"), jwk.get("crv")
    if not isinstance(kty, str) or not isinstance(crv, str) or (kty, crv) not in _KINDS:
        raise BadKey("not a JWK of Ed25519, P-256 or P-384")
    return _KINDS[kty, crv]


def _ec_point(key: PublicKey) -> tuple[bytes, bytes]:
    from did_agent.keys import ecdsa

    return ecdsa.PublicKey.from_bytes(key.kind, key.raw).point


def _member(jwk: Mapping[object, object], name: str) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise BadKey(f"the JWK lacks {name}")
    try:
        return base64url.decode(value)
    except BadEncoding as error:
        raise BadKey(f"{name} is not base64url") from error
