"""`did-agent audit …`: read the log, export it, and check an export offline."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import click

from did_agent.adapters.files import private_file
from did_agent.audit.cosignature import parse_verifier_key
from did_agent.audit.export import VerifiedLog, require_witnessed, verify_export
from did_agent.audit.exports import ocsf, otlp, spreadsheet
from did_agent.cli.deployment import Deployment
from did_agent.cli.log_filters import filter_options, question
from did_agent.cli.output import emit, json_option, printable
from did_agent.cli.table import audit_rows, audit_table
from did_agent.did.key import parse_did_key
from did_agent.encoding import base64url
from did_agent.errors import DidAgentError, Misconfigured

FORMS: Final[Mapping[str, Callable[[Iterable[Mapping[str, Any]]], str]]] = {
    "csv": spreadsheet.lines,
    "ocsf": ocsf.lines,
    "otlp": otlp.lines,
}


@click.group()
def audit() -> None:
    """Read and verify the audit log."""


@audit.command()
@click.option("-n", "limit", default=20, show_default=True, type=click.IntRange(0, 500), help="How many rows.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until it is interrupted.")
@click.option("--count", type=click.IntRange(1), help="End after so many that came.")
@filter_options
@json_option
@click.pass_obj
def tail(at: Deployment, /, *, limit: int, follow: bool, count: int | None, as_json: bool, **said: str | None) -> None:
    """Show the newest decisions, and with -f those that come."""
    wanted = question(said)
    newest = {**wanted, "limit": str(limit), "newest": "true"}
    rows, names = asyncio.run(_newest(at, newest)) if limit else ([], {})
    if not follow:
        emit({"events": rows}, as_json=as_json, text=audit_table([row["event"] for row in rows], names))
        return
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_follow(at, rows, names, wanted, count=count, as_json=as_json))


async def _newest(at: Deployment, wanted: dict[str, str]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    return await at.ledger.events(**wanted), await _names(at)


async def _names(at: Deployment) -> dict[str, str]:
    try:
        agents = await at.issuer.agents()
    except DidAgentError:
        agents = []  # names are a convenience; the log stands without them
    return {row["did"]: row["name"] for row in agents if row["did"]}


async def _follow(
    at: Deployment,
    rows: Sequence[dict[str, Any]],
    names: dict[str, str],
    wanted: dict[str, str],
    *,
    count: int | None,
    as_json: bool,
) -> None:
    for row in rows:
        _show(row, names, as_json=as_json)
    after = {"after": str(rows[-1]["seq"])} if rows else {}
    seen = 0
    async for row in at.ledger.follow(**wanted, **after):
        _show(row, names, as_json=as_json)
        seen += 1
        if seen == count:
            return


def _show(row: dict[str, Any], names: dict[str, str], *, as_json: bool) -> None:
    # One line each, as it comes: columns that fit rows nobody has seen yet do not exist.
    text = json.dumps(row, ensure_ascii=False) if as_json else "  ".join(audit_rows([row["event"]], names)[0])
    click.echo(printable(text))


@audit.command()
@click.option("-n", "limit", default=1_000, show_default=True, type=click.IntRange(1), help="At most so many rows.")
@filter_options
@json_option
@click.pass_obj
def search(at: Deployment, /, *, limit: int, as_json: bool, **said: str | None) -> None:
    """Find decisions, the oldest first."""
    rows, names, more = asyncio.run(_search(at, question(said), limit))
    table = audit_table([row["event"] for row in rows], names)
    text = f"{table}\nthere is more: -n, or --since {rows[-1]['event']['time']}" if more else table
    emit({"events": rows, "more": more}, as_json=as_json, text=text)


async def _search(
    at: Deployment, wanted: dict[str, str], limit: int
) -> tuple[list[dict[str, Any]], dict[str, str], bool]:
    found: list[dict[str, Any]] = []
    async for rows in at.ledger.pages(**wanted):
        found += rows
        if len(found) > limit:
            break
    return found[:limit], await _names(at), len(found) > limit


@audit.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice(["jsonl", *FORMS]), default="jsonl", show_default=True)
@filter_options
@json_option
@click.pass_obj
def export(at: Deployment, /, *, file: Path, form: str, as_json: bool, **said: str | None) -> None:
    """Write the log to a file: whole, with its proofs (jsonl), or what was asked for, for other systems."""
    wanted = question(said)
    if form == "jsonl" and wanted:
        raise click.UsageError("jsonl is the whole log, which alone can be verified: filters need another --format")
    parts = at.ledger.export() if form == "jsonl" else _parts(at, form, wanted)
    written = asyncio.run(_write(file.absolute(), parts))
    emit({"file": str(file), "bytes": written}, as_json=as_json, text=f"wrote {file} ({written} bytes)")


async def _write(path: Path, parts: AsyncIterator[bytes]) -> int:
    written = 0
    with private_file(path) as file:
        async for part in parts:
            written += file.write(part)
    return written


async def _parts(at: Deployment, form: str, wanted: dict[str, str]) -> AsyncIterator[bytes]:
    if form == "csv":
        yield spreadsheet.header().encode()
    async for rows in at.ledger.pages(**wanted):
        yield FORMS[form](rows).encode()


async def export_bytes(at: Deployment) -> bytes:
    """Return the exported log."""
    return b"".join([chunk async for chunk in at.ledger.export()])


@audit.command()
@click.argument("file", type=click.File("rb"))
@click.option("--key", help="DID of the ledger's key; from trust.json if left out.")
@click.option("--origin", help="Name of the log; from the ledger's URL if left out.")
@click.option("--partial", is_flag=True, help="Rows of others may stand by their hash alone.")
@click.option("--witness", "witnesses", multiple=True, metavar="KEY", help="Must have co-signed; name+id+key.")
@click.option("--quorum", type=click.IntRange(0), help="How many of the witnesses are enough; all if left out.")
@json_option
@click.pass_obj
def verify(  # options of one command
    at: Deployment,
    /,
    *,
    file: IO[bytes],
    key: str | None,
    origin: str | None,
    partial: bool,
    witnesses: Sequence[str],
    quorum: int | None,
    as_json: bool,
) -> None:
    """Check an exported log offline and name the first row that does not fit."""
    known = [parse_verifier_key(line) for line in witnesses]
    found = verify_log(at, file, key=key, origin=origin, partial=partial)
    seen, signed = require_witnessed(found, known, len(known) if quorum is None else quorum)
    root = base64url.encode(found.root)
    members: dict[str, Any] = {"rows": found.size, "checkpoints": found.checkpoints, "root": root}
    rows = f"{found.size} rows" + (f" ({found.withheld} of others by their hash alone)" if found.withheld else "")
    text = f"ok: {rows}, {found.checkpoints} signed checkpoints, nothing changed or out of order up to the last"
    if known:
        names = [one.name for one in signed]
        members |= {"witnessed": seen, "witnesses": names}
        text += f"; up to row {seen} seen by {', '.join(names) or 'nobody'}"
    emit({**members, "withheld": found.withheld}, as_json=as_json, text=text)


def verify_log(
    at: Deployment, file: IO[bytes], *, key: str | None = None, origin: str | None = None, partial: bool = False
) -> VerifiedLog:
    """Return what an exported log proves.

    Raises: BadLog naming the row, Misconfigured when the ledger's key is not known.
    """
    did = key or at.trust.ledger
    if did is None:
        raise Misconfigured("the ledger's key is not known here: say --key or --data")
    name = origin or at.urls.ledger_url.split("://", 1)[1]
    lines = itertools.takewhile(bool, iter(file.readline, b""))
    return verify_export(lines, origin=name, key=parse_did_key(did), some_withheld=partial)
