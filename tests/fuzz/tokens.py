"""Targets: what travels as a compact token, signed here where a signature would end every attempt."""

from __future__ import annotations

import zlib

from did_agent.credential import token_status
from did_agent.credential.sd_jwt_vc import verify_sd_jwt_vc
from did_agent.encoding import base64url
from did_agent.encoding.strict_json import parse_object
from did_agent.proof.jose import parse_compact
from did_agent.proof.jwt import verify_jwt
from did_agent.proof.sd_jwt import disclosable_places, select_disclosures
from did_agent.proof.vc_jose import verify_secured
from did_agent.proof.vc_jwt import verify_vc_jwt
from tests.fakes import sd_jwts
from tests.fakes.credentials import (
    ISSUER,
    REVOCATION_URL,
)
from tests.fuzz.oracle import (
    NOW,
    PROFILE,
    as_compact,
    decode_all,
    refusals,
)


def compact_jws(raw: bytes) -> None:
    token = _token(raw)
    for names_did in (False, True):
        with refusals:
            parse_compact(token, names_did=names_did)
    with refusals:
        verify_jwt(
            token,
            PROFILE,
            find_key=lambda _header, _claims: ISSUER.public,
            expected_issuer=None,
            expected_audience=frozenset({"a"}),
            now=NOW,
        )
    for envelope in ("vc+jwt", "vp+jwt"):
        with refusals:
            verify_secured(token, envelope=envelope, now=NOW)
    for claim in ("vc", "vp"):
        with refusals:
            verify_vc_jwt(token, claim=claim, now=NOW)


def sd_jwt(raw: bytes) -> None:
    text = _sd_jwt(raw)
    for binding in (sd_jwts.UNBOUND, sd_jwts.BINDING):
        with refusals:
            sd_jwts.verify(text, binding)
        with refusals:
            verify_sd_jwt_vc(
                text, expected_vct=frozenset({"https://types.example/1"}), key_binding=binding, now=sd_jwts.NOW
            )
    with refusals:
        select_disclosures(text, disclose=sorted(disclosable_places(text)))


def token_status_list(raw: bytes) -> None:
    decode_all(raw, token_status.decode_statuses, token_status.encode_statuses, zlib.compress, "")
    with refusals:
        token_status.verify_status_list_token(
            _token(raw),
            expected_uri=REVOCATION_URL,
            expected_issuer=None,
            find_key=lambda _header, _claims: ISSUER.public,
            fetched_at=NOW,
            now=NOW,
        )
    with refusals:
        reference = token_status.parse_reference(parse_object(raw))
        assert reference is None or token_status.parse_reference({"status": reference.to_json()}) == reference


def _token(raw: bytes) -> str:
    """Return the token in `raw`; two lines are header and payload, signed here."""
    if b"\n" not in raw:
        return raw.decode("latin-1")
    return as_compact(*raw.split(b"\n", 1), ISSUER)


def _sd_jwt(raw: bytes) -> str:
    """Return the SD-JWT in `raw`; lines are header, payload and disclosures, where `$2` is the digest of the second.

    A last line that begins with `!` holds the claims of the key binding.
    """
    if b"\n" not in raw:
        return raw.decode("latin-1")
    header, *lines = raw.split(b"\n")[:20]
    bound = lines.pop()[1:] if lines[-1][:1] == b"!" else None
    disclosures: list[str] = []
    for number in range(len(lines) - 1, 0, -1):  # a digest can only be of what comes later
        text = base64url.encode(lines[number])
        disclosures.insert(0, text)
        digest = sd_jwts.digest(text).encode()
        lines[:number] = [line.replace(b"$%d" % number, digest) for line in lines[:number]]
    issued = _token(header + b"\n" + (lines[0] if lines else b""))
    presented = "~".join([issued, *disclosures, ""])
    if bound is None:
        return presented
    bound = bound.replace(b"$hash", sd_jwts.digest(presented).encode())
    return presented + as_compact(b'{"alg":"EdDSA","typ":"kb+jwt"}', bound, sd_jwts.HOLDER)
