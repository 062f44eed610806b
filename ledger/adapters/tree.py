"""The tree in SQL: its growing edge, held by one writer at a time, and the nodes that proofs are made of (AUD-04)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

from sqlalchemy import and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from did_agent.adapters.sql import insert_if_absent, insert_many, transaction
from did_agent.audit.merkle import HASH_BYTES, TILE_HEIGHT, Frontier, Node
from did_agent.audit.nodes import Nodes, Run, Span, edge_at, runs_for
from did_agent.errors import StoreUnavailable
from ledger.adapters.tables import ONLY, checkpoints, events, nodes, state

CAUGHT_UP: Final = 1 << (TILE_HEIGHT + 6)  # leaves read at a time


async def lock_edge(connection: AsyncConnection) -> Frontier:
    """Return the frontier, held against every other writer until the transaction ends, with its nodes kept.

    Raises: StoreUnavailable when it is not the state that was signed: nobody signs a fork.
    """
    await insert_if_absent(connection, state, {"id": ONLY, "size": 0, "frontier": b"", "noded": 0})
    found = (await connection.execute(select(state).where(state.c.id == ONLY).with_for_update())).one()
    joined = bytes(found.frontier)
    roots = [joined[start : start + HASH_BYTES] for start in range(0, len(joined), HASH_BYTES)]
    try:
        frontier = Frontier(found.size, roots)
    except ValueError as error:
        raise StoreUnavailable("the edge of the log is damaged") from error
    if (found.noded or 0) != found.size:
        await _catch_up(connection, found.noded or 0, frontier)
    await _require_signed(connection, frontier)
    return frontier


async def require_grown(connection: AsyncConnection, frontier: Frontier, size: int, root: bytes) -> None:
    """Return if the log of now extends the one of `size` rows that this process signed.

    Raises: StoreUnavailable: a database that was taken back or replaced gets no signature.
    """
    then = frontier if frontier.size == size else await edge_then(connection, size) if size < frontier.size else None
    if then is None or then.root() != root:
        raise StoreUnavailable(f"the log does not extend the {size} rows that were signed before")


async def _require_signed(connection: AsyncConnection, frontier: Frontier) -> None:
    newest = select(checkpoints.c.note).order_by(checkpoints.c.size.desc()).limit(1)
    note = (await connection.execute(newest)).scalar_one_or_none()
    signed = ["0", ""] if note is None else str(note).split("\n")[1:3]
    edge = _body(frontier.size, frontier.root()) if frontier.size else ["0", ""]
    if signed != edge:
        raise StoreUnavailable("the edge of the log is not the state that was signed last")


async def keep_edge(connection: AsyncConnection, frontier: Frontier, kept: Sequence[tuple[Node, bytes]]) -> None:
    """Write the edge after an append, and the nodes it completed."""
    await _insert_nodes(connection, kept)
    values = {"size": frontier.size, "frontier": b"".join(frontier.roots), "noded": frontier.size}
    await connection.execute(update(state).where(state.c.id == ONLY).values(**values))


async def read_nodes(engine: AsyncEngine, runs: Sequence[Run]) -> Nodes:
    """Return kept nodes.

    Raises: StoreUnavailable.
    """
    async with transaction(engine) as connection:
        found = (await connection.execute(select(state.c.size, state.c.noded))).one_or_none()
        if found is not None and (found.noded or 0) != found.size:
            await lock_edge(connection)
        return {**await _leaves(connection, runs), **await _inner(connection, runs)}


async def _leaves(connection: AsyncConnection, runs: Sequence[Run]) -> dict[Node, bytes]:
    places = [events.c.seq.between(run.first + 1, run.last + 1) for run in runs if run.level == 0]
    if not places:
        return {}
    found = await connection.execute(select(events.c.seq, events.c.leaf).where(or_(*places)))
    return {(0, seq - 1): bytes(leaf) for seq, leaf in found.all()}


async def _inner(connection: AsyncConnection, runs: Sequence[Run]) -> dict[Node, bytes]:
    places = [
        and_(nodes.c.level == run.level, nodes.c.number.between(run.first, run.last)) for run in runs if run.level
    ]
    if not places:
        return {}
    found = await connection.execute(select(nodes.c.level, nodes.c.number, nodes.c.hash).where(or_(*places)))
    return {(level, number): bytes(root) for level, number, root in found.all()}


async def _catch_up(connection: AsyncConnection, noded: int, frontier: Frontier) -> None:
    """Keep the nodes over rows that a release wrote which did not know them, and see that they lead to the edge."""
    grown = await edge_then(connection, noded)
    size = frontier.size
    while grown.size < size:
        most = min(grown.size + CAUGHT_UP, size)
        query = select(events.c.leaf).where(events.c.seq > grown.size, events.c.seq <= most).order_by(events.c.seq)
        leaves = [bytes(leaf) for leaf in (await connection.execute(query)).scalars()]
        if len(leaves) != most - grown.size:
            raise StoreUnavailable(f"rows of the log are missing between {grown.size + 1} and {most}")
        await _insert_nodes(connection, grown.extend(leaves))
    if grown.roots != frontier.roots:
        raise StoreUnavailable("the rows of the log do not lead to its edge")
    await connection.execute(update(state).where(state.c.id == ONLY).values(noded=size))


async def edge_then(connection: AsyncConnection, size: int) -> Frontier:
    """Return the frontier the log had at an earlier size.

    Raises: StoreUnavailable.
    """
    runs = runs_for([Span(0, size)])
    try:
        return edge_at(size, {**await _leaves(connection, runs), **await _inner(connection, runs)})
    except KeyError as error:
        raise StoreUnavailable("nodes of the log are missing") from error


async def _insert_nodes(connection: AsyncConnection, kept: Sequence[tuple[Node, bytes]]) -> None:
    rows = [{"level": level, "number": number, "hash": root} for (level, number), root in kept]
    await insert_many(connection, nodes, rows)


def _body(size: int, root: bytes) -> list[str]:
    return [str(size), base64.b64encode(root).decode("ascii")]
