"""`did-agent policy` and `did-agent user groups` against a real bridge: publish, look, refuse, take back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from did_agent.adapters.keystore import write_private
from did_agent.clock import system_clock
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import private_jwk
from tests.fakes.bridge_policy import staff
from tests.fakes.bridge_world import RESOURCE, World, w
from tests.fakes.machine import Machine, refused

__all__ = ["w"]
PERMIT = "permit(principal, action, resource);"


class Desk:
    """An operator's machine beside a bridge."""

    def __init__(self, w: World, folder: Path, key: SigningKey) -> None:
        folder.mkdir()
        self.machine, self.url = Machine(folder), w.url
        write_private(self.machine.data / "keys" / "operator.jwk", json.dumps(private_jwk(key)).encode())

    async def run(self, *arguments: str) -> Result:
        """Run a command while the bridge goes on serving."""
        env = {"DID_AGENT_BRIDGE_URL": self.url, "DID_AGENT_LEDGER_URL": "http://127.0.0.1:9"}
        return await asyncio.to_thread(self.machine.run, *arguments, env=env)

    async def told(self, *arguments: str) -> Any:
        """Return what a command prints as JSON; it must succeed."""
        done = await self.run(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


@pytest.fixture
async def desk(w: World, tmp_path: Path) -> Desk:
    w.clock.now = system_clock()  # the command line has no other clock
    return Desk(w, tmp_path / "first", w.operator)


async def test_a_policy_is_published_shown_and_taken_back(desk: Desk) -> None:
    assert (await desk.told("policy", "show"))["version"] == 0
    assert (await desk.run("policy", "show", "--history")).stdout == "nothing was published\n"
    file = desk.machine.file({"roles": staff("list_menu")}, "policy.json")
    done = await desk.run("policy", "publish", file, "--note", "the menu")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("policy 1 is in force; digest sha-256:")
    shown = await desk.run("policy", "show")
    assert json.loads(shown.stdout)["roles"]["waiter"]["tools"] == {RESOURCE: ["list_menu"]}
    assert shown.stderr == "version 1, 0 saved decisions\n"
    await desk.told("policy", "publish", desk.machine.file(json.loads(shown.stdout), "shown.json"), "--follows", "1")
    back = await desk.run("policy", "rollback", "1", "--note", "as it was")
    assert back.stdout.startswith("policy 3 is in force (again what 1 was)")
    assert [row["version"] for row in (await desk.told("policy", "show", "--history"))["versions"]] == [3, 2, 1]
    assert (await desk.told("policy", "show", "1"))["note"] == "the menu"
    refused(await desk.run("policy", "rollback", "9"), 1)
    refused(await desk.run("policy", "show", "9"), 1)
    refused(await desk.run("policy", "publish", file, "--follows", "1"), 1)


@pytest.mark.req("POL-05")
async def test_lint_and_publication_know_what_is_registered(desk: Desk) -> None:
    wrong = desk.machine.file({"roles": staff("fly"), "rules": PERMIT}, "wrong.json")
    found = await desk.run("policy", "lint", wrong)
    assert found.exit_code == 1
    assert f"unknown tool fly at {RESOURCE}" in " ".join(found.stdout.split())
    assert "nobody is in this group" in found.stdout
    refused(await desk.run("policy", "publish", wrong), 1, "unknown tool fly")
    await desk.told("user", "groups", "smith", "--group", "staff")
    right = desk.machine.file({"roles": staff("update_stock"), "rules": PERMIT}, "right.json")
    assert (await desk.run("policy", "lint", right)).stdout == "nothing is wrong\n"
    facts = {"resource": RESOURCE, "user": "ann", "groups": ["staff"], "tools": ["update_stock"]}
    saved = desk.machine.file([{"name": "stock", "facts": facts, "expect": "allow"}], "cases.json")
    await desk.told("policy", "publish", right, "--cases", saved)
    empty = desk.machine.file({}, "empty.json")
    refused(await desk.run("policy", "publish", empty), 1, "stock: expected allow, found deny")
    assert (await desk.told("policy", "publish", empty, "--acknowledge"))["version"] == 2


async def test_two_operators_approve_a_union(desk: Desk, w: World, tmp_path: Path) -> None:
    policy = {"resources": {RESOURCE: {"mode": "union"}}}
    file = desk.machine.file(policy, "union.json")
    assert (await desk.run("policy", "approve", file)).stdout.endswith("is approved by 1\n")
    refused(await desk.run("policy", "publish", file), 1)
    other = Desk(w, tmp_path / "second", w.colleague)
    assert (await other.run("policy", "approve", other.machine.file(policy, "same.json"))).exit_code == 0
    assert len((await desk.told("policy", "publish", file))["approvers"]) == 2


async def test_groups_of_a_person_are_said_at_once_or_later(desk: Desk) -> None:
    added = ("user", "add", "ann", "--name", "Ann", "--group", "staff", "--password", "correct horse battery")
    assert (await desk.told(*added))["groups"] == ["staff"]
    assert (await desk.told("user", "groups", "ann", "--group", "cooks", "--group", "staff"))["groups"] == [
        "cooks",
        "staff",
    ]
    assert (await desk.run("user", "groups", "ann")).stdout == "ann is in no group\n"
    refused(await desk.run("user", "groups", "nobody"), 1)


async def test_a_ledger_that_is_away_is_told(desk: Desk) -> None:
    refused(await desk.run("policy", "simulate", desk.machine.file({}, "policy.json")), 3)
