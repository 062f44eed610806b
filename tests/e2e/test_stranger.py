"""A stranger's check: the wheel alone, no network, no deployment, one file about one call of the demo."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from processes import Up

from did_agent.cli.demo.narrator import Narrator
from did_agent.cli.demo.story import tell
from did_agent.cli.deployment import Deployment, Urls
from did_agent.proof.jwt import unverified_jws
from tests.fakes.wheels import bare_machine, build_wheel

FLIPS = 5  # processes; every byte is flipped in tests/property/test_evidence_bundles.py


def claims(token: str) -> Any:
    return unverified_jws(token)[1]


@dataclass(frozen=True)
class Stranger:
    """Somebody with the wheel, in an empty folder."""

    python: Path
    home: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        alone = (
            ["unshare", "-rn"]
            if shutil.which("unshare") and not subprocess.run(["unshare", "-rn", "true"]).returncode
            else []
        )
        command = [*alone, str(self.python), "-c", "from did_agent.cli.main import main; main()", *arguments]
        environment = {"HOME": str(self.home), "PATH": "/usr/bin:/bin"}
        return subprocess.run(command, cwd=self.home, env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    folder = tmp_path_factory.mktemp("stranger")
    home = folder / "home"
    home.mkdir()
    return Stranger(bare_machine(folder / "venv", build_wheel(tmp_path_factory.mktemp("wheel"))), home)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    started = Up(tmp_path_factory.mktemp("demo") / "data").start()
    asyncio.run(tell(Deployment(urls=Urls.on_ports_from(started.base), data=started.data), Narrator(quiet=True)))
    yield started
    started.stop()


@pytest.mark.req("AUD-03", "DEL-07")
def test_a_stranger_checks_one_call_of_the_demo_and_finds_every_changed_byte(demo: Up, stranger: Stranger) -> None:
    rows = [row["event"] for row in demo.json("audit", "tail", "-n", "100", "--tool", "assign_delivery")["events"]]
    call = next(event for event in rows if event["decision"] == "allow")
    file = stranger.home / "call.json"
    made = demo.json("audit", "bundle", call["request_id"], "-o", str(file))
    assert (made["event"], made["missing"]) == (call["id"], [])

    missing = subprocess.run(
        [stranger.python, "-c", "import fastapi"], capture_output=True, text=True, cwd=stranger.home
    )
    assert "ModuleNotFoundError" in missing.stderr
    reach = "import socket; socket.create_connection(('127.0.0.1', 1))"
    alone = subprocess.run([stranger.python, "-c", reach], capture_output=True, text=True, cwd=stranger.home)
    assert "there is no network here" in alone.stderr

    checked = stranger.run("audit", "verify-bundle", "call.json", "--json")
    assert checked.returncode == 0, checked.stderr
    told = json.loads(checked.stdout)
    assert told["event"] == call
    assert [found["what"] for found in told["findings"] if "handed on to" in found["what"]]
    key, (issuer,) = told["log"]["key"], told["issuers"]
    pinned = ("--issuer", issuer, "--log-key", key, *(word for one in told["parties"] for word in ("--party", one)))
    text = stranger.run("audit", "verify-bundle", "call.json", *pinned)
    assert text.stdout.startswith("ok: everything fits")
    assert key in text.stdout
    assert "ask whether" not in text.stdout
    wrong = stranger.run("audit", "verify-bundle", "call.json", "--issuer", key)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "issuer_not_trusted" in wrong.stderr

    whole = file.read_bytes()
    for _ in range(FLIPS):
        spoiled = bytearray(whole)
        spoiled[secrets.randbelow(len(spoiled))] ^= 1 << secrets.randbelow(8)
        file.write_bytes(spoiled)
        found = stranger.run("audit", "verify-bundle", "call.json")
        assert (found.returncode, found.stdout) == (1, ""), bytes(spoiled)
        assert found.stderr.startswith("did-agent: ")
    assert list(stranger.home.iterdir()) == [file]  # nothing was written
    file.unlink()


@pytest.mark.req("AUD-03", "TOK-01")
def test_a_stranger_recognises_the_token_of_a_call_by_the_bridges_key(demo: Up, stranger: Stranger) -> None:
    tokens = [
        demo.run("token", "get", "ordering-assistant", "--resource", demo.resource).stdout.strip() for _ in range(2)
    ]
    made = claims(tokens[0])["jti"]
    for _ in range(40):
        rows = [row["event"] for row in demo.json("audit", "tail", "-n", "20")["events"]]
        if any(event["token_id"] == made for event in rows):
            break
        time.sleep(0.1)
    (given,) = [event for event in rows if event["token_id"] == made and event["action"] == "token.issue"]
    demo.run("audit", "bundle", given["id"], "-o", str(stranger.home / "token.json"))
    for token, code, words in ((tokens[0], 0, ""), (tokens[1], 1, "another call's"), (tokens[0][:-9] + "A" * 9, 1, "")):
        shown = stranger.home / "shown.txt"
        shown.write_text(token)
        checked = stranger.run("audit", "verify-bundle", "token.json", "--token", "shown.txt")
        assert checked.returncode == code, checked.stderr
        assert words in checked.stderr
        assert token not in checked.stdout + checked.stderr
        assert ("the token of the call says so too" in checked.stdout) is (code == 0)
