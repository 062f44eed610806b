"""Run a command with a throw-away PostgreSQL on loopback: `python tests/with_postgres.py pytest …`.

The URL reaches the command as DID_AGENT_TEST_POSTGRES.  Where PostgreSQL is not installed the
command runs without it, the tests that need it say so, and continuous integration refuses.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "DID_AGENT_TEST_POSTGRES"


def find_programs() -> Path | None:
    """Return the folder that holds `initdb` and `pg_ctl`, the newest version first."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[-3], reverse=True)
    if versions:
        return versions[0].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def unprivileged_user() -> str | None:
    """Return the user the server runs as; PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextmanager
def running(programs: Path) -> Iterator[str]:
    """Start a cluster in a temporary folder, yield its URL, stop and delete it."""
    user = unprivileged_user()
    with tempfile.TemporaryDirectory(prefix="did-agent-pg-") as folder:
        if user:
            shutil.chown(folder, user)
        data = Path(folder) / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]

        def call(*command: str) -> None:
            subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

        call(str(programs / "initdb"), "-D", str(data), "-U", "test", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c max_connections=200"
        options += " -c fsync=off -c full_page_writes=off"  # the machine does not lose its power in a test
        call(str(programs / "pg_ctl"), "-D", str(data), "-o", options, "-l", f"{folder}/log", "-w", "start")
        try:
            yield f"postgresql+psycopg://test@127.0.0.1:{port}/postgres"
        finally:
            call(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")


def main(command: Sequence[str]) -> int:
    programs = find_programs()
    if programs is None:
        if os.environ.get("CI"):
            print("PostgreSQL is not installed; the tests need it", file=sys.stderr)
            return 1
        print("PostgreSQL is not installed: its tests will be skipped", file=sys.stderr)
        return subprocess.run(command, check=False).returncode
    with running(programs) as url:
        return subprocess.run(command, check=False, env={**os.environ, VARIABLE: url}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
