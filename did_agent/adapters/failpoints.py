"""Named places where a process ends as by a power cut, for tests of what survives it.

Off unless `DID_AGENT_FAILPOINTS` names points when a database is opened; the process says so then.  Its value lists
`point` or `point:n`, the n-th time it is reached.  `trace` ends nothing and names each point when it is first reached.

Around writes the points are `writing.<table>`, `wrote.<table>`, and by the first table that a transaction wrote
`committing.<table>` and `committed.<table>`: durable, not yet answered.  Others are where `reach` is called.
"""

from __future__ import annotations

import logging
import os
import re
import signal
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

VARIABLE: Final = "DID_AGENT_FAILPOINTS"
_TRACE: Final = "trace"
_WRITE: Final = re.compile(r"\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM)\s+\"?(\w+)")
_FIRST: Final = "did_agent.first_table"  # of the transaction a connection is in
_log: Final = logging.getLogger("did_agent.failpoints")
_left: Final[dict[str, int]] = {}  # how often a point is still passed, the last time included; empty: all is off
_seen: Final[set[str]] = set()


def watch(engine: AsyncEngine) -> None:
    """Take an engine's writes for points, if any point is named."""
    said = os.environ.get(VARIABLE, "")
    if not said:
        return
    for name, _, times in (one.strip().partition(":") for one in said.split(",")):
        _left.setdefault(name, int(times or 1))
    _log.warning("%s is set: this process ends at %s", VARIABLE, said)
    event.listen(engine.sync_engine, "begin", _begun)
    event.listen(engine.sync_engine, "before_cursor_execute", _before)
    event.listen(engine.sync_engine, "after_cursor_execute", _after)


def reach(point: str) -> None:
    """End the process here, if this point was named."""
    if _left:
        _reach(point)


def writing(connection: AsyncConnection, statement: str) -> None:
    """Be before a statement that SQLAlchemy does not see."""
    if _left and connection.sync_connection is not None:
        _before(connection.sync_connection, None, statement)


def wrote(connection: AsyncConnection, statement: str) -> None:
    """Be after a statement that SQLAlchemy does not see."""
    if _left and connection.sync_connection is not None:
        _after(connection.sync_connection, None, statement)


def committing(connection: AsyncConnection) -> str:
    """Be before a commit; return the point to be reached after it."""
    if not _left or connection.sync_connection is None:
        return ""
    table = connection.sync_connection.info.get(_FIRST)
    if table is None:
        return ""
    _reach(f"committing.{table}")
    return f"committed.{table}"


def _reach(point: str) -> None:
    if _TRACE in _left and point not in _seen:
        _seen.add(point)
        _log.warning("reached %s", point)
    if point in _left:
        _left[point] -= 1
        if _left[point] == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _begun(connection: Connection) -> None:
    connection.info.pop(_FIRST, None)


def _before(connection: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
    found = _WRITE.match(statement)
    if found is not None:
        connection.info.setdefault(_FIRST, found[1])
        _reach(f"writing.{found[1]}")


def _after(_connection: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
    found = _WRITE.match(statement)
    if found is not None:
        _reach(f"wrote.{found[1]}")
