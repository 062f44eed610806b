"""A witness of a running ledger: by its command, into exports and bundles, and its alarm when the log is another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import Up

from did_agent.adapters.keystore import load_or_create_key
from did_agent.audit.cosignature import Witness, verifier_key


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Up, str]]:
    key = load_or_create_key(tmp_path / "witness" / "witness.jwk")
    line = verifier_key(Witness(name="witness.example", key=key.public))
    monkeypatch.setenv("DID_AGENT_WITNESSES", line)
    up = Up(tmp_path / "data").start()
    yield up, line
    up.stop()


@pytest.mark.req("AUD-03", "AUD-04")
def test_a_witness_goes_along_and_readers_can_ask_for_it(watched: tuple[Up, str], tmp_path: Path) -> None:
    up, line = watched
    witness = ("audit", "witness", "--name", "witness.example", "--keys", str(tmp_path / "witness"))
    assert up.run(*witness, "--show-key").stdout.strip() == line
    up.run("agent", "create", "seen", "--sponsor", "Operations")
    up.run("cred", "issue", "seen", "--resource", up.resource, "--tool", "list_menu")
    up.run("token", "get", "seen", "--resource", up.resource)
    up.run("why", "last")
    assert up.json(*witness)["new"] is True
    shown = up.json("audit", "cosignatures", "--witness", line)
    assert shown["verified"][0]["witness"] == "witness.example"

    log, call = str(tmp_path / "audit.jsonl"), str(tmp_path / "call.json")
    up.run("audit", "export", log)
    told = up.json("audit", "verify", log, "--witness", line)
    assert (told["witnessed"], told["witnesses"]) == (shown["size"], ["witness.example"])
    up.run("audit", "bundle", "last", "-o", call)
    checked = up.json("audit", "verify-bundle", call, "--witness", line)
    assert checked["log"]["size"] == shown["size"]
    assert [one for one in checked["findings"] if one["what"].startswith("witness witness.example saw")]

    memory = tmp_path / "witness" / "seen.json"
    seen = json.loads(memory.read_text())
    memory.write_text(json.dumps({**seen, "root": "A" * 43 + "="}))
    forked = up.run(*witness, expected=1)
    assert "forked" in forked.stderr
    stranger = up.run("audit", "witness", "--name", "stranger", "--keys", str(tmp_path / "stranger"), expected=1)
    assert "not set up with this witness" in stranger.stderr
