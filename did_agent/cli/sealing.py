"""`did-agent key seal` and `did-agent key unseal`: private keys on the disk, sealed in place (KEY-01)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from did_agent.adapters.keystore import seal_file, unseal_file
from did_agent.adapters.sealing import (
    PASSPHRASE,
    identity_file,
    is_sealed,
    passphrase_given,
    passphrase_in,
    read_own,
    seal_identity,
    vault_of,
)
from did_agent.cli.deployment import Deployment
from did_agent.cli.output import emit, json_option
from did_agent.errors import Misconfigured

_files = click.argument("files", nargs=-1, type=click.Path(dir_okay=False, path_type=Path))
_passphrase = click.option(
    "--passphrase-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"File with the passphrase of the identity; without it {PASSPHRASE} or {PASSPHRASE}_FILE counts.",
)


@click.command()
@_files
@_passphrase
@json_option
@click.pass_obj
def seal(at: Deployment, files: tuple[Path, ...], passphrase_file: Path | None, as_json: bool) -> None:
    """Seal private keys in place: FILES, or every key of the data folder.

    They are sealed for the identity beside them, which is made when there is none; with a passphrase the identity is
    sealed too.  Do it again after a crash: every file is as before or as after, and what is done is left alone.
    """
    chosen = _chosen(at, files)
    with _given(passphrase_file):
        for folder in sorted({path.parent for path in chosen}):
            _identity(folder)
        _done([str(path) for path in chosen if seal_file(path)], "sealed", as_json=as_json)


@click.command()
@_files
@_passphrase
@json_option
@click.pass_obj
def unseal(at: Deployment, files: tuple[Path, ...], passphrase_file: Path | None, as_json: bool) -> None:
    """Write sealed private keys in clear, in place: FILES, or every key of the data folder."""
    with _given(passphrase_file):
        _done([str(path) for path in _chosen(at, files) if unseal_file(path)], "in clear", as_json=as_json)


def _identity(folder: Path) -> None:
    path, passphrase = identity_file(folder), passphrase_given()
    if passphrase is not None and path.exists() and not is_sealed(read_own(path)):
        seal_identity(path, passphrase)
    vault_of(folder, create=True)


def _chosen(at: Deployment, files: Sequence[Path]) -> Sequence[Path]:
    found = files or sorted((at.data / "keys").glob("*.jwk"))
    if not found:
        raise Misconfigured(f"there is no key in {at.data / 'keys'}")
    return found


@contextmanager
def _given(file: Path | None) -> Iterator[None]:
    """Have the passphrase of a file count inside."""
    if file is None:
        yield
        return
    before = {name: os.environ.pop(name, None) for name in (PASSPHRASE, f"{PASSPHRASE}_FILE")}
    passphrase_in(file)
    os.environ[f"{PASSPHRASE}_FILE"] = str(file)
    try:
        yield
    finally:
        del os.environ[f"{PASSPHRASE}_FILE"]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _done(changed: Sequence[str], state: str, *, as_json: bool) -> None:
    text = "\n".join(f"{path}: {state}" for path in changed) or f"all of them are {state} already"
    emit({"changed": list(changed), "state": state}, as_json=as_json, text=text)
