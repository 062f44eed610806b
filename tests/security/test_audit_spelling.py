"""One log, one spelling: what was rewritten without changing its meaning was changed all the same."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from did_agent.audit.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint
from did_agent.audit.event import AuditEvent
from did_agent.audit.export import export_checkpoint, export_row, verify_export
from did_agent.audit.merkle import leaf_hash, root_of
from did_agent.did.key import did_key
from did_agent.errors import BadLog
from did_agent.keys.ed25519 import SigningKey

KEY = SigningKey.from_seed(b"l" * 32)
ORIGIN = "ledger.example"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
EVENT = AuditEvent(
    id="urn:uuid:1",
    time=datetime(2026, 11, 23, 12, tzinfo=UTC),
    source=did_key(KEY.public),
    party="verifier",
    principal="smith",
    principal_kind="user",
    actors=("did:key:zA",),
    client_id="did:key:zA",
    action="tool.call",
    target="create_order",
    resource="https://mcp.example/mcp",
    argument_digest=None,
    decision="allow",
    reason="allowed",
    explanation="because",
    policy="intersection/1",
    credential_ids=(),
    token_id=None,
    evidence=None,
    request_id=None,
    details={},
)


def note(number: int) -> str:
    return sign_checkpoint(Checkpoint(origin=ORIGIN, size=number, root=leaf_hash(bytes([number]))), KEY)


def is_accepted(text: str) -> bool:
    try:
        verify_checkpoint(text, origin=ORIGIN, key=KEY.public)
    except BadLog:
        return False
    return True


@pytest.mark.req("AUD-03")
def test_no_single_bit_of_any_checkpoint_can_be_flipped() -> None:
    for number in range(1, 13):  # the last characters differ, and with them what a decoder would overlook
        honest = note(number)
        assert is_accepted(honest)
        raw = honest.encode()
        for place in range(len(raw)):
            for bit in range(8):
                flipped = raw[:place] + bytes([raw[place] ^ (1 << bit)]) + raw[place + 1 :]
                assert not is_accepted(flipped.decode("utf-8", errors="replace")), (number, place, bit)


@pytest.mark.req("AUD-03", "TOK-05")
def test_a_signature_has_one_spelling_in_base64() -> None:
    honest = note(1)
    head, text = honest.rsplit(" ", 1)
    signature = text.strip()
    raw = base64.b64decode(signature)
    others = [signature[:-2] + last + "=" for last in ALPHABET if last != signature[-2]]
    same_bytes = [other for other in others if base64.b64decode(other) == raw]
    assert len(same_bytes) == 3
    assert not any(is_accepted(f"{head} {other}\n") for other in [*others, signature.rstrip("="), signature + "="])
    assert is_accepted(f"{head} {signature}\n")


def log(row: bytes) -> list[bytes]:
    leaf = leaf_hash(EVENT.canonical())
    return [row, export_checkpoint(sign_checkpoint(Checkpoint(origin=ORIGIN, size=1, root=root_of([leaf])), KEY))]


@pytest.mark.req("AUD-03")
@pytest.mark.parametrize(
    "time", ["2026-11-23T12:00:00Z", "2026-11-23T12:00:00.000+00:00", "2026-11-23T13:00:00.000+01:00"]
)
def test_another_spelling_of_the_same_time_is_an_edit(time: str) -> None:
    honest = export_row(1, EVENT)
    assert verify_export(log(honest), origin=ORIGIN, key=KEY.public).size == 1
    members = json.loads(honest)
    members["event"]["time"] = time
    with pytest.raises(BadLog, match=r"^row 1 \(line 1\): the event was changed"):
        verify_export(log(json.dumps(members).encode() + b"\n"), origin=ORIGIN, key=KEY.public)


@pytest.mark.req("AUD-03")
def test_an_export_is_read_once_and_row_by_row() -> None:
    events = [replace(EVENT, id=f"urn:uuid:{number}") for number in range(1, 6)]
    leaves = [leaf_hash(event.canonical()) for event in events]
    signed = sign_checkpoint(Checkpoint(origin=ORIGIN, size=5, root=root_of(leaves)), KEY)
    stream = iter(
        [*(export_row(number, event) for number, event in enumerate(events, start=1)), export_checkpoint(signed)]
    )
    assert verify_export(stream, origin=ORIGIN, key=KEY.public).root == root_of(leaves)
