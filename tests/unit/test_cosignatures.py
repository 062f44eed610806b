"""Co-signatures of witnesses: what is signed, by whom and when, and that no witness signs a fork (C2SP tlog-cosignature)."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from did_agent.audit.checkpoint import Checkpoint, sign_checkpoint
from did_agent.audit.cosignature import (
    Witness,
    cosign,
    parse_verifier_key,
    require_extends,
    require_name,
    require_quorum,
    verifier_key,
    verify_cosignature,
)
from did_agent.audit.merkle import consistency_proof, leaf_hash, root_of
from did_agent.errors import BadKey, BadLog, InvalidParameter
from did_agent.keys.ed25519 import SigningKey

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LOG, KEY, OTHER = (SigningKey.from_seed(letter * 32) for letter in (b"l", b"w", b"o"))
WITNESS, SECOND = Witness(name="witness.example/1", key=KEY.public), Witness(name="second.example", key=OTHER.public)
LEAVES = [leaf_hash(b"%d" % number) for number in range(9)]


def state(size: int, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint(origin="ledger.example", size=size, root=root_of(leaves[:size]))


NOTE = sign_checkpoint(state(5), LOG)
LINE = cosign(NOTE, name=WITNESS.name, key=KEY, now=NOW)


@pytest.mark.req("AUD-03")
def test_what_is_signed_is_what_the_specification_says() -> None:
    raw = base64.b64decode(LINE.split(" ")[2])
    body = NOTE.split("\n\n")[0] + "\n"
    KEY.public.verify(b"cosignature/v1\ntime 1795435200\n" + body.encode(), raw[12:])
    assert int.from_bytes(raw[4:12], "big") == 1_795_435_200
    assert raw[:4] == hashlib.sha256(b"witness.example/1\n\x04" + KEY.public.raw).digest()[:4]
    assert LINE.startswith("\u2014 witness.example/1 ")
    assert verify_cosignature(LINE, NOTE, WITNESS).time == NOW


def test_a_witness_is_known_by_one_line() -> None:
    line = verifier_key(WITNESS)
    assert parse_verifier_key(line) == WITNESS
    for spoiled in (
        line[:-1],
        line.replace("/1+", "/2+"),
        "x",
        line.replace("+B", "+C", 1),
        line + "\n",
        "+".join(["a"] * 3),
    ):
        with pytest.raises(BadKey):
            parse_verifier_key(spoiled)
    for name in ("", "a b", "a+b", "é", "x" * 129, "a\n"):
        with pytest.raises(InvalidParameter):
            require_name(name)


@pytest.mark.req("AUD-03")
def test_every_changed_character_is_found() -> None:
    for place in range(len(LINE)):
        spoiled = LINE[:place] + ("A" if LINE[place] != "A" else "B") + LINE[place + 1 :]
        with pytest.raises(BadLog):
            verify_cosignature(spoiled, NOTE, WITNESS)
    for note in (sign_checkpoint(state(6), LOG), NOTE.split("\n\n")[0]):
        with pytest.raises(BadLog):
            verify_cosignature(LINE, note, WITNESS)
    with pytest.raises(BadLog, match="another key"):
        verify_cosignature(LINE, NOTE, Witness(name=WITNESS.name, key=OTHER.public))
    with pytest.raises(BadLog, match="future"):
        verify_cosignature(LINE, NOTE, WITNESS, now=NOW - timedelta(minutes=6))


@pytest.mark.req("AUD-03")
def test_a_quorum_counts_witnesses_and_not_lines() -> None:
    second = cosign(NOTE, name=SECOND.name, key=OTHER, now=NOW)
    stranger = cosign(NOTE, name="stranger", key=LOG, now=NOW)
    assert len(require_quorum(NOTE, [LINE, second, stranger, "nonsense"], [WITNESS, SECOND], 2)) == 2
    with pytest.raises(BadLog, match=r"1 witnesses co-signed the checkpoint, 2 are needed; none by second\.example"):
        require_quorum(NOTE, [LINE, LINE, stranger], [WITNESS, SECOND], 2)
    forged = cosign(NOTE, name=SECOND.name, key=LOG, now=NOW)
    with pytest.raises(BadLog, match="another key"):
        require_quorum(NOTE, [LINE, forged], [WITNESS, SECOND], 1)


@pytest.mark.req("AUD-03", "AUD-04")
def test_only_a_log_that_grew_is_signed_again() -> None:
    require_extends(None, state(5), ())
    require_extends(state(5), state(5), ())
    require_extends(state(5), state(9), consistency_proof(LEAVES, 5))
    require_extends(state(0), state(9), ())
    forked = [*LEAVES[:3], leaf_hash(b"other"), *LEAVES[4:]]
    with pytest.raises(BadLog, match="forked"):
        require_extends(state(5), state(9, forked), consistency_proof(forked, 5))
    with pytest.raises(BadLog, match="forked"):
        require_extends(state(5), state(5, forked), ())
    with pytest.raises(BadLog, match="shows 4 rows"):
        require_extends(state(5), state(4), ())
    with pytest.raises(BadLog, match="this is the log"):
        require_extends(state(5), Checkpoint(origin="else.example", size=9, root=b""), ())
