"""Several workers run the tests side by side, a file each: each has a PostgreSQL database of its own to empty."""

from __future__ import annotations

import os

WORKER, SERVER = os.environ.get("PYTEST_XDIST_WORKER"), os.environ.get("DID_AGENT_TEST_POSTGRES")

if WORKER is not None and SERVER is not None:
    import psycopg

    with psycopg.connect(SERVER.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {WORKER}".encode())
    os.environ["DID_AGENT_TEST_POSTGRES"] = f"{SERVER.rsplit('/', 1)[0]}/{WORKER}"  # test modules read it later
