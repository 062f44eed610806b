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
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import parse_ed25519_jwk, private_jwk

_MAX_FILE: Final = 4_096  # bytes
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def load_key(path: Path) -> SigningKey:
    """Return the key of a file.

    Raises: Misconfigured when it is missing, readable by others, or not a private Ed25519 JWK.
    """
    try:
        mode = path.stat().st_mode
        if mode & _OTHERS:
            raise Misconfigured(f"{path} is readable by others; run: chmod 600 {path}")
        return parse_ed25519_jwk(parse_object(path.read_bytes(), max_bytes=_MAX_FILE))
    except OSError as error:
        raise Misconfigured(f"cannot read the key {path}: {error.strerror}") from error
    except DidAgentError as error:
        if isinstance(error, Misconfigured):
            raise
        raise Misconfigured(f"{path} is not a private Ed25519 JWK") from error


def load_or_create_key(path: Path) -> SigningKey:
    """Return the key of a file, made on first use and durable before it is returned.

    Raises: Misconfigured.
    """
    if not path.exists():
        key = SigningKey.generate()
        try:
            write_private(path, json.dumps(private_jwk(key)).encode(), replace=False)
        except FileExistsError:
            return load_key(path)  # another process was first
        except OSError as error:
            raise Misconfigured(f"cannot write the key {path}: {error.strerror}") from error
        return key
    return load_key(path)


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
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
