"""argon2id in a small pool of its own: logins queue behind each other, never before token calls (OAU-16)."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from did_agent.errors import Unavailable

THREADS: Final = 2  # hashes at once
NICENESS: Final = 15  # of the hashing threads: who is at the token endpoint is served first on a busy machine
MAX_WAITING: Final = 32  # logins in the queue; more are turned away

Result = TypeVar("Result")


class Argon2Passwords:
    """Implements `bridge.ports.Passwords`."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2", initializer=_step_back)
        self._waiting = 0
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """Return the encoded hash of a password.

        Raises: Unavailable when too many logins wait.
        """
        return await self._run(lambda: self._hasher.hash(password))

    async def is_right(self, stored: str | None, password: str) -> bool:
        """Tell whether the password is that of `stored`; None takes the same time and is never right (OAU-15).

        Nor is the empty one of an account without a password, which is known by a company's login alone.
        Raises: Unavailable when too many logins wait.
        """
        if not stored:
            # A hash that nobody knows the password of, made once with the same cost as a real one.
            self._nobody = self._nobody or await self.hash(secrets.token_urlsafe(32))
        return await self._run(lambda: self._verify(stored or self._nobody or "", password)) and bool(stored)

    def close(self) -> None:
        """End the pool."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= MAX_WAITING:
            raise Unavailable("too many logins wait")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


def _step_back() -> None:
    # Linux has a niceness for each thread, and those that argon2 makes inherit it; elsewhere it is the whole process's.
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may forbid it; then logins are only in the way
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
