"""`did-agent database …`: where the schema of each party stands, and the way up and down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import click

from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option, say, table
from did_agent.errors import Misconfigured

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from did_agent.adapters.schema import Schema

GROUP: Final = "did_agent.parties"
ALL: Final = "all"
_party: Final = click.argument("party", default=ALL)


@click.group()
def database() -> None:
    """Look at the schema of each party's database, and take it up or down."""


@database.command()
@_party
@json_option
@click.pass_obj
def status(at: Deployment, party: str, as_json: bool) -> None:
    """Show at which revision databases are, and which one this release was made for."""
    emit_states(asyncio.run(each(at, party)), as_json=as_json)


@database.command()
@_party
@click.option("--to", help="A revision instead of the newest.")
@json_option
@click.pass_obj
def upgrade(at: Deployment, party: str, to: str | None, as_json: bool) -> None:
    """Take databases up to the newest schema; parties of this release and the last may go on meanwhile."""
    from did_agent.adapters import migrations

    if to is not None and party == ALL:
        raise click.UsageError("--to is a revision of one party")
    emit_states(asyncio.run(each(at, party, lambda *found: migrations.upgrade(*found, to=to))), as_json=as_json)


@database.command()
@click.argument("party")
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask: what newer revisions added is lost.")
@json_option
@click.pass_obj
def downgrade(at: Deployment, party: str, revision: str, yes: bool, as_json: bool) -> None:
    """Take one party's database down to REVISION; "0000" removes its tables."""
    from did_agent.adapters import migrations

    if not yes:
        say(f"what revisions above {revision} added to the database of the {party} is lost")
        click.confirm("go on?", abort=True, err=True)
    emit_states(asyncio.run(each(at, party, lambda *one: migrations.downgrade(*one, to=revision))), as_json=as_json)


@database.command()
@click.argument("party")
@click.option("--from", "begin", default="0000", show_default=True, help="The revision that the database is at.")
@click.option("--to", "end", help="The one it shall be at; the newest without it.")
@click.option("--dialect", type=click.Choice(("postgresql", "sqlite")), default="postgresql", show_default=True)
def sql(party: str, begin: str, end: str | None, dialect: str) -> None:
    """Print the statements between two revisions, for who runs them by hand."""
    for schema in schemas(party):
        from did_agent.adapters.revisions import sql_of

        click.echo(sql_of(schema, dialect=dialect, begin=begin, end=end or schema.newest))


def emit_states(states: list[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print where databases stand."""
    columns = ("party", "database", "standing", "revision", "newest", "works_from")
    emit({"databases": states}, as_json=as_json, text=table(states, columns))


async def each(
    at: Deployment, party: str, change: Callable[[AsyncEngine, Schema], Awaitable[None]] | None = None
) -> list[Mapping[str, Any]]:
    """Return where the databases of one party, or of all, stand after a change.

    Raises: Misconfigured.
    """
    from did_agent.adapters.migrations import state_of
    from did_agent.adapters.sql import open_database

    states: list[Mapping[str, Any]] = []
    for schema in schemas(party):
        engine = open_database(schema.url(at.data))
        try:
            if change is not None:
                await change(engine, schema)
            state = await state_of(engine, schema)
        finally:
            await engine.dispose()
        shown = {"standing": state.standing, "revision": state.revision, "works_from": state.works_from}
        states.append({"party": schema.party, "database": engine.dialect.name, **shown, "newest": schema.newest})
    return states


def schemas(party: str) -> Iterator[Schema]:
    """Yield the schemas of installed parties; one keeps its own in `<party>.migrations`.

    Raises: Misconfigured when there is none.
    """
    try:
        packages = {entry.module.partition(".")[0] for entry in entry_points(group=GROUP)}
        kept = sorted(name for name in packages if find_spec(f"{name}.migrations") is not None)
        if party not in (ALL, *kept):
            raise click.UsageError(f"{party} keeps no database; {', '.join(kept)} do")
        for name in kept if party == ALL else (party,):
            yield import_module(f"{name}.migrations").SCHEMA
    except ImportError as error:
        raise Misconfigured(f"databases need more ({error}): pip install 'did-agent[server]'") from error
