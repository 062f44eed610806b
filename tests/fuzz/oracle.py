"""What every target stands on: which refusals are ours, what they may cost, and keys and times that do not change."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar, Final

from did_agent.credential import bitstring, token_status, verification
from did_agent.credential.chain import verify_chain
from did_agent.credential.constraint import is_satisfied, parse_constraint, subsumes
from did_agent.credential.model import parse_capability_credential, parse_identity_credential
from did_agent.credential.moment import parse_moment
from did_agent.credential.sd_jwt_vc import verify_sd_jwt_vc
from did_agent.credential.status import parse_status_entries, verify_status_list
from did_agent.did import resolve as did_resolve
from did_agent.did.document import RELATIONSHIPS, SIGNATURE_RELATIONSHIPS, parse_did_document, split_method_id
from did_agent.did.key import did_key, verification_method
from did_agent.did.resolution import resolution_result
from did_agent.did.resolve import method_key, needs_fetching, resolve
from did_agent.did.web import did_web_url
from did_agent.encoding import base64url, cbor, jcs, multibase, rdf
from did_agent.encoding.jsonld import canonical, compiled
from did_agent.encoding.jsonld.active import UnsupportedError
from did_agent.encoding.rdfc import canonicalize as canonical_dataset
from did_agent.encoding.strict_json import parse_json, parse_object
from did_agent.encoding.timestamp import from_numeric_date, parse_timestamp
from did_agent.errors import DidAgentError
from did_agent.keys import jwk, multikey
from did_agent.keys.public import SigningKey
from did_agent.presentation.verification import ExpectedPresentation, prove
from did_agent.presentation.verify import ask
from did_agent.proof.cryptosuite import CRYPTOSUITES, find_suite
from did_agent.proof.data_integrity import add_proof, proof_methods, verify_proof, verify_proof_set
from did_agent.proof.jose import parse_compact
from did_agent.proof.jwt import JWTProfile, verify_jwt
from did_agent.proof.sd_jwt import disclosable_places, select_disclosures
from did_agent.proof.selective import derive
from did_agent.proof.selective_value import parse_base_value, parse_derived_value
from did_agent.proof.vc_jose import verify_secured
from did_agent.proof.vc_jwt import verify_vc_jwt
from tests.fakes import sd_jwts
from tests.fakes.credentials import (
    ALICE_DID,
    AUDIENCE,
    BOB,
    BOB_DID,
    ISSUER,
    ISSUER_DID,
    REVOCATION_URL,
    TRUSTED,
    expected,
)
from tests.fakes.presentations import CHALLENGE, JTI

MAX_SECONDS: Final = 0.25  # of processor time for any one input
NOW: Final = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DID_WEB: Final = "did:web:agents.example:a"
P256: Final = multikey.signing_key("P-256", b"\x07" * 32)
P384: Final = multikey.signing_key("P-384", b"\x07" * 48)
SUITES: Final = tuple(sorted(CRYPTOSUITES))
VERIFY_ONE: Final = partial(verify_proof, suites=SUITES)
PROFILE: Final = JWTProfile(
    name="test", types=frozenset({"at+jwt"}), required=frozenset({"exp", "jti"}), max_lifetime=600
)


class TooSlow(Exception):
    """An input cost more processor time than any input may."""


class Refusals:
    """A block that our own refusals end quietly; its time, without that of blocks inside it, counts when `measured`.

    A target asks several readers about one input: each of them may take MAX_SECONDS.
    """

    slowest = 0.0
    open: ClassVar[list[list[float]]] = []

    def __init__(self, *, measured: bool) -> None:
        self.measured = measured

    def __enter__(self) -> None:
        self.open.append([time.process_time(), 0.0])

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: object) -> bool:
        begun, inside = self.open.pop()
        whole = time.process_time() - begun
        if self.open:
            self.open[-1][1] += whole
        if self.measured:
            Refusals.slowest = max(Refusals.slowest, whole - inside)
        return kind is not None and issubclass(kind, DidAgentError)


refusals: Final = Refusals(measured=True)
unmeasured: Final = Refusals(measured=False)  # references, and what only our own side does


def as_text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="surrogateescape")


def as_compact(header: bytes, payload: bytes, key: SigningKey) -> str:
    signing_input = f"{base64url.encode(header)}.{base64url.encode(payload)}"
    return f"{signing_input}.{base64url.encode(key.sign(signing_input.encode()))}"


def decode_all(
    raw: bytes,
    decode: Callable[[object], bytes],
    encode: Callable[[bytes], str],
    compress: Callable[[bytes], bytes],
    prefix: str,
) -> None:
    """Decode `raw` as the text of a list, as compressed bytes, and as the bytes behind them."""
    for text in (as_text(raw), prefix + base64url.encode(raw)):
        with refusals:
            decode(text)
    assert decode(encode(raw)) == raw
    with refusals:
        decode(prefix + base64url.encode(compress(raw) + raw[:1]))
