"""What a stranger may send, one function per kind: our own refusals end quietly, everything else leaves the function.

A target takes bytes.  Where a signature would end every attempt at once, the target signs what it was given with an
honest key, so that what lies behind the signature is reached too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from did_agent.did import resolve as did_resolve
from tests.fuzz import documents, tokens, values
from tests.fuzz.oracle import MAX_SECONDS, Refusals, TooSlow

Target = Callable[[bytes], None]

TARGETS: Final[Mapping[str, Target]] = {
    target.__name__: target
    for target in (
        values.strict_json,
        values.canonical_json,
        values.multibase_text,
        values.cbor_item,
        values.timestamps,
        values.keys,
        values.did_url,
        values.did_document,
        tokens.compact_jws,
        tokens.sd_jwt,
        tokens.token_status_list,
        documents.nquads,
        documents.json_ld,
        documents.data_integrity,
        documents.bitstring_status_list,
        documents.capability_credential,
        documents.constraints,
        documents.credential,
        documents.presentation,
    )
}


def timed(name: str, raw: bytes) -> float:
    """Run a target on one input and return the seconds of its slowest reader, at best of three where that matters.

    Raises: TooSlow, and whatever left the target.
    """
    best = _run(name, raw)
    for _ in range(2):
        if best <= MAX_SECONDS:
            return best
        best = min(best, _run(name, raw))
    if best > MAX_SECONDS:
        raise TooSlow(f"{name}: {best * 1000:.0f} ms for {len(raw)} bytes")
    return best


def _run(name: str, raw: bytes) -> float:
    did_resolve._self_contained.cache_clear()  # a stranger's first visit is never cached
    Refusals.slowest = 0.0
    Refusals.open.clear()
    TARGETS[name](raw)
    return Refusals.slowest
