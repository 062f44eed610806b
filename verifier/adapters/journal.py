"""Durable texts in the order they were written, in append-only files: what a guard still owes the ledger.

A file is filled with zeros before its first use, so that syncing a text writes that text and no more.  Each process
writes files of its own, under a lock that ends with it; what another left behind is taken over, and nobody else's is
touched.  Texts whose delivery was noted just before a power cut come again: the ledger takes an event once.
"""

from __future__ import annotations

import fcntl
import os
import struct
import weakref
import zlib
from collections import deque
from pathlib import Path
from typing import Final

FILE_BYTES: Final = 1_048_576  # of one file; a text must fit
_MARK: Final = struct.Struct(">Q")  # at the beginning: up to where everything was delivered
_FRAME: Final = struct.Struct(">II")  # before each text: its length and CRC-32; zeros after the last one
_SUFFIX: Final = ".events"

_sync: Final = getattr(os, "fdatasync", os.fsync)


class _File:
    """One file, locked by this process."""

    def __init__(self, path: Path, *, fresh: bool) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDWR | (os.O_CREAT | os.O_EXCL if fresh else 0), 0o600)
        self._close = weakref.finalize(self, os.close, self.descriptor)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if fresh:
                os.pwrite(self.descriptor, _MARK.pack(_MARK.size).ljust(FILE_BYTES, b"\0"), 0)
                os.fsync(self.descriptor)
            self.delivered = _MARK.size if fresh else max(*_MARK.unpack(self._read(0, _MARK.size)), _MARK.size)
        except BaseException:
            self._close()
            raise
        self.end = self.delivered  # of what is known to be on disk
        self.broken = False  # whether a write failed: what the disk has then is not known

    def close(self) -> None:
        """Let go of the file; whoever comes next finds it."""
        self._close()

    def fits(self, size: int) -> bool:
        return not self.broken and self.end + size <= FILE_BYTES

    def append(self, frames: bytes) -> None:
        """Write frames and return when they are on disk; what failed is not taken for written."""
        try:
            os.pwrite(self.descriptor, frames, self.end)
            _sync(self.descriptor)
        except OSError:
            self.broken = True
            raise
        self.end += len(frames)

    def count(self) -> int:
        """Find the end of a file another process wrote; return how many texts wait in it."""
        found = 0
        for text in self.texts(FILE_BYTES, until=FILE_BYTES):
            found, self.end = found + 1, self.end + _FRAME.size + len(text)
        return found

    def texts(self, most: int, *, until: int) -> list[bytes]:
        """Return at most so many texts that were not delivered."""
        held, at, found = self._read(self.delivered, until - self.delivered), 0, list[bytes]()
        while len(found) < most and at + _FRAME.size <= len(held):
            length, checksum = _FRAME.unpack_from(held, at)
            text = held[at + _FRAME.size : at + _FRAME.size + length]
            if not length or len(text) != length or zlib.crc32(text) != checksum:
                break  # the end, or what a power cut left of the last write, which nobody was told to be there
            found.append(text)
            at += _FRAME.size + length
        return found

    def pass_over(self, size: int) -> None:
        """Note what was delivered, without waiting for the disk."""
        self.delivered += size
        os.pwrite(self.descriptor, _MARK.pack(self.delivered), 0)

    def remove(self) -> None:
        """Delete a file of which everything was delivered."""
        self.path.unlink(missing_ok=True)
        self._close()

    def _read(self, at: int, size: int) -> bytes:
        return os.pread(self.descriptor, size, at)


class Journal:
    """The files of one folder, as far as they are this process's; methods raise OSError."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._files: deque[_File] = deque()  # oldest first
        self._current: _File | None = None  # the one that is written; the last of them
        self._read: _File | None = None  # the one `oldest` was taken from
        self._number = 0  # of the newest file seen
        self.waiting = 0  # texts
        self.adopt()

    def adopt(self) -> int:
        """Take over files of processes that ended; return how many texts wait in them."""
        mine = {one.path for one in self._files}
        found = 0
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            self._number = max(self._number, int(path.stem))
            other = None if path in mine else _left_behind(path)
            if other is not None:
                found += other.count()
                self._files.insert(len(self._files) - (self._current is not None), other)
        self.waiting += found
        return found

    def append(self, texts: list[bytes]) -> None:
        """Write texts and return when all are on disk."""
        frames = [_FRAME.pack(len(text), zlib.crc32(text)) + text for text in texts]
        while frames:
            file = self._writable(len(frames[0]))
            count, size = 0, 0
            while count < len(frames) and file.fits(size + len(frames[count])):
                size += len(frames[count])
                count += 1
            file.append(b"".join(frames[:count]))
            self.waiting += count
            del frames[:count]

    def oldest(self, most: int) -> list[bytes]:
        """Return at most so many texts, from the first that was not delivered on."""
        while self._files:
            first = self._files[0]
            if found := first.texts(most, until=first.end):
                self._read = first
                return found
            if first is self._current:
                break
            self._files.popleft().remove()
        return []

    def deliver(self, texts: list[bytes]) -> None:
        """Forget what `oldest` returned, or the first part of it."""
        if self._read is not None:
            self._read.pass_over(sum(_FRAME.size + len(text) for text in texts))
            self.waiting -= len(texts)

    def close(self) -> None:
        """Let go of all files; nothing that was written is lost."""
        for file in self._files:
            file.close()
        self._files.clear()
        self._current = self._read = None

    def _writable(self, size: int) -> _File:
        while self._current is None or not self._current.fits(size):
            self._number += 1
            try:
                self._current = _File(self._folder / f"{self._number:012d}{_SUFFIX}", fresh=True)
            except FileExistsError:
                continue  # another process of this guard was faster
            self._files.append(self._current)
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        return self._current


def _left_behind(path: Path) -> _File | None:
    """Return a file whose writer ended."""
    try:
        if path.stat().st_size < FILE_BYTES:
            return None  # it is being made; or its maker died before it held anything
        file = _File(path, fresh=False)
    except (BlockingIOError, FileNotFoundError):
        return None  # its writer lives, or delivered it meanwhile
    # Between our opening and our lock the writer may have deleted it, and somebody begun another of this name.
    if not path.exists() or os.fstat(file.descriptor).st_ino != path.stat().st_ino:
        file.close()
        return None
    return file
