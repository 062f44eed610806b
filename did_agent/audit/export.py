"""The exported log: JSON lines of rows and signed checkpoints, checked offline and in one pass (AUD-03).

A row is `{"seq": n, "leaf": "…", "event": {…}}`, with `"salts": {…}` where sealed fields are shown open; a checkpoint
`{"checkpoint": "…"}` after the rows it covers, with `"cosignatures": ["…"]` where witnesses signed it.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from did_agent.audit.checkpoint import verify_checkpoint
from did_agent.audit.cosignature import MAX_WITNESSES, Cosigned, Witness, require_quorum
from did_agent.audit.event import MAX_EVENT_BYTES, AuditEvent, parse_event
from did_agent.audit.merkle import HASH_BYTES, Frontier
from did_agent.audit.rows import leaf_of, read_salts
from did_agent.encoding import base64url
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import BadLog, Malformed
from did_agent.keys.public import PublicKey

MAX_STATES: Final = 1_024  # co-signed states that are looked at, the last ones
MAX_LINE: Final = MAX_EVENT_BYTES + 16_384  # bytes; the most witnesses under one checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class CosignedState:
    """A checkpoint with the lines that stand under it."""

    size: int
    note: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedLog:
    """A log whose every row is covered by a signed checkpoint."""

    size: int
    root: bytes
    checkpoints: int
    withheld: int = 0  # rows of which only the hash is known
    cosigned: tuple[CosignedState, ...] = ()  # the last of them; nobody compared their co-signatures yet


def export_row(seq: int, event: AuditEvent, salts: Mapping[str, str] | None = None) -> bytes:
    """Return the line of one event, which is shown with the salts of its sealed fields; rows count from 1."""
    members = event.to_json()
    leaf = base64url.encode(leaf_of(members, salts or {})).encode()
    opened = b',"salts":' + canonicalize(dict(salts)) if salts else b""
    return b'{"seq":%d,"leaf":"%s","event":%s%s}\n' % (seq, leaf, canonicalize(members), opened)


def export_withheld(seq: int, leaf: bytes) -> bytes:
    """Return the line of an event that the reader may not see: its place and its hash."""
    return b'{"seq":%d,"leaf":"%s"}\n' % (seq, base64url.encode(leaf).encode())


def export_checkpoint(note: str, cosignatures: Sequence[str] = ()) -> bytes:
    """Return the line of one signed checkpoint, and of what witnesses signed of it."""
    members: dict[str, object] = {"checkpoint": note}
    members |= {"cosignatures": list(cosignatures)} if cosignatures else {}
    return json.dumps(members, ensure_ascii=False).encode() + b"\n"


def require_witnessed(log: VerifiedLog, witnesses: Sequence[Witness], quorum: int) -> tuple[int, tuple[Cosigned, ...]]:
    """Return up to which row at least `quorum` of the witnesses saw a log, and which of them saw it.

    Each may have signed another state: every state of a verified log extends those before it.
    Raises: BadLog.
    """
    seen: dict[str, tuple[int, Cosigned]] = {}
    for state in log.cosigned:
        seen |= {one.name: (state.size, one) for one in require_quorum(state.note, state.lines, witnesses, 0)}
    if len(seen) < quorum:
        raise BadLog(f"{len(seen)} of the witnesses co-signed the log, {quorum} are needed")
    furthest = sorted(seen.values(), key=lambda one: one[0], reverse=True)[:quorum]
    return min((size for size, _ in furthest), default=0), tuple(one for _, one in furthest)


def verify_export(lines: Iterable[bytes], *, origin: str, key: PublicKey, some_withheld: bool = False) -> VerifiedLog:
    """Return what an exported log proves: edits, gaps, reorderings, insertions and truncation are found.

    With `some_withheld` rows may stand by their hash alone, as in the view of one organisation; they are counted.

    Raises: BadLog naming the first row that does not fit.
    """
    reader = _Reader(origin, key, some_withheld=some_withheld)
    for number, line in enumerate(lines, start=1):
        reader.read(number, line.rstrip(b"\n"))
    return reader.finish()


class _Reader:
    def __init__(self, origin: str, key: PublicKey, *, some_withheld: bool) -> None:
        self._origin, self._key, self._some_withheld = origin, key, some_withheld
        self._withheld = 0
        self._frontier = Frontier()
        self._covered = 0
        self._checkpoints = 0
        self._cosigned: deque[CosignedState] = deque(maxlen=MAX_STATES)

    def read(self, number: int, line: bytes) -> None:
        expected = self._frontier.size + 1
        try:
            members = parse_object(line, max_bytes=MAX_LINE)
        except Malformed as error:
            raise BadLog(f"row {expected} (line {number}): cannot be read: {error.code}") from error
        if members.keys() in ({"checkpoint"}, {"checkpoint", "cosignatures"}):
            self._read_checkpoint(members["checkpoint"])
            self._note_cosignatures(str(members["checkpoint"]), members.get("cosignatures", []))
        elif members.keys() in ({"seq", "leaf", "event"}, {"seq", "leaf", "event", "salts"}):
            self._read_row(members, expected, number)
        elif self._some_withheld and members.keys() == {"seq", "leaf"}:
            self._read_withheld(members, expected, number)
        else:
            raise BadLog(f"row {expected} (line {number}): members are missing or unknown")

    def finish(self) -> VerifiedLog:
        size = self._frontier.size
        if self._covered != size or not self._checkpoints:
            raise BadLog(f"row {self._covered + 1}: no signed checkpoint covers the rows from here on")
        return VerifiedLog(
            size=size,
            root=self._frontier.root(),
            checkpoints=self._checkpoints,
            withheld=self._withheld,
            cosigned=tuple(self._cosigned),
        )

    def _read_row(self, members: dict[str, object], expected: int, number: int) -> None:
        _require_next(members, expected, number)
        try:
            parse_event(members["event"])
            # What was received is hashed, not what was made of it: another spelling of a time is a change as well.
            leaf = leaf_of(cast("dict[str, object]", members["event"]), read_salts(members.get("salts", {})))
        except (Malformed, BadLog) as error:
            raise BadLog(f"row {expected} (line {number}): the event was changed: {error.detail}") from error
        if members["leaf"] != base64url.encode(leaf):
            raise BadLog(f"row {expected} (line {number}): the event was changed")
        self._frontier.append(leaf)

    def _read_withheld(self, members: dict[str, object], expected: int, number: int) -> None:
        _require_next(members, expected, number)
        try:
            leaf = base64url.decode(str(members["leaf"]))
        except Malformed as error:
            raise BadLog(f"row {expected} (line {number}): its hash cannot be read") from error
        if len(leaf) != HASH_BYTES:
            raise BadLog(f"row {expected} (line {number}): its hash cannot be read")
        self._frontier.append(leaf)
        self._withheld += 1

    def _read_checkpoint(self, note: object) -> None:
        first, last = self._covered + 1, self._frontier.size
        try:
            checkpoint = verify_checkpoint(str(note), origin=self._origin, key=self._key)
        except BadLog as error:
            raise BadLog(f"rows {first} to {last}: {error.detail}") from error
        if checkpoint.size < last or (checkpoint.size == last and checkpoint.root != self._frontier.root()):
            raise BadLog(f"rows {first} to {last}: changed together with their hashes; the signed checkpoint differs")
        if checkpoint.size > last:
            raise BadLog(f"row {last + 1}: missing before a checkpoint over {checkpoint.size} rows")
        self._covered, self._checkpoints = last, self._checkpoints + 1

    def _note_cosignatures(self, note: str, lines: object) -> None:
        if not isinstance(lines, list) or len(lines) > MAX_WITNESSES or not all(isinstance(one, str) for one in lines):
            raise BadLog(f"row {self._covered}: the co-signatures of its checkpoint cannot be read")
        if lines:
            self._cosigned.append(CosignedState(size=self._covered, note=note, lines=tuple(lines)))


def _require_next(members: dict[str, object], expected: int, number: int) -> None:
    if members["seq"] != expected:
        raise BadLog(f"row {expected} (line {number}): missing or out of order, found {members['seq']!r:.20}")
