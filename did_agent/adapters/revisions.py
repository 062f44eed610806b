"""Runs revisions by Alembic: up, down, as SQL text, and over tables that were there before there were revisions.

A revision is a module with `revision`, `down_revision`, `works_from`, `upgrade(op)` and `downgrade(op)`.  It is
handed `op`: Alembic's global one would be shared by parties that start in one process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, Final

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Inspector, TextClause, bindparam, create_engine, delete, insert, inspect

from did_agent.adapters.schema import BASE, Schema
from did_agent.errors import Misconfigured

BATCH: Final = 1_000  # rows of one transaction of a backfill
_ALL: Final = 2**31 - 1


def run_up(connection: Connection, *, schema: Schema, begin: str, end: str, whole: bool = False) -> None:
    """Take a connection's database from one revision to a higher one.

    With `whole` in one transaction, otherwise in one for each revision, where the connection is in none already.
    """
    _run(_context(schema, _up(schema, begin, end), connection, transaction_per_migration=not whole))


def run_down(connection: Connection, *, schema: Schema, begin: str, end: str) -> None:
    """Take a connection's database from one revision to a lower one."""
    _run(_context(schema, _down(schema, begin, end), connection, transaction_per_migration=True))


def sql_of(schema: Schema, *, dialect: str, begin: str, end: str) -> str:
    """Return the statements that lead from one revision to another, for people who run them by hand."""
    steps = _up(schema, begin, end) if begin < end else _down(schema, begin, end)
    written = StringIO()
    options = {"as_sql": True, "output_buffer": written, "starting_rev": None if begin == BASE else begin}
    _run(_context(schema, steps, None, dialect, transaction_per_migration=True, **options))
    return written.getvalue()


def in_batches(op: Operations, statement: TextClause, *, size: int = BATCH) -> None:
    """Execute an UPDATE or DELETE of at most `:size` rows until none is left; each a transaction where it can be.

    It is to name the rows that are still to be done: after an interruption it is executed from the beginning.
    """
    context = op.get_context()
    if context.as_sql:
        context.execute(statement.bindparams(bindparam("size", _ALL)))
    elif context.dialect.name == "sqlite":  # one writer anyway, and all of it in the caller's transaction
        _until_done(op, statement, size)
    else:
        with context.autocommit_block():
            _until_done(op, statement, size)


def _until_done(op: Operations, statement: TextClause, size: int) -> None:
    while op.get_bind().execute(statement, {"size": size}).rowcount > 0:
        pass


def adopt(connection: Connection, schema: Schema) -> None:
    """Take tables that no revision made for those of the first ones, and create what is missing beside them.

    Earlier releases created the tables they missed at every start.  Raises: Misconfigured when one does not fit.
    """
    end = _baseline(schema)
    expected = shape_of_revision(schema, end)
    found = shapes(inspect(connection), schema)
    for name, shape in expected.items():
        if name in found:
            _require_same(schema, name, found[name], shape)
    context = _context(schema, _up(schema, BASE, end), connection, transaction_per_migration=False)
    _run(context, _Adopting(context))


def _baseline(schema: Schema) -> str:
    """Return the last of the revisions that together say what there was before."""
    scripts = _scripts(schema).walk_revisions()
    return max((one.revision for one in scripts if getattr(one.module, "BASELINE", False)), default=BASE)


