"""Private keys as JWK files that only their owner can read, plain or sealed for the identity beside them (KEY-01)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from did_agent.adapters.files import sync_folder, write_private
from did_agent.adapters.sealing import (
    DEMAND,
    are_sealed_ones_demanded,
    identity_file,
    is_sealed,
    passphrase_given,
    read_own,
    rewrite,
    vault_of,
)
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import DidAgentError, KeysUnavailable, Misconfigured
from did_agent.keys import public
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import parse_private_jwk, private_jwk
from did_agent.keys.multikey import generate_key
from did_agent.keys.public import KeyKind

_MAX_FILE: Final = 4_096  # bytes
_log: Final = logging.getLogger("did_agent.keys")

__all__ = [
    "is_plain",
    "load_any_key",
    "load_key",
    "load_or_create_any_key",
    "load_or_create_key",
    "seal_file",
    "sync_folder",
    "unseal_file",
    "warn_of_plain_keys",
    "write_private",
]


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
    content, is_demanded = read_own(path), are_sealed_ones_demanded()
    if is_sealed(content):
        return _key(path, _opened(path, content))
    if is_demanded:
        raise Misconfigured(f"{path} is not sealed, as {DEMAND} demands; run: did-agent key seal {path}")
    return _key(path, content)


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
    secret = json.dumps(private_jwk(generate_key(kind))).encode()
    if are_sealed_ones_demanded() or passphrase_given() is not None:
        secret = vault_of(path.parent, create=True).seal(secret)  # it never lies on the disk in clear
    try:
        write_private(path, secret, replace=False)
    except FileExistsError:
        return  # another process was first
    except OSError as error:
        raise Misconfigured(f"cannot write the key {path}: {error.strerror}") from error


def is_plain(path: Path) -> bool:
    """Tell whether whoever reads a file has its key.

    Raises: Misconfigured.
    """
    return not is_sealed(read_own(path))


def seal_file(path: Path) -> bool:
    """Seal the key of a file in place, for the identity of its folder; False when it is sealed already.

    What is written was opened again before; after a crash the file is as before or as after.
    Raises: Misconfigured, also for what is no key.
    """
    content = read_own(path)
    if is_sealed(content):
        _key(path, _opened(path, content))  # sealed for somebody else is not done
        return False
    _key(path, content)
    vault = vault_of(path.parent, create=True)
    sealed = vault.seal(content)
    if vault.open(sealed) != content:
        raise Misconfigured(f"{path} stays as it is: what was sealed could not be opened again")
    rewrite(path, sealed)
    return True


def unseal_file(path: Path) -> bool:
    """Write the key of a sealed file in clear, in place; False when it is plain already.

    Raises: Misconfigured.
    """
    content = read_own(path)
    if not is_sealed(content):
        return False
    opened = _opened(path, content)
    _key(path, opened)
    rewrite(path, opened)
    return True


def warn_of_plain_keys(paths: Iterable[Path]) -> None:
    """Say in the log which keys of a party that others can reach lie in clear; for the start.

    Raises: Misconfigured.
    """
    for path in paths:
        if path.exists() and is_plain(path):
            _log.warning("%s lies in clear: run `did-agent key seal`, or set %s=sealed to refuse it", path, DEMAND)
        elif path.exists() and is_plain(identity_file(path.parent)):
            _log.warning("%s, which opens %s, has no passphrase", identity_file(path.parent), path.name)


def _opened(path: Path, content: bytes) -> bytes:
    try:
        return vault_of(path.parent).open(content)
    except KeysUnavailable as error:
        raise Misconfigured(f"{path} was sealed for another identity, or changed since") from error


def _key(path: Path, content: bytes) -> public.SigningKey:
    try:
        return parse_private_jwk(parse_object(content, max_bytes=_MAX_FILE))
    except DidAgentError:
        # Without the cause: what is wrong with a key says something about it.
        raise Misconfigured(f"{path} is not a private JWK of a kind known here") from None
