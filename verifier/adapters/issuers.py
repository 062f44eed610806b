"""The issuers beside the bridge, from `issuers.json` or from the program that asks for a guard."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from did_agent.errors import Misconfigured
from verifier.issuers import FILE, ForeignIssuer, parse_issuers

Said = Path | str | Sequence[Mapping[str, object]]  # a file, or the entries themselves


def load_issuers(said: Said | None, *, file: Path | None, data: Path) -> tuple[ForeignIssuer, ...]:
    """Return the issuers that a program said, else those of the file of the settings, else of the data folder.

    A file that was named must be there; secrets are looked for beside it.

    Raises: Misconfigured.
    """
    if said is None:
        named = data / FILE if file is None else file
        return _read(named) if file is not None or named.exists() else ()
    if isinstance(said, Path | str):
        return _read(Path(said))
    try:
        raw = json.dumps({"issuers": list(said)})
    except (TypeError, ValueError) as error:
        raise Misconfigured("issuers are not what JSON can hold") from error
    return parse_issuers(raw, where="issuers")


def _read(path: Path) -> tuple[ForeignIssuer, ...]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror}") from error
    return tuple(_beside(path.parent, issuer) for issuer in parse_issuers(raw, where=str(path)))


def _beside(folder: Path, issuer: ForeignIssuer) -> ForeignIssuer:
    at = issuer.introspection
    if at is None or at.secret_file is None:
        return issuer
    return replace(issuer, introspection=replace(at, secret_file=str(folder / at.secret_file)))
