"""Writes revisions of a party's schema: what its tables are now, compared with what its revisions lead to.

`make revision PARTY=issuer MESSAGE="agents have a colour"` adds one; it is a proposal, to be read and completed.
`make baseline PARTY=issuer` writes the first ones anew, which is right only before they were released.
"""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine

from did_agent.adapters.revisions import run_up
from did_agent.adapters.schema import BASE, Schema

PARTIES = ("issuer", "bridge", "ledger")
PAGE = 280  # lines of one revision, before it is formatted
HEAD = '''"""{message}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "{revision}"
down_revision = {down}
works_from = "{works_from}"
{baseline}

def upgrade(op: Operations) -> None:
{up}


def downgrade(op: Operations) -> None:
{down_code}
'''


def schema_of(party: str) -> Schema:
    found = importlib.import_module(f"{party}.migrations").SCHEMA
    assert isinstance(found, Schema)
    return found


def differences(schema: Schema, connection: Connection) -> Sequence[Any]:
    """Return what a database at the newest revision has otherwise than the metadata."""
    found: Sequence[Any] = compare_metadata(_comparing(schema, connection), schema.metadata)
    return found


def write_revision(schema: Schema, message: str) -> Path:
    """Write what is new in the metadata as the next revision."""
    (up, down), newest = _proposed(schema), schema.newest
    return _write(
        schema,
        f"{int(newest) + 1:04}",
        message,
        up,
        down,
        works_from=newest,
        baseline=False,
    )


def write_baseline(schema: Schema) -> Sequence[Path]:
    """Write the first revisions anew: all tables, on as many pages as they need."""
    for old in sorted(schema.folder.glob("r[0-9]*.py"), reverse=True):
        if "BASELINE = True" not in old.read_text(encoding="utf-8"):
            raise SystemExit(f"{old.name} stands on the baseline: it is too late for another one")
        old.unlink()
    up, _down = _proposed(schema)
    pages = list(_pages(_flat(up.ops)))
    return [
        _write(
            schema,
            f"{number:04}",
            f"Tables of the {schema.party}, {number} of {len(pages)}",
            ops.UpgradeOps(ops=page),
            ops.DowngradeOps(ops=[one.reverse() for one in reversed(page) if isinstance(one, ops.CreateTableOp)]),
            works_from=f"{len(pages):04}",
            baseline=True,
        )
        for number, page in enumerate(pages, 1)
    ]


def _proposed(schema: Schema) -> tuple[ops.UpgradeOps, ops.DowngradeOps]:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        run_up(connection, schema=schema, begin=BASE, end=schema.newest)
        proposed = produce_migrations(_comparing(schema, connection), schema.metadata)
    assert proposed.upgrade_ops is not None
    assert proposed.downgrade_ops is not None
    return proposed.upgrade_ops, proposed.downgrade_ops


def _flat(operations: Sequence[Any]) -> list[Any]:
    """Return operations without the groups that autogenerate makes of the indices of a table."""
    groups = ([one] if not isinstance(one, ops.ModifyTableOps) else _flat(one.ops) for one in operations)
    return [one for group in groups for one in group]


def _comparing(schema: Schema, connection: Connection) -> MigrationContext:
    def ours(_object: object, name: str | None, kind: str, _reflected: bool, _to: object) -> bool:
        return kind != "table" or (name is not None and schema.owns(name))

    options = {"include_object": ours, "compare_type": True, "version_table": schema.version_table}
    return MigrationContext.configure(connection, opts={**options, "target_metadata": schema.metadata})


def _pages(every: list[Any]) -> Iterator[list[Any]]:
    """Yield operations in portions of about a page; a table stays with its indices."""
    page: list[Any] = []
    length = 0
    for table in _by_table(every):
        size = sum(len(_rendered([one]).splitlines()) for one in table)
        if page and length + size > PAGE:
            yield page
            page, length = [], 0
        page += table
        length += size
    if page:
        yield page


def _by_table(every: list[Any]) -> Iterator[list[Any]]:
    """Yield each table with its indices."""
    found: dict[str, list[Any]] = {}
    for one in every:
        found.setdefault(str(one.table_name), []).append(one)
    yield from (found[name] for name in sorted(found))


def _rendered(operations: list[Any]) -> str:
    new = all(isinstance(one, ops.CreateTableOp | ops.CreateIndexOp | ops.DropTableOp) for one in operations)
    # SQLite alters little: what is there already is copied into a new table, which Alembic calls a batch.
    text = render_python_code(ops.UpgradeOps(ops=operations), render_as_batch=not new)
    text = re.sub(r" *# ### .*\n?", "", text)
    # Alembic's own marker keeps a naming convention away from names that are given; there is none.
    return re.sub(r"(?:batch_)?op\.f\(('[^']*')\)", r"\1", text)


def _write(
    schema: Schema,
    revision: str,
    message: str,
    up: ops.UpgradeOps,
    down: ops.DowngradeOps,
    *,
    works_from: str,
    baseline: bool,
) -> Path:
    slug = "baseline" if baseline else re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")[:40]
    path = schema.folder / f"r{revision}_{slug}.py"
    before = f'"{int(revision) - 1:04}"' if int(revision) > 1 else "None"
    path.write_text(
        HEAD.format(
            message=message,
            revision=revision,
            down=before,
            works_from=works_from,
            baseline="BASELINE = True\n" if baseline else "",
            up=_indented(_rendered(list(up.ops))),
            down_code=_indented(_rendered(list(down.ops))),
        ),
        encoding="utf-8",
    )
    for command in (["format", "-q"], ["check", "--fix", "-q"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, str(path)], check=False)
    return path


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line and not line.startswith("    ") else line for line in text.splitlines())


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("party", choices=(*PARTIES, "all"))
    reader.add_argument("message", nargs="?", help="what the revision does; without it the baseline is written anew")
    chosen = reader.parse_args()
    for party in PARTIES if chosen.party == "all" else (chosen.party,):
        schema = schema_of(party)
        written = [write_revision(schema, chosen.message)] if chosen.message else write_baseline(schema)
        for path in written:
            print(path)


if __name__ == "__main__":
    main()