class _Adopting(Operations):
    """Operations that leave alone what exists."""

    def create_table(self, *arguments: Any, **options: Any) -> Any:
        return super().create_table(*arguments, **{**options, "if_not_exists": True})

    def create_index(self, *arguments: Any, **options: Any) -> None:
        super().create_index(*arguments, **{**options, "if_not_exists": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What makes a table fit: databases tell types too differently."""

    columns: Mapping[str, bool]  # whether it may be null
    key: Sequence[str]
    unique: frozenset[tuple[str, ...]]


def shapes(inspector: Inspector, schema: Schema) -> Mapping[str, Shape]:
    """Return the shape of every table of a party."""
    return {name: _shape(inspector, name) for name in inspector.get_table_names() if schema.owns(name)}


def shape_of_revision(schema: Schema, revision: str) -> Mapping[str, Shape]:
    """Return the shapes of a party's tables at a revision."""
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            run_up(connection, schema=schema, begin=BASE, end=revision)
            return shapes(inspect(connection), schema)
    finally:
        engine.dispose()


def _shape(inspector: Inspector, name: str) -> Shape:
    constraints = (tuple(one["column_names"]) for one in inspector.get_unique_constraints(name))
    indices = (tuple(map(str, one["column_names"])) for one in inspector.get_indexes(name) if one["unique"])
    return Shape(
        columns={column["name"]: column["nullable"] for column in inspector.get_columns(name)},
        key=inspector.get_pk_constraint(name)["constrained_columns"],
        unique=frozenset((*constraints, *indices)),
    )


def _require_same(schema: Schema, name: str, found: Shape, expected: Shape) -> None:
    if found == expected:
        return
    missing, surplus = sorted(expected.columns.keys() - found.columns), sorted(found.columns.keys() - expected.columns)
    if missing:
        what = f"lacks {', '.join(missing)}"
    elif surplus:
        what = f"has {', '.join(surplus)} besides"
    else:
        what = "has other keys, or other columns that may be null"
    raise Misconfigured(
        f"{schema.party}: the database was made by an earlier release, and its table {name} {what}; "
        "docs/how-to/upgrade.md says what can be done"
    )


Steps = Callable[[Any, MigrationContext], Iterable[MigrationStep]]


def _scripts(schema: Schema) -> ScriptDirectory:
    return ScriptDirectory(str(schema.folder), version_locations=[str(schema.folder)])


def _between(schema: Schema, begin: str, end: str) -> tuple[ScriptDirectory, Sequence[Script]]:
    """Return revisions above `begin` up to `end`, the lowest first."""
    scripts = _scripts(schema)
    found = (one for one in scripts.walk_revisions() if begin < one.revision <= end)
    return scripts, sorted(found, key=lambda one: one.revision)


def _up(schema: Schema, begin: str, end: str) -> Steps:
    scripts, ordered = _between(schema, begin, end)
    steps = [MigrationStep.upgrade_from_script(scripts.revision_map, one) for one in ordered]
    return lambda _heads, _context: steps


def _down(schema: Schema, begin: str, end: str) -> Steps:
    scripts, ordered = _between(schema, end, begin)
    steps = [MigrationStep.downgrade_from_script(scripts.revision_map, one) for one in reversed(ordered)]
    return lambda _heads, _context: steps


def _context(
    schema: Schema, steps: Steps, connection: Connection | None, dialect: str | None = None, **options: Any
) -> MigrationContext:
    return MigrationContext.configure(
        connection=connection,
        dialect_name=dialect,
        dialect_opts={"paramstyle": "named"},
        opts={
            "fn": steps,
            "version_table": schema.version_table,
            "transactional_ddl": True,  # our SQLite engine begins transactions itself
            "on_version_apply": (_noting(schema),),
            **options,
        },
    )


def _run(context: MigrationContext, op: Operations | None = None) -> None:
    with context.begin_transaction():
        context.run_migrations(op=op or Operations(context))


def _noting(schema: Schema) -> Callable[..., None]:
    """Return what keeps the table of applied revisions, in the transaction of each."""
    table = schema.applied

    def note(*, ctx: MigrationContext, step: Any, **_rest: object) -> None:
        script = step.up_revision
        if step.is_upgrade:
            if script.down_revision is None:
                ctx.impl.create_table(table)
            row = {"revision": script.revision, "works_from": script.module.works_from}
            ctx.execute(insert(table).values(row))
        elif script.down_revision is None:
            ctx.impl.drop_table(table)
        else:
            ctx.execute(delete(table).where(table.c.revision == script.revision))

    return note
