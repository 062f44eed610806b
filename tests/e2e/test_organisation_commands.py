"""Organisations from the command line: made, operated by their own people, and what takes two people takes two."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import COMMAND, Up

LINE = ("--resource", "http://127.0.0.1/mcp", "--url", "https://issuer.example", "--type", "capability")
FOREIGN = "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("organisations") / "data").start()
    yield running
    running.stop()


def person(up: Up, folder: Path) -> Any:
    """Return what runs commands as somebody with a key of their own."""

    def run(*arguments: str, expected: int = 0) -> Any:
        command = [*COMMAND, "--data", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=up.environment, timeout=60)
        assert done.returncode == expected, (arguments, done.stdout, done.stderr)
        return json.loads(done.stdout) if "--json" in arguments and not expected else done

    return run


@pytest.mark.req("WEB-02", "WEB-04")
def test_an_organisation_is_operated_by_its_own_people(up: Up, tmp_path: Path) -> None:
    made = up.json("org", "create", "acme", "--title", "Acme Ltd.")
    people = {name: person(up, tmp_path / name) for name in ("one", "two")}
    for name, run in people.items():
        did = run("operator", "key", "--json")["did"]
        up.run("operator", "add", did, "--org", "acme", "--role", "admin", "--name", name)
    one, two = people["one"], people["two"]
    up.run("agent", "create", "ours", "--sponsor", "Operations")
    assert one("agent", "list", "--json") == {"agents": []}
    assert [row["did"] for row in one("org", "list", "--json")["organisations"]] == [made["did"]]
    assert one("org", "control", "--two", "trust", "--json")["dual_control"] == ["control", "trust"]
    asked = one("trust", "add", FOREIGN, *LINE)
    assert "waits for a second admin" in asked.stdout
    (waiting,) = one("proposal", "list", "--json")["proposals"]
    one("proposal", "approve", waiting["id"], expected=1)
    up.run("proposal", "approve", waiting["id"], expected=1)  # another organisation's: there is none
    assert two("proposal", "approve", waiting["id"]).stdout == "approved and done\n"
    assert [line["issuer"] for line in one("trust", "list", "--json")["trust"]] == [FOREIGN]
    assert "waits for a second admin" in one("org", "control").stdout
    (lifting,) = two("proposal", "list", "--json")["proposals"]
    assert "nothing was changed" in two("proposal", "reject", lifting["id"]).stdout
