"""`did-agent audit …`: read the log, export it, and check an export offline."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import click

from did_agent.adapters.keystore import write_private
from did_agent.audit.cosignature import parse_verifier_key
from did_agent.audit.export import VerifiedLog, require_witnessed, verify_export
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option
from did_agent.cli.table import audit_table
from did_agent.did.key import parse_did_key
from did_agent.encoding import base64url
from did_agent.errors import DidAgentError, Misconfigured


@click.group()
def audit() -> None:
    """Read and verify the audit log."""


@audit.command()
@click.option("-n", "limit", default=20, show_default=True, help="How many rows.")
@click.option("--agent", help="Only rows in which this DID acts.")
@click.option("--tool", help="Only calls of this tool.")
@click.option("--decision", type=click.Choice(["allow", "deny"]))
@json_option
@click.pass_obj
def tail(  # options of one command
    at: Deployment, limit: int, agent: str | None, tool: str | None, decision: str | None, as_json: bool
) -> None:
    """Show the newest decisions."""
    filters = {"actor": agent, "target": tool, "decision": decision, "limit": str(limit), "newest": "true"}
    question = {name: value for name, value in filters.items() if value is not None}
    rows, names = asyncio.run(_tail(at, question))
    emit({"events": rows}, as_json=as_json, text=audit_table([row["event"] for row in rows], names))


async def _tail(at: Deployment, question: dict[str, str]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    rows = await at.ledger.events(**question)
    try:
        agents = await at.issuer.agents()
    except DidAgentError:
        agents = []  # names are a convenience; the log stands without them
    return rows, {row["did"]: row["name"] for row in agents if row["did"]}


@audit.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
def export(at: Deployment, file: Path, as_json: bool) -> None:
    """Write the whole log with its signed checkpoints to a file."""
    content = asyncio.run(export_bytes(at))
    write_private(file.absolute(), content)
    emit({"file": str(file), "bytes": len(content)}, as_json=as_json, text=f"wrote {file} ({len(content)} bytes)")


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
