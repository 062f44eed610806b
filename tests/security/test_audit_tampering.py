"""Two hundred random tamperings with an exported log: each is found, and the first row that does not fit is named."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from did_agent.audit.checkpoint import Checkpoint, sign_checkpoint
from did_agent.audit.export import export_checkpoint, export_row, verify_export
from did_agent.audit.merkle import Frontier, leaf_hash
from did_agent.errors import BadLog
from tests.security.test_audit_log import EVENT, KEY, ORIGIN, OTHER, row_of

ROWS, EVERY = 60, 7
KINDS = ("delete", "edit", "mend", "insert", "reorder", "truncate", "fork")


def written(rows: list[bytes | str], key: object = KEY) -> list[bytes]:
    """Lines of a log of events by these names, signed after every seventh and at the end."""
    assert key in (KEY, OTHER)
    lines, frontier = [], Frontier()
    for number, name in enumerate(rows, start=1):
        event = replace(EVENT, id=f"urn:uuid:{name!s}")
        frontier.append(leaf_hash(event.canonical()))
        lines.append(export_row(number, event))
        if number % EVERY == 0 or number == len(rows):
            checkpoint = Checkpoint(origin=ORIGIN, size=number, root=frontier.root())
            lines.append(export_checkpoint(sign_checkpoint(checkpoint, KEY if key is KEY else OTHER)))
    return lines


NAMES: list[bytes | str] = [str(number) for number in range(1, ROWS + 1)]
HONEST = written(NAMES)


def tampered(kind: str, row: int, other: int) -> tuple[list[bytes], range]:
    """Return the log after one tampering, and the rows of which the first is to be named."""
    lines, at = list(HONEST), row_of(HONEST, row)
    block = range((row - 1) // EVERY * EVERY + 1, min(((row - 1) // EVERY + 1) * EVERY, ROWS) + 1)
    forged = export_row(row, replace(EVENT, id=f"urn:uuid:{row}", decision="allow"))
    if kind == "delete":
        del lines[at]
        return lines, range(row, row + 1)
    if kind == "edit":
        lines[at] = lines[at].replace(b'"deny"', b'"allow"')
        return lines, range(row, row + 1)
    if kind == "mend":  # the hash is made to fit: the signed checkpoint after it does not
        lines[at] = forged
        return lines, range(block[0], block[0] + 1)
    if kind == "insert":
        lines.insert(at, forged)
        return lines, range(row + 1, row + 2)  # the row of that number is there; the next one is not what follows
    if kind == "reorder":
        there = row_of(HONEST, other)
        lines[at], lines[there] = lines[there], lines[at]
        return lines, range(min(row, other), min(row, other) + 1)
    if kind == "truncate":
        # Cut at a checkpoint it would be an earlier state of the log, which the reader's own newer checkpoint shows.
        return lines[: at + 1], range(block[0], block[0] + 1)
    fork = written([*NAMES[: row - 1], "forked", *NAMES[row:]], key=OTHER)
    return lines[:at] + fork[at:], range(block[0], block[0] + 1)


@pytest.mark.req("AUD-03")
def test_two_hundred_random_tamperings_are_found_and_named() -> None:
    assert verify_export(HONEST, origin=ORIGIN, key=KEY.public).size == ROWS
    chosen = random.Random(9162)  # noqa: S311  # places, the same in every run
    for trial in range(210):
        kind = KINDS[trial % len(KINDS)]
        row = chosen.randint(1, ROWS)
        if kind == "truncate" and HONEST[row_of(HONEST, row) + 1].startswith(b'{"checkpoint"'):
            row -= 1  # not at the end of a block
        other = chosen.choice([number for number in range(1, ROWS + 1) if number != row])
        lines, expected = tampered(kind, row, other)
        with pytest.raises(BadLog) as found:
            verify_export(lines, origin=ORIGIN, key=KEY.public)
        named = re.match(r"rows? (\d+)", found.value.detail)
        assert named is not None, (kind, row, found.value.detail)
        assert int(named[1]) == expected[0], (kind, row, other, found.value.detail)


@pytest.mark.req("AUD-03", "WEB-02")
def test_rows_of_others_are_proved_by_their_hash_and_counted() -> None:
    from did_agent.audit.export import export_withheld

    leaf = leaf_hash(replace(EVENT, id="urn:uuid:5").canonical())
    lines = list(HONEST)
    lines[row_of(HONEST, 5)] = export_withheld(5, leaf)
    with pytest.raises(BadLog, match=r"^row 5 .*members are missing"):
        verify_export(lines, origin=ORIGIN, key=KEY.public)
    found = verify_export(lines, origin=ORIGIN, key=KEY.public, some_withheld=True)
    assert (found.size, found.withheld) == (ROWS, 1)
    for wrong, named in ((leaf_hash(b"x"), "rows 1 to 7"), (b"short", "row 5 "), (b"", "row 5 ")):
        lines[row_of(HONEST, 5)] = export_withheld(5, wrong)
        with pytest.raises(BadLog, match=f"^{named}"):
            verify_export(lines, origin=ORIGIN, key=KEY.public, some_withheld=True)
    lines[row_of(HONEST, 5)] = export_withheld(6, leaf)
    with pytest.raises(BadLog, match="^row 5 .*out of order"):
        verify_export(lines, origin=ORIGIN, key=KEY.public, some_withheld=True)
