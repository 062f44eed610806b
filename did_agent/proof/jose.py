"""Compact JWS (RFC 7515) with EdDSA (RFC 8037), ES256 and ES384 (RFC 7518), read strictly before it is believed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from did_agent.encoding import base64url
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import BadEncoding, BadJOSE, Malformed, TooLarge, WrongAlgorithm
from did_agent.keys.public import ALGORITHMS, PublicKey, SigningKey

MAX_TOKEN: Final = 16_384  # bytes
MAX_HEADER: Final = 2_048  # bytes of the JOSE header, decoded
MAX_HEADERS: Final = 256  # headers that are remembered as read

_PARTS: Final = 3  # header, payload and signature
_KID: Final = re.compile(r"[A-Za-z0-9._~:#/-]{1,128}")
_DID_URL: Final = re.compile(r"did:[A-Za-z0-9._~:#/?=&%-]{1,2000}")  # a did:jwk holds its whole key, twice
# Keys come from configuration or from the DID, never from the token (TOK-02); no extensions (TOK-04).
_FORBIDDEN: Final = frozenset({"jwk", "jku", "x5c", "x5u", "x5t", "x5t#S256", "crit", "b64", "zip", "enc"})
# A tuple, since a set cannot be asked for a list, which `alg` may be.
_NAMES: Final = tuple(name for names in ALGORITHMS.values() for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedJWS:
    """A compact JWS that could be read; nothing in it is believed yet."""

    header: Mapping[str, object]
    payload: bytes
    signing_input: bytes
    signature: bytes

    @property
    def type(self) -> str:
        """The `typ`, lower case and without `application/`; empty when absent (RFC 7515, 4.1.9)."""
        return str(self.header.get("typ", "")).lower().removeprefix("application/")


def parse_compact(
    token: str, *, max_bytes: int = MAX_TOKEN, names_did: bool = False, carries_key: bool = False
) -> UnverifiedJWS:
    """Return the parts of a compact JWS; with `names_did` its `kid` may be as long as a DID URL is.

    With `carries_key` the header may hold `jwk`, as DPoP proofs do and nothing else may.

    Raises: BadJOSE, TooLarge, WrongAlgorithm.
    """
    if len(token) > max_bytes:
        raise TooLarge(f"a token longer than {max_bytes} bytes")
    parts = token.split(".")
    if len(parts) != _PARTS or not all(parts):
        raise BadJOSE("not a compact JWS")
    head, body, tail = parts  # each is refused when it is decoded unless it is base64url to the last character
    header = _read_header(head, carries_key=True) if carries_key else _known_header(head)
    _require_kid(header, _DID_URL if names_did else _KID)
    try:
        payload, signature = base64url.decode(body), base64url.decode(tail)
    except BadEncoding as error:
        raise BadJOSE("a segment is not canonical base64url") from error
    return UnverifiedJWS(
        header=header, payload=payload, signing_input=f"{head}.{body}".encode("ascii"), signature=signature
    )


def verify_signature(jws: UnverifiedJWS, key: PublicKey) -> None:
    """Return if the JWS is signed by `key`; the key fixes the algorithm, the header only has to agree (TOK-01).

    Raises: WrongAlgorithm, BadSignature.
    """
    if jws.header.get("alg") not in ALGORITHMS[key.kind]:
        raise WrongAlgorithm(f"alg does not fit a key of {key.kind}")
    key.verify(jws.signing_input, jws.signature)


def sign_compact(header: Mapping[str, object], payload: Mapping[str, object], key: SigningKey) -> str:
    """Return the compact JWS of a payload; `alg` is set here and always fits the key."""
    protected = canonicalize({**header, "alg": ALGORITHMS[key.public.kind][0]})
    signing_input = f"{base64url.encode(protected)}.{base64url.encode(canonicalize(payload))}"
    return f"{signing_input}.{base64url.encode(key.sign(signing_input.encode('ascii')))}"


def _read_header(head: str, *, carries_key: bool = False) -> Mapping[str, object]:
    try:
        header = parse_object(base64url.decode(head), max_bytes=MAX_HEADER)
    except BadEncoding as error:
        raise BadJOSE("a segment is not canonical base64url") from error
    except Malformed as error:
        raise BadJOSE(f"the JOSE header is not strict JSON: {error.code}") from error
    _require_header(header, _FORBIDDEN - {"jwk"} if carries_key else _FORBIDDEN)
    return MappingProxyType(header)


# All tokens under one key have one header.
_known_header: Final = lru_cache(maxsize=MAX_HEADERS)(_read_header)


def _require_header(header: Mapping[str, object], forbidden: frozenset[str]) -> None:
    if forbidden & header.keys():
        raise BadJOSE("the JOSE header carries a key, a link or an extension")
    if header.get("alg") not in _NAMES:
        raise WrongAlgorithm(f"alg is not one of {', '.join(_NAMES)}")
    if not isinstance(header.get("typ", ""), str):
        raise BadJOSE("typ is not a string")


def _require_kid(header: Mapping[str, object], kids: re.Pattern[str]) -> None:
    kid = header.get("kid", "did:-")
    if not isinstance(kid, str) or not kids.fullmatch(kid):
        raise BadJOSE("kid is not an opaque identifier")
