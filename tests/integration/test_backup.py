"""Backups: made under load, restored into an empty place, whole or refused; what was lost since is said."""

from __future__ import annotations

import asyncio
import io
import json
import os
import tarfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from click.testing import CliRunner, Result

from did_agent.cli.auditing import export_bytes, verify_log
from did_agent.cli.deployment import Deployment, initialise
from did_agent.cli.main import cli
from did_agent.cli.up import running
from tests.integration.test_traces import free_base

POSTGRES = os.environ.get("DID_AGENT_TEST_POSTGRES")


def run(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--data", str(data), *arguments])


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Return what makes every party use databases that hold nothing."""
    made: list[str] = []

    def sqlite() -> None:
        monkeypatch.delenv("DID_AGENT_DATABASE_URL", raising=False)

    def postgresql() -> None:
        assert POSTGRES is not None
        made.append(f"backup_{uuid.uuid4().hex}")
        with _admin() as admin:
            admin.execute(f"CREATE DATABASE {made[-1]}".encode())
        monkeypatch.setenv("DID_AGENT_DATABASE_URL", POSTGRES.rsplit("/", 1)[0] + f"/{made[-1]}")

    if request.param == "postgresql" and POSTGRES is None:
        pytest.skip("no PostgreSQL: run the tests through tests/with_postgres.py")
    yield sqlite if request.param == "sqlite" else postgresql
    for name in made:
        with _admin() as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def _admin() -> Iterator[psycopg.Connection[Any]]:
    assert POSTGRES is not None
    with psycopg.connect(POSTGRES.replace("+psycopg", ""), autocommit=True) as admin:
        yield admin


async def settled(at: Deployment, agents: int) -> list[dict[str, Any]]:
    """Return the registrations in the log, once all of them are there."""
    found: list[dict[str, Any]] = []
    for _ in range(100):
        rows = await at.ledger.events(limit="500", action="agent.create")
        found = [row["event"] for row in rows]
        if len(found) >= agents:
            break
        await asyncio.sleep(0.05)
    return found


@pytest.mark.req("AUD-01", "AUD-03", "OPS-08")
async def test_a_backup_under_load_is_restored_whole_and_what_came_after_is_missed(
    tmp_path: Path, fresh: Callable[[], None]
) -> None:
    data, file, base = tmp_path / "data", tmp_path / "b.tar", free_base()
    fresh()
    made: list[str] = []
    async with running(data, base) as at:

        async def load() -> None:
            while True:
                made.append((await at.issuer.create_agent(name=f"agent-{len(made)}", sponsor="Ops"))["agent_id"])

        working = asyncio.create_task(load())
        while len(made) < 5:
            await asyncio.sleep(0.01)
        before = len(made)
        done = await asyncio.to_thread(run, data, "backup", str(file), "--plain-keys", "--json")
        assert done.exit_code == 0, done.output
        while len(made) < before + 5:
            await asyncio.sleep(0.01)
        working.cancel()
        await settled(at, len(made))
        url, newest = at.urls.ledger_url, tmp_path / "kept.note"
        async with httpx2.AsyncClient(auth=at.operator_auth(url), trust_env=False) as http:
            newest.write_text((await http.get(f"{url}/checkpoint")).text)
    said = json.loads(done.stdout)
    assert (said["databases"], said["keys"]) == (["bridge", "console", "issuer", "ledger"], "plain")
    assert file.stat().st_mode & 0o077 == 0

    # Whoever kept a newer checkpoint learns that the log is older than that.
    fresh()
    again = tmp_path / "again"
    cut = await asyncio.to_thread(run, again, "restore", str(file), "--checkpoint", str(newest))
    assert (cut.exit_code, "a signed checkpoint says" in cut.output, again.exists()) == (1, True, False)
    done = await asyncio.to_thread(
        run, again, "restore", str(file), "--checkpoint", str(newest), "--accept-loss", "--json"
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["missing_events"] > 0
    assert "events are lost" in done.stderr

    # It works on as it was: what the issuer knows is in the log, and the log is one that verifies.
    async with running(again, base) as at:
        agents = {row["agent_id"] for row in await at.issuer.agents()}
        assert set(made[:before]) <= agents < set(made)
        # The ledger was copied last: it may know of agents that the copy of the issuer does not have yet.
        logged: set[str] = set()
        async with asyncio.timeout(10):
            while not agents <= logged:
                logged = {event["target"] for event in await settled(at, len(agents))}
        assert logged < set(made)
        await at.issuer.create_agent(name="after", sponsor="Ops")
        await settled(at, len(logged) + 1)
        exported = await export_bytes(at)
    assert verify_log(at, io.BytesIO(exported)).size > 0
    assert not (again / "postgresql").exists()
    assert (await asyncio.to_thread(run, again, "restore", str(file))).exit_code == 1  # never over what is there


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a backup of a deployment that did nothing yet."""
    monkeypatch.delenv("DID_AGENT_DATABASE_URL", raising=False)
    data, file = tmp_path / "data", tmp_path / "b.tar"
    initialise(data)
    assert run(data, "database", "upgrade").exit_code == 0
    done = run(data, "backup", str(file))
    assert done.exit_code == 0, done.output
    assert "lie in clear and stayed" in done.stderr
    assert run(data, "backup", str(file)).exit_code == 1  # an older one is never written over
    return file


@pytest.mark.req("KEY-01", "OPS-08")
def test_keys_in_clear_stay_and_sealed_ones_go_along(kept: Path, tmp_path: Path) -> None:
    with tarfile.open(kept) as tar:
        assert [name for name in tar.getnames() if name.startswith("keys/")] == []
    restored = run(tmp_path / "new", "restore", str(kept))
    assert (restored.exit_code, "keys are missing" in restored.stderr) == (0, True)
    data = tmp_path / "data"
    for name in ("issuer", "ledger", "operator", "bridge", "urban-bites"):
        assert run(data, "key", "seal", str(data / "keys" / f"{name}.jwk")).exit_code == 0
    assert run(data, "backup", str(tmp_path / "sealed.tar")).exit_code == 0
    with tarfile.open(tmp_path / "sealed.tar") as tar:
        keys = {name for name in tar.getnames() if name.startswith("keys/")}
    assert keys == {f"keys/{name}.jwk" for name in ("issuer", "ledger", "operator", "bridge", "urban-bites")}


@pytest.mark.req("OPS-08")
@pytest.mark.parametrize("how", ["one byte", "one more file", "cut short", "climbing", "no manifest"])
def test_a_backup_that_was_changed_is_refused_and_nothing_is_left(kept: Path, tmp_path: Path, how: str) -> None:
    whole = kept.read_bytes()
    if how == "one byte":
        place = whole.index(b'"issuers"')
        kept.write_bytes(whole[:place] + b'"issuerz"' + whole[place + 9 :])
    elif how == "cut short":
        kept.write_bytes(whole[: len(whole) // 2])
    else:
        with tarfile.open(kept) as tar:
            entries = [(entry, tar.extractfile(entry).read()) for entry in tar]  # type: ignore[union-attr]
        if how == "no manifest":
            entries.pop()
        else:
            entry = tarfile.TarInfo("../climbed" if how == "climbing" else "more")
            entries.insert(0, (entry, b""))
        with tarfile.open(kept, "w") as tar:
            for entry, content in entries:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    done = run(tmp_path / "new", "restore", str(kept))
    assert done.exit_code == 1
    assert not (tmp_path / "new").exists()
    assert not (tmp_path.parent / "climbed").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
