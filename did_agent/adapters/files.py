"""Files that only their owner can read, written at once and durably."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_private(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Write a file of mode 0600 at once and durably; with `replace` false an existing one is left alone.

    Raises: OSError, FileExistsError.
    """
    with private_file(path, replace=replace) as file:
        file.write(content)


@contextmanager
def private_file(path: Path, *, replace: bool = True) -> Iterator[BinaryIO]:
    """Give what a file of mode 0600 is to hold; it stands there, durably, when the block ends well, else not at all.

    Raises: OSError, FileExistsError.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A name nobody can guess, and only if it is new: a link laid out beforehand would carry the key elsewhere.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
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
