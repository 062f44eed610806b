"""What every target stands on: which refusals are ours, what they may cost, and keys and times that do not change."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar, Final

from did_agent.encoding import base64url
from did_agent.errors import DidAgentError
from did_agent.keys import multikey
from did_agent.keys.public import SigningKey
from did_agent.proof.cryptosuite import CRYPTOSUITES
from did_agent.proof.data_integrity import verify_proof
from did_agent.proof.jwt import JWTProfile

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
