"""`did-agent backup` and `restore`: all that a deployment keeps, in one file, and back into an empty place."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from did_agent.adapters.trust import FILE, load_trust
from did_agent.audit.checkpoint import verify_checkpoint
from did_agent.cli.database import schemas
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option, say
from did_agent.clock import format_timestamp, system_clock
from did_agent.did.key import parse_did_key
from did_agent.errors import BadLog, Misconfigured

if TYPE_CHECKING:
    from did_agent.adapters.backup_sql import Kept

LEDGER: Final = "ledger"
_ALL: Final = "all"


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--plain-keys", is_flag=True, help="Take keys along that are not sealed: who reads the file has them.")
@json_option
@click.pass_obj
def backup(at: Deployment, file: Path, plain_keys: bool, as_json: bool) -> None:
    """Copy databases, settings and sealed keys of a deployment into FILE, while it runs."""
    said = asyncio.run(_backup(at, file.absolute(), plain_keys=plain_keys))
    text = f"{file}: {len(said['databases'])} databases, {said['files']} files, keys: {said['keys']}"
    emit(said, as_json=as_json, text=text)
    if said["keys"] != "plain" and said["left_out"]:
        say(f"{said['left_out']} files of keys lie in clear and stayed: seal them, copy them yourself, or --plain-keys")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option(
    "--checkpoint",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="The newest signed checkpoint that you kept: tells what the backup lacks.",
)
@click.option("--accept-loss", is_flag=True, help="Go on although the log is older than a signed checkpoint.")
@json_option
@click.pass_obj
def restore(at: Deployment, file: Path, checkpoint: Path | None, accept_loss: bool, as_json: bool) -> None:
    """Put a backup into an empty data folder, and into empty databases; nothing may run there meanwhile."""
    note = None if checkpoint is None else checkpoint.read_text(encoding="utf-8")
    said = asyncio.run(_restore(at, file, note, accepts_loss=accept_loss))
    text = f"{at.data} is restored: {said['events']} events, as of {said['made']}"
    emit(said, as_json=as_json, text=text)
    if said["keys"] != "plain" and not said["keys_complete"]:
        say(f"keys are missing: put yours into {at.data / 'keys'} before anything is started")
    if said["missing_events"]:
        say(f"the log is older than a signed checkpoint: {said['missing_events']} events are lost")
        say("hint: whoever holds that checkpoint will see a log that was cut; keep it as the proof of what was lost")


async def _backup(at: Deployment, file: Path, *, plain_keys: bool) -> dict[str, Any]:
    from did_agent.adapters import backup as archive
    from did_agent.adapters import backup_sql

    if not (at.data / FILE).exists():
        raise Misconfigured(f"there is no deployment in {at.data}")
    how, secret = archive.secret_files(at.data, plain=plain_keys)
    every = archive.secret_files(at.data, plain=True)[1]
    writer = archive.Writer(file)
    try:
        async with _kept(at) as kept:
            checkpoint = await _newest_checkpoint(kept)
            with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as folder:
                for spool in archive.spools(at.data, [one.file for one in kept if one.file is not None]):
                    backup_sql.copy_sqlite(spool, Path(folder) / spool.name)
                    writer.add(spool.name, Path(folder) / spool.name)
                for name, path in archive.files_beside(at.data):
                    writer.add(name, path)
                for name, path in secret:
                    writer.add(name, path)
                databases = [await backup_sql.save(one, writer, Path(folder)) for one in kept]
        manifest = archive.Manifest(
            made=format_timestamp(system_clock()),
            version=version("did-agent"),
            members=writer.members,
            databases=databases,
            checkpoint=checkpoint,
            keys=how,
        )
        writer.finish(manifest)
    except BaseException:
        writer.abandon()
        raise
    return {
        "file": str(file),
        "made": manifest.made,
        "databases": [one["party"] for one in databases],
        "files": len(writer.members),
        "keys": how,
        "left_out": len(every) - len(secret),
        "checkpoint": checkpoint,
    }


async def _restore(at: Deployment, file: Path, note: str | None, *, accepts_loss: bool) -> dict[str, Any]:
    from did_agent.adapters import backup as archive

    data = at.data.absolute()
    folder = _beside(data)
    try:
        manifest = archive.unpack(file, folder)
        async with _kept(at, folder) as kept, _all_or_nothing(kept, manifest, folder):
            events, newest = await _log_of(kept)
            missing = _missing(folder, events, newest, [manifest["checkpoint"], note])
            _require_whole(events, missing, accepts_loss=accepts_loss)
        shutil.rmtree(folder / "postgresql", ignore_errors=True)  # what was only carried
        folder.replace(data)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return {
        "data": str(at.data),
        "made": manifest["made"],
        "events": events,
        "missing_events": missing,
        "keys": manifest["keys"],
        "keys_complete": (data / "keys" / f"{LEDGER}.jwk").exists(),
    }


def _beside(data: Path) -> Path:
    """Return a new folder that can take the place of `data`.

    Raises: Misconfigured when that is not empty.
    """
    if data.exists() and any(data.iterdir()):
        raise Misconfigured(f"{data} is not empty; a backup is restored into an empty folder")
    data.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=data.parent, prefix=f".{data.name}."))


@contextlib.asynccontextmanager
async def _all_or_nothing(kept: Sequence[Kept], manifest: Mapping[str, Any], folder: Path) -> AsyncIterator[None]:
    """Fill the databases; they are empty again when the block fails."""
    from did_agent.adapters import backup_sql

    for one in kept:
        await backup_sql.require_empty(one)
    said = {str(one["party"]): one for one in manifest["databases"]}
    try:
        for one in kept:
            if one.schema.party in said:
                await backup_sql.restore(one, said[one.schema.party], folder)
        yield
    except BaseException:
        for one in kept:
            await backup_sql.empty(one)
        raise


def _require_whole(events: int, missing: int, *, accepts_loss: bool) -> None:
    if missing and not accepts_loss:
        raise BadLog(
            f"the log in the backup has {events} events, a signed checkpoint says {events + missing}: "
            "--accept-loss restores it nevertheless"
        )


def _missing(folder: Path, events: int, newest: str | None, notes: Sequence[str | None]) -> int:
    """Return how many events signed checkpoints speak of that the log has not.

    Raises: BadLog for a checkpoint that is not one of this ledger's.
    """
    trusted = load_trust(folder / FILE).ledger
    if trusted is None:
        return 0
    key, most = parse_did_key(trusted), events
    for note in (newest, *notes):
        if note is not None:
            signed = verify_checkpoint(note, origin=note.partition("\n")[0], key=key)
            most = max(most, signed.size)
    return most - events


async def _newest_checkpoint(kept: Sequence[Kept]) -> str | None:
    return (await _log_of(kept))[1]


async def _log_of(kept: Sequence[Kept]) -> tuple[int, str | None]:
    from did_agent.adapters.backup_sql import ledger_state

    found = [one for one in kept if one.schema.party == LEDGER]
    return await ledger_state(found[0]) if found else (0, None)


@contextlib.asynccontextmanager
async def _kept(at: Deployment, folder: Path | None = None) -> AsyncIterator[list[Kept]]:
    """Yield the databases of all parties, the ledger's last."""
    from did_agent.adapters.backup_sql import Kept
    from did_agent.adapters.sql import open_database

    found = sorted(schemas(_ALL), key=lambda schema: schema.party == LEDGER)
    kept = [Kept(schema=schema, engine=open_database(schema.url(folder or at.data))) for schema in found]
    try:
        yield kept
    finally:
        for one in kept:
            await one.engine.dispose()
