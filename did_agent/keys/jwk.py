"""Ed25519 keys as JSON Web Keys (RFC 7517, RFC 8037) and their thumbprints (RFC 7638)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from did_agent.encoding import base64url
from did_agent.encoding.digest import sha256
from did_agent.errors import BadEncoding, BadKey
from did_agent.keys.ed25519 import PublicKey, SigningKey

PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# One key type under its two names (RFC 9864).  A tuple, since a set cannot be asked for a list, which `alg` may be.
ALGORITHMS: Final = ("EdDSA", "Ed25519")


def public_jwk(key: PublicKey, kid: str | None = None) -> dict[str, object]:
    """Return the public JWK, for JWKS with `kid`, `use` and `alg`."""
    jwk: dict[str, object] = {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(key.raw)}
    return jwk if kid is None else {**jwk, "kid": kid, "use": "sig", "alg": "EdDSA"}


def parse_public_jwk(jwk: object) -> PublicKey:
    """Return the key of a public Ed25519 JWK.

    Raises: BadKey, also when a private member is there or the record says another `alg` or `use` (TOK-01).
    """
    if not isinstance(jwk, Mapping) or PRIVATE_MEMBERS & jwk.keys():
        raise BadKey("not a public JWK")
    if jwk.get("alg", "EdDSA") not in ALGORITHMS or jwk.get("use", "sig") != "sig":
        raise BadKey("the JWK is for another algorithm or use")
    return PublicKey.from_bytes(_member(jwk, "x"))


def thumbprint(key: PublicKey) -> str:
    """Return the RFC 7638 SHA-256 thumbprint of the key."""
    members = '{"crv":"Ed25519","kty":"OKP","x":"' + base64url.encode(key.raw) + '"}'
    return base64url.encode(sha256(members.encode("ascii")))


def private_jwk(key: SigningKey) -> dict[str, object]:
    """Return the private JWK, for key stores alone."""
    return {**public_jwk(key.public), "d": base64url.encode(key.seed())}


def parse_private_jwk(jwk: object) -> SigningKey:
    """Return the signing key of a private Ed25519 JWK.

    Raises: BadKey, also when `x` is not the public half of `d`.
    """
    if not isinstance(jwk, Mapping):
        raise BadKey("not a JWK")
    key = SigningKey.from_seed(_member(jwk, "d"))
    if key.public.raw != _member(jwk, "x"):
        raise BadKey("the halves of the JWK do not belong together")
    return key


def _member(jwk: Mapping[object, object], name: str) -> bytes:
    value = jwk.get(name)
    if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519" or not isinstance(value, str):
        raise BadKey("not an Ed25519 JWK")
    try:
        return base64url.decode(value)
    except BadEncoding as error:
        raise BadKey(f"{name} is not base64url") from error
