"""The log: whatever is done to an exported copy is found, and the row is named."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did_agent.audit.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint
from did_agent.audit.delivery import batch_request, verify_batch
from did_agent.audit.event import MAX_EVENT_BYTES, AuditEvent, parse_event
from did_agent.audit.export import export_checkpoint, export_row, verify_export
from did_agent.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    is_included,
    leaf_hash,
    root_of,
)
from did_agent.did.key import did_key
from did_agent.encoding import base64url
from did_agent.errors import BadEvent, BadLog, BadSignature, UntrustedIssuer, WrongAudience
from did_agent.keys.ed25519 import SigningKey

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY, OTHER = SigningKey.from_seed(b"1" * 32), SigningKey.from_seed(b"2" * 32)
ORIGIN = "ledger.example"
EVENT = AuditEvent(
    id="urn:uuid:0",
    time=NOW,
    source=did_key(KEY.public),
    party="verifier",
    principal="smith",
    principal_kind="user",
    actors=("did:key:zA",),
    client_id="did:key:zA",
    action="tool.call",
    target="delete_order",
    resource="https://mcp.example/mcp",
    argument_digest="sha-256:x",
    decision="deny",
    reason="agent_not_capable",
    explanation="the agent may not",
    policy="intersection/1",
    credential_ids=("urn:uuid:c",),
    token_id="t",
    evidence=None,
    request_id="r",
    details={"form": "jwt"},
)


def note(leaves: list[bytes], key: SigningKey = KEY, origin: str = ORIGIN) -> bytes:
    return export_checkpoint(sign_checkpoint(Checkpoint(origin=origin, size=len(leaves), root=root_of(leaves)), key))


def exported(rows: int = 7, every: int = 3) -> list[bytes]:
    """A log of `rows` rows with a checkpoint after every third and at the end."""
    lines, leaves = [], []
    for number in range(1, rows + 1):
        event = replace(EVENT, id=f"urn:uuid:{number}")
        lines.append(export_row(number, event))
        leaves.append(leaf_hash(event.canonical()))
        if number % every == 0 or number == rows:
            lines.append(note(leaves))
    return lines


def verdict(lines: list[bytes]) -> str:
    try:
        return f"ok {verify_export(lines, origin=ORIGIN, key=KEY.public).size}"
    except BadLog as error:
        return error.detail


def row_of(lines: list[bytes], number: int) -> int:
    return next(index for index, line in enumerate(lines) if line.startswith(b'{"seq":%d,' % number))


@pytest.mark.req("AUD-03")
def test_an_untouched_log_is_verified() -> None:
    assert verdict(exported()) == "ok 7"


@pytest.mark.req("AUD-03")
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_flipped_bit_is_found(data: st.DataObject) -> None:
    lines = exported()
    raw = bytearray(b"".join(lines))
    place = data.draw(st.integers(0, len(raw) - 2))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    found = verdict(bytes(raw).splitlines(keepends=True))
    assert not found.startswith("ok"), f"byte {place}"
    assert found.startswith("row")


@pytest.mark.req("AUD-03")
def test_each_kind_of_tampering_names_the_row() -> None:
    lines = exported()
    edited = [
        line.replace(b'"deny"', b'"allow"') if index == row_of(lines, 5) else line for index, line in enumerate(lines)
    ]
    assert verdict(edited).startswith("row 5 ")
    removed = [line for index, line in enumerate(lines) if index != row_of(lines, 4)]
    assert verdict(removed).startswith("row 4 ")
    swapped = list(lines)
    first, second = row_of(lines, 1), row_of(lines, 2)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    assert verdict(swapped).startswith("row 1 ")
    inserted = [*lines[:1], export_row(2, replace(EVENT, id="urn:uuid:new")), *lines[1:]]
    assert verdict(inserted).startswith("row 3 ")
    assert verdict(lines[:-1]).startswith("row 7:")
    assert verdict(lines[: row_of(lines, 6)]).startswith("row 4:")
    assert verdict([]).startswith("row 1:")


@pytest.mark.req("AUD-03")
def test_an_edit_with_its_hash_mended_breaks_the_next_checkpoint() -> None:
    lines = exported()
    event = replace(EVENT, id="urn:uuid:5", decision="allow")
    lines[row_of(lines, 5)] = export_row(5, event)
    assert verdict(lines) == "rows 4 to 6: changed together with their hashes; the signed checkpoint differs"


@pytest.mark.req("AUD-03", "KEY-04")
def test_a_fork_under_another_key_or_name_is_refused() -> None:
    lines = exported(rows=2)
    leaves = [leaf_hash(replace(EVENT, id=f"urn:uuid:{number}").canonical()) for number in (1, 2)]
    assert "another key" in verdict([*lines[:2], note(leaves, key=OTHER)])
    assert "not a checkpoint of this log" in verdict([*lines[:2], note(leaves, origin="evil.example")])
    shorter = note(leaves[:1])
    assert verdict([*lines[:2], shorter]).startswith("rows 1 to 2")


def test_a_checkpoint_is_a_signed_note() -> None:
    signed = sign_checkpoint(Checkpoint(origin=ORIGIN, size=3, root=b"r" * 32), KEY)
    assert signed.splitlines()[:3] == [ORIGIN, "3", "cnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI="]
    assert signed.splitlines()[4].startswith(f"\u2014 {ORIGIN} ")
    assert verify_checkpoint(signed, origin=ORIGIN, key=KEY.public).size == 3
    for spoiled in (signed.replace("3", "4", 1), signed + "x", signed.replace("\n\n", "\n"), ""):
        with pytest.raises(BadLog):
            verify_checkpoint(spoiled, origin=ORIGIN, key=KEY.public)


@given(size=st.integers(1, 40), index=st.integers(0, 39), other=st.integers(0, 39))
def test_inclusion_proves_a_leaf_at_its_place_and_nowhere_else(size: int, index: int, other: int) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    index, other = index % size, other % size
    proof, root = inclusion_proof(leaves, index), root_of(leaves)
    assert is_included(leaves[index], index, size, proof, root)
    assert is_included(leaves[index], other, size, proof, root) == (index == other)
    assert not is_included(leaf_hash(b"other"), index, size, proof, root)
    assert not is_included(leaves[index], index, size, [*proof, b"x" * 32], root)


@given(old=st.integers(1, 40), more=st.integers(0, 40))
def test_consistency_proves_growth_and_no_rewriting(old: int, more: int) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(old + more)]
    proof = consistency_proof(leaves, old)
    old_root, new_root = root_of(leaves[:old]), root_of(leaves)
    assert is_consistent(old, old + more, old_root, new_root, proof)
    rewritten = root_of([leaf_hash(b"rewritten"), *leaves[1:old]])
    assert not is_consistent(old, old + more, rewritten, new_root, proof)


def test_a_frontier_goes_on_where_it_was_left() -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(30)]
    assert Frontier().root() == EMPTY_ROOT
    frontier = Frontier()
    for number, leaf in enumerate(leaves, start=1):
        frontier = Frontier(frontier.size, frontier.roots)
        frontier.append(leaf)
        assert frontier.root() == root_of(leaves[:number])
    with pytest.raises(ValueError, match="frontier"):
        Frontier(3, [b""])


@pytest.mark.req("AUD-02")
def test_an_event_has_exactly_its_members() -> None:
    wire = EVENT.to_json()
    assert parse_event(json.loads(EVENT.canonical())) == EVENT
    spoilings: list[dict[str, Any]] = [
        {"extra": 1},
        {"decision": "maybe"},
        {"time": "now"},
        {"actors": "did:key:zA"},
        {"details": {"a": 1}},
        {"id": ""},
        {"principal": 5},
    ]
    for spoiling in spoilings:
        with pytest.raises(BadEvent):
            parse_event({**wire, **spoiling})
    for name in wire:
        with pytest.raises(BadEvent):
            parse_event({key: value for key, value in wire.items() if key != name})
    with pytest.raises(BadEvent):
        replace(EVENT, explanation="x" * MAX_EVENT_BYTES).canonical()


@pytest.mark.req("TOK-08", "AUD-01")
def test_a_delivery_is_bound_to_its_body_its_sender_and_its_ledger() -> None:
    source = did_key(KEY.public)
    _, headers, body = batch_request(
        [EVENT.canonical().decode()], ledger_url="https://ledger.example", key=KEY, now=NOW
    )
    token = headers["Authorization"].removeprefix("Bearer ")

    def check(text: str = token, content: bytes = body, url: str = "https://ledger.example", who: str = source) -> str:
        return verify_batch(text, content, ledger_url=url, sources=frozenset({who}), now=NOW).source

    assert check() == source
    with pytest.raises(BadSignature):
        check(content=body.replace(b"deny", b"okay"))
    with pytest.raises(WrongAudience):
        check(url="https://other.example")
    with pytest.raises(UntrustedIssuer):
        check(who=did_key(OTHER.public))
    with pytest.raises(BadSignature):
        head, middle, tail = token.split(".")
        signature = bytearray(base64url.decode(tail))
        signature[0] ^= 1
        check(f"{head}.{middle}.{base64url.encode(bytes(signature))}")
