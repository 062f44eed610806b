"""Private keys as JWK files that only their owner can read."""

from __future__ import annotations

import json
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from did_agent.encoding.strict_json import parse_object
from did_agent.errors import DidAgentError, Misconfigured
from did_agent.keys import public
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import parse_private_jwk, private_jwk
from did_agent.keys.multikey import generate_key
from did_agent.keys.public import KeyKind

_MAX_FILE: Final = 4_096  # bytes
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def load_key(path: Path) -> SigningKey:
    """Return the Ed25519 key of a file, the kind that parties and agents hold.

    Raises: Misconfigured when it is missing, readable by others, or not a private Ed25519 JWK.
    """
    key = load_any_key(path)
    if not isinstance(key, SigningKey):
        raise Misconfigured(f"{path} is not a private Ed25519 JWK")
    return key


def load_any_key(path: Path) -> public.SigningKey:
    """Return the key of a file, whatever its kind.

    Raises: Misconfigured when it is missing, readable by others, or not a private JWK.
    """
    try:
        mode = path.stat().st_mode
        if mode & _OTHERS:
            raise Misconfigured(f"{path} is readable by others; run: chmod 600 {path}")
        return parse_private_jwk(parse_object(path.read_bytes(), max_bytes=_MAX_FILE))
    except OSError as error:
        raise Misconfigured(f"cannot read the key {path}: {error.strerror}") from error
    except DidAgentError as error:
        if isinstance(error, Misconfigured):
            raise
        raise Misconfigured(f"{path} is not a private JWK of a kind known here") from error


def load_or_create_key(path: Path) -> SigningKey:
    """Return the Ed25519 key of a file, made on first use and durable before it is returned.

    Raises: Misconfigured.
    """
    _create(path, "Ed25519")
    return load_key(path)


def load_or_create_any_key(path: Path, kind: KeyKind) -> public.SigningKey:
    """Return the key of a file, made as one of `kind` on first use.

    Raises: Misconfigured, also when the file holds a key of another kind.
    """
    _create(path, kind)
    key = load_any_key(path)
    if key.public.kind != kind:
        raise Misconfigured(f"{path} is not a key of {kind}")
    return key


def _create(path: Path, kind: KeyKind) -> None:
    if path.exists():
        return
    try:
        write_private(path, json.dumps(private_jwk(generate_key(kind))).encode(), replace=False)
    except FileExistsError:
        return  # another process was first
    except OSError as error:
        raise Misconfigured(f"cannot write the key {path}: {error.strerror}") from error


def write_private(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Write a file of mode 0600 at once and durably; with `replace` false an existing one is left alone.

    Raises: OSError, FileExistsError.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A name nobody can guess, and only if it is new: a link laid out beforehand would carry the key elsewhere.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            os.link(draft, path)  # fails when the name is taken, unlike a rename
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Return when what a folder lists is durable.

    Raises: OSError.
    """
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
