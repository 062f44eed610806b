"""`did-agent login test` and the settings behind it: what an operator sees of the company's provider."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from pydantic import ValidationError

from bridge.settings import BridgeSettings
from did_agent.adapters.keystore import write_private
from did_agent.clock import system_clock
from did_agent.keys.jwk import private_jwk
from tests.fakes.bridge_world import Clock, World, world
from tests.fakes.machine import Machine
from tests.fakes.upstream.dishonest import CLIENT_ID, CLIENT_SECRET, dishonest


async def examined(w: World, folder: Path, *options: str) -> Result:
    machine = Machine(folder)
    write_private(machine.data / "keys" / "operator.jwk", json.dumps(private_jwk(w.operator)).encode())
    env = {"DID_AGENT_BRIDGE_URL": w.url}
    return await asyncio.to_thread(machine.run, "login", "test", *options, env=env)


async def test_the_operator_sees_what_works_and_what_does_not(tmp_path: Path) -> None:
    clock = Clock(system_clock())  # the command line has no other clock
    async with dishonest(clock) as provider:
        settings = {"upstream_issuer": provider.issuer, "upstream_client_id": CLIENT_ID}
        async with world(tmp_path / "data", clock=clock, upstream_client_secret=CLIENT_SECRET, **settings) as w:
            (tmp_path / "one").mkdir()
            right = await examined(w, tmp_path / "one")
            assert right.exit_code == 0, right.output
            assert "the provider knows client id and secret" in right.stdout
            assert f"register {w.url}/login/upstream/callback there" in right.stdout
            assert CLIENT_SECRET not in right.output
            provider.document = {"issuer": f"{provider.issuer}/"}
            wrong = await examined(w, tmp_path / "one", "--json")
            assert wrong.exit_code == 1
            found = json.loads(wrong.stdout)
            assert not found["ok"]
            assert [step["step"] for step in found["steps"] if not step["ok"]] == ["issuer"]


async def test_without_a_provider_the_command_says_so(tmp_path: Path) -> None:
    async with world(tmp_path / "data", clock=Clock(system_clock())) as w:
        (tmp_path / "one").mkdir()
        done = await examined(w, tmp_path / "one")
        assert done.exit_code == 1
        assert "no upstream provider is configured" in done.output


HALF: dict[str, dict[str, Any]] = {
    "an issuer alone": {"upstream_issuer": "https://login.example"},
    "a secret alone": {"upstream_client_secret": "x"},
    "no secret": {"upstream_issuer": "https://login.example", "upstream_client_id": "x"},
    "two secrets": {
        "upstream_issuer": "https://login.example",
        "upstream_client_id": "x",
        "upstream_client_secret": "x",
        "upstream_client_secret_file": "x",
    },
    "nobody can sign in": {"local_accounts": False},
}


@pytest.mark.parametrize("name", HALF)
def test_half_a_provider_does_not_start(name: str) -> None:
    with pytest.raises(ValidationError):
        BridgeSettings(**HALF[name])


def test_the_secret_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    named: dict[str, Any] = {"upstream_issuer": "https://login.example", "upstream_client_id": "x"}
    settings = BridgeSettings(upstream_client_secret_file=file, **named)
    assert settings.upstream_secret == "s3cret"
    assert "s3cret" not in repr(BridgeSettings(upstream_client_secret="s3cret", **named))
