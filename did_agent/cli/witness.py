"""`did-agent audit witness|cosignatures`: watch a ledger, and co-sign its checkpoints while it only grows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from did_agent.adapters.keystore import load_or_create_key
from did_agent.audit.checkpoint import verify_checkpoint
from did_agent.audit.cosignature import Witness, parse_verifier_key, require_name, require_quorum, verifier_key
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option, say
from did_agent.client.wire import send, text_in
from did_agent.client.witness import WitnessClient
from did_agent.did.key import did_key, parse_did_key
from did_agent.errors import Misconfigured, Unavailable

MAX_PAUSE = 86_400  # s

log_key_option = click.option("--log-key", metavar="DID", help="The log's key; from trust.json if left out.")


@click.command("witness")
@click.option("--name", default="witness", show_default=True, help="The witness's name, such as its host's.")
@click.option("--keys", "folder", type=click.Path(file_okay=False, path_type=Path), help="Its key and its memory.")
@click.option("--every", type=click.IntRange(1, MAX_PAUSE), help="Go on, with this many seconds between.")
@click.option("--show-key", is_flag=True, help="Print by which line it is known, and sign nothing.")
@log_key_option
@json_option
@click.pass_obj
def witness(  # options of one command
    at: Deployment,
    /,
    *,
    name: str,
    folder: Path | None,
    every: int | None,
    show_key: bool,
    log_key: str | None,
    as_json: bool,
) -> None:
    """Look at the newest checkpoint of the ledger, see that the log only grew, and co-sign it.

    It remembers what it signed, and refuses a fork or a log that shrank for ever.  Run it where the ledger's operators
    cannot touch it; the ledger takes what it signs once it is set up with its key (`DID_AGENT_WITNESSES`).
    """
    place = (folder or at.data / "witness").absolute()
    key = load_or_create_key(place / "witness.jwk")
    line = verifier_key(Witness(name=require_name(name), key=key.public))
    if show_key:
        emit({"witness": line, "did": did_key(key.public)}, as_json=as_json, text=line)
        return
    client = WitnessClient(
        ledger=at.urls.ledger_url,
        auth=at.operator_auth(at.urls.ledger_url),
        name=name,
        key=key,
        memory=place / "seen.json",
    )
    asyncio.run(_watch(client, log=log_key_of(at, log_key), origin=origin_of(at), every=every, as_json=as_json))


@click.command("cosignatures")
@click.option("--size", type=click.IntRange(1), help="Of the checkpoint over this many rows; else the newest of any.")
@click.option("--witness", "witnesses", multiple=True, metavar="KEY", help="A line that `audit witness` printed.")
@click.option("--quorum", type=click.IntRange(0), help="How many of them must have signed; all if left out.")
@log_key_option
@json_option
@click.pass_obj
def cosignatures(  # options of one command
    at: Deployment,
    /,
    *,
    size: int | None,
    witnesses: tuple[str, ...],
    quorum: int | None,
    log_key: str | None,
    as_json: bool,
) -> None:
    """Show what witnesses signed, and require that enough of them did."""
    path = "/cosignatures" if size is None else f"/checkpoints/{size}/cosignatures"
    auth = at.operator_auth(at.urls.ledger_url)
    answer = asyncio.run(send("ledger", at.urls.ledger_url, "GET", path, auth=auth))
    note, lines = text_in(answer, "checkpoint"), [str(line) for line in answer.get("cosignatures") or []]
    found = verify_checkpoint(note, origin=origin_of(at), key=parse_did_key(log_key_of(at, log_key)))
    known = [parse_verifier_key(text) for text in witnesses]
    signed = require_quorum(note, lines, known, len(known) if quorum is None else quorum)
    told = [{"witness": one.name, "time": f"{one.time:%FT%TZ}"} for one in signed]
    text = [f"{found.size} rows, {len(lines)} co-signatures", *(f"  {one['witness']}  {one['time']}" for one in told)]
    members = {"size": found.size, "checkpoint": note, "cosignatures": lines, "verified": told}
    emit(members, as_json=as_json, text="\n".join(text))


async def _watch(client: WitnessClient, *, log: str, origin: str, every: int | None, as_json: bool) -> None:
    while True:
        try:
            shown, is_new = await client.watch(log=log, origin=origin)
            words = "co-signed" if is_new else "co-signed again"
            members = {"origin": shown.origin, "size": shown.size, "new": is_new}
            emit(members, as_json=as_json, text=f"{words}: {shown.size} rows of {shown.origin}")
        except Unavailable as error:
            if every is None:
                raise
            say(f"not now: {error.detail}")
        if every is None:
            return
        await asyncio.sleep(every)


def log_key_of(at: Deployment, named: str | None) -> str:
    """Return the DID of the log's key.

    Raises: Misconfigured.
    """
    did = named or at.trust.ledger
    if did is None:
        raise Misconfigured("the ledger's key is not known here: say --log-key or --data")
    return did


def origin_of(at: Deployment) -> str:
    """Return the name of the log: the ledger's URL without its scheme."""
    return at.urls.ledger_url.split("://", 1)[1]
