"""`did-agent audit prove`: one row, its path and the signed checkpoint, checked on this machine."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from did_agent.audit.checkpoint import verify_checkpoint
from did_agent.audit.merkle import is_included
from did_agent.audit.rows import leaf_of, read_salts
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option
from did_agent.did.key import parse_did_key
from did_agent.encoding import base64url
from did_agent.errors import BadLog, Misconfigured, NotFound


@click.command()
@click.argument("row")
@click.option("--key", help="DID of the ledger's key; from trust.json if left out.")
@json_option
@click.pass_obj
def prove(at: Deployment, /, *, row: str, key: str | None, as_json: bool) -> None:
    """Show that ROW, its number or the id of its event, stands in the log that the ledger signed."""
    did = key or at.trust.ledger
    if did is None:
        raise Misconfigured("the ledger's key is not known here: say --key or --data")
    proven = asyncio.run(_prove(at, row, did))
    text = (
        f"row {proven['seq']}: {proven['event']['action']} {proven['event']['decision']} at {proven['event']['time']}\n"
        f"leaf {proven['leaf']}, by {len(proven['proof'])} nodes, to the root {proven['root']}\n"
        f"ok: it stands in the {proven['size']} rows that {did} signed"
    )
    emit(proven, as_json=as_json, text=text)


async def _prove(at: Deployment, row: str, did: str) -> dict[str, Any]:
    by_number = row.isascii() and row.isdigit()
    wanted = {"after": str(max(int(row) - 1, 0)), "limit": "1"} if by_number else {"id": row, "limit": "1"}
    found = await at.ledger.events(**wanted)
    if not found or (by_number and found[0]["seq"] != int(row)):
        raise NotFound(f"the log shows no row {row}")
    seq, event = int(found[0]["seq"]), found[0]["event"]
    note = await at.ledger.checkpoint()
    checkpoint = verify_checkpoint(note, origin=at.urls.ledger_url.split("://", 1)[1], key=parse_did_key(did))
    leaf = leaf_of(event, read_salts(found[0].get("salts", {})))
    path = await at.ledger.inclusion(seq, checkpoint.size)
    if not is_included(leaf, seq - 1, checkpoint.size, path, checkpoint.root):
        raise BadLog(f"row {seq}: the event was changed, or its proof: they do not lead to the signed root")
    return {
        "seq": seq,
        "size": checkpoint.size,
        "leaf": base64url.encode(leaf),
        "root": base64url.encode(checkpoint.root),
        "proof": [base64url.encode(node) for node in path],
        "checkpoint": note,
        "event": event,
    }
