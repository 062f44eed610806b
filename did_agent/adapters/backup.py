"""A backup: one tar file with a manifest of digests, the databases, what lies beside them, and keys if they are sealed.

Databases are copied while they are written.  Those that deliver come before the ledger: an event that moves meanwhile
is in both, and the ledger takes an id once; the other way round it would be in neither.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

from did_agent.adapters.files import sync_folder
from did_agent.adapters.keystore import is_plain
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import InvalidParameter, Malformed, Misconfigured

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
MAX_MANIFEST: Final = 1_048_576  # bytes
KEYS: Final = "keys"
WALLET: Final = "wallet"
_BLOCK: Final = 1_048_576  # bytes copied at once
_OF_SQLITE: Final = (".db-wal", ".db-shm", ".db-journal")  # what they hold is in the copy


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of a backup."""

    name: str
    size: int
    digest: str  # sha-256, hexadecimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says of itself."""

    made: str
    version: str
    members: Sequence[Member]
    databases: Sequence[Mapping[str, Any]]  # party, dialect, revision, member
    checkpoint: str | None  # the newest that the ledger had signed before anything was copied
    keys: str  # none, sealed, plain

    def encoded(self) -> bytes:
        """Return the JSON of it."""
        members = [{"name": one.name, "size": one.size, "sha256": one.digest} for one in self.members]
        said = {
            "format": FORMAT,
            "made": self.made,
            "version": self.version,
            "keys": self.keys,
            "checkpoint": self.checkpoint,
            "databases": [dict(one) for one in self.databases],
            "members": members,
        }
        return json.dumps(said, indent=2).encode()


class Writer:
    """Writes a backup: members first, the manifest last; a file without one is no backup."""

    def __init__(self, path: Path) -> None:
        """Raises: Misconfigured when the file exists or cannot be made."""
        self._path, self._part = path, path.with_name(path.name + ".part")
        if path.exists():
            raise Misconfigured(f"{path} exists; name another file")
        try:
            self._part.unlink(missing_ok=True)
            descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            self._file = os.fdopen(descriptor, "wb")
            self._tar = tarfile.open(fileobj=self._file, mode="w")  # noqa: SIM115  # `finish` or `abandon` closes it
        except OSError as error:
            raise Misconfigured(f"cannot write {path}: {error.strerror}") from error
        self.members: list[Member] = []

    def add(self, name: str, file: Path) -> None:
        """Add a file as long as it is now; one that is only appended to may grow meanwhile."""
        with file.open("rb") as opened:
            entry = _entry(name, os.fstat(opened.fileno()).st_size)
            reading = _Digesting(opened)
            self._tar.addfile(entry, reading)
        self.members.append(Member(name=name, size=entry.size, digest=reading.digest.hexdigest()))

    def finish(self, manifest: Manifest) -> None:
        """Add the manifest, and make the file durable under its name."""
        encoded = manifest.encoded()
        self._tar.addfile(_entry(MANIFEST, len(encoded)), io.BytesIO(encoded))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.rename(self._path)
        sync_folder(self._path.parent)

    def abandon(self) -> None:
        """Leave nothing behind."""
        self._tar.close()
        self._file.close()
        self._part.unlink(missing_ok=True)


class _Digesting:
    """A file whose digest is taken while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        found = self._file.read(size)
        self.digest.update(found)
        return found


def files_beside(data: Path) -> Iterator[tuple[str, Path]]:
    """Yield what lies in a data folder beside databases, keys and the wallet, by its name in a backup."""
    for path in sorted(data.rglob("*")):
        name = path.relative_to(data).as_posix()
        if path.is_file() and not name.startswith((f"{KEYS}/", f"{WALLET}/")) and not _is_database(path):
            yield name, path


def spools(data: Path, own: Iterable[Path]) -> list[Path]:
    """Return the databases of a data folder that are no party's own: those of its guards."""
    taken = {path.resolve() for path in own}
    return [path for path in sorted(data.glob("*.db")) if path.resolve() not in taken]


def secret_files(data: Path, *, plain: bool) -> tuple[str, list[tuple[str, Path]]]:
    """Return what goes along of keys and the wallet, and in one word how: `none`, `sealed` or `plain`.

    What lies in clear goes along only if `plain` is said; what opens sealed keys is a key itself (KEY-01).
    Raises: Misconfigured.
    """
    every = [path for folder in (KEYS, WALLET) for path in sorted((data / folder).rglob("*")) if path.is_file()]
    clear = frozenset(path for path in every if is_plain(path))
    taken = [path for path in every if plain or path not in clear]
    word = "none" if not taken else "plain" if clear and plain else "sealed"
    return word, [(path.relative_to(data).as_posix(), path) for path in taken]


def unpack(path: Path, folder: Path) -> dict[str, Any]:
    """Write the members of a backup below `folder` and return its manifest, once all of it is what was written.

    Raises: InvalidParameter.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            entries = {entry.name: entry for entry in tar}
            manifest = _manifest(tar, entries)
            listed = {str(one["name"]): one for one in manifest["members"]}
            if entries.keys() != {*listed, MANIFEST}:
                raise InvalidParameter("it holds other files than its manifest lists")
            for name, one in listed.items():
                _unpack(tar, entries[name], one, folder)
    except (tarfile.TarError, OSError, EOFError, KeyError, TypeError) as error:
        raise InvalidParameter(f"{path} cannot be read as a backup: {type(error).__name__}") from error
    return manifest


def _manifest(tar: tarfile.TarFile, entries: Mapping[str, tarfile.TarInfo]) -> dict[str, Any]:
    entry = entries.get(MANIFEST)
    opened = None if entry is None or entry.size > MAX_MANIFEST else tar.extractfile(entry)
    if opened is None:
        raise InvalidParameter("it has no manifest: it was not finished, or is something else")
    try:
        manifest = parse_object(opened.read(), max_bytes=MAX_MANIFEST, max_string=MAX_MANIFEST)
    except Malformed as error:
        raise InvalidParameter("its manifest cannot be read") from error
    if manifest.get("format") != FORMAT:
        raise InvalidParameter(f"it is of format {manifest.get('format')!r}; this release knows {FORMAT}")
    return dict(manifest)


def _unpack(tar: tarfile.TarFile, entry: tarfile.TarInfo, said: Mapping[str, Any], folder: Path) -> None:
    place = PurePosixPath(entry.name)
    if place.is_absolute() or ".." in place.parts or not entry.isreg() or entry.size != said["size"]:
        raise InvalidParameter(f"{entry.name[:200]} is not what the manifest says")
    opened, digest = tar.extractfile(entry), hashlib.sha256()
    target = folder / place
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as written:
        while opened is not None and (block := opened.read(_BLOCK)):
            digest.update(block)
            written.write(block)
        written.flush()
        os.fsync(written.fileno())
    if digest.hexdigest() != said["sha256"]:
        raise InvalidParameter(f"{entry.name[:200]} is not what the manifest says")


def _is_database(path: Path) -> bool:
    return path.suffix == ".db" or path.name.endswith(_OF_SQLITE)


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry
