"""What operators do with many agents from the command line, against running parties."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import COMMAND, Up


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("registry") / "data").start()
    running.run("agent", "create", "buyer", "--sponsor", "Operations")
    running.run("cred", "issue", "buyer", "--resource", running.resource, "--tool", "list_menu")
    yield running
    running.stop()


def test_an_agent_is_described_found_handed_over_and_followed(up: Up) -> None:
    up.run("group", "create", "night", "--description", "by night")
    said = up.run(
        "agent", "describe", "buyer", "--description", "orders flour", "--tag", "eu", "--metadata", "model=m1"
    )
    assert said.stdout == "buyer: description, metadata, tags changed\n"
    assert up.run("group", "add", "night", "buyer").stdout == "group night: 1 agents changed\n"
    query = ("flour", "--prefix", "BUY", "--tag", "eu", "--group", "night", "--state", "active")
    assert [one["name"] for one in up.json("agent", "search", *query)["agents"]] == ["buyer"]
    assert up.run("agent", "search", "--tag", "nowhere").stdout == "nothing\n"
    assert up.run("agent", "search", "--state", "active", "--count").stdout == "1\n"
    assert [one["name"] for one in up.json("group", "members", "night")["agents"]] == ["buyer"]
    refused = up.run("agent", "transfer", "buyer", "did:key:next", "--reason", "x", expected=1)
    assert "nobody of the organisation" in refused.stderr
    named = up.json("org", "person", "did:key:next", "--sponsor", "Bakery")
    assert (named["principal"], named["sponsors"]) == ("did:key:next", ["Bakery"])
    handed = up.run("agent", "transfer", "buyer", "did:key:next", "--sponsor", "Bakery", "--reason", "team changed")
    assert handed.stdout == "buyer is did:key:next's; Bakery answers for it\n"
    events = [one["event"] for one in up.json("agent", "history", "buyer")["history"]]
    assert events == ["transfer", "describe", "describe", "enrol", "create"]
    assert up.run("agent", "describe", "buyer", expected=2).stdout == ""
    assert "does not" not in up.run("group", "delete", "night", expected=1).stderr


def test_what_a_change_reaches_is_shown_before_it_is_made(up: Up) -> None:
    seen = up.json("agent", "impact", "buyer", "--change", "retire")
    assert (seen["agents"], seen["credentials"], seen["tools"]) == (1, 1, ["list_menu"])
    dry = up.run("agent", "suspend", "buyer", "--reason", "x", "--dry-run").stdout
    assert dry == "suspend buyer reaches 1 agents, 1 credentials, 0 delegated from them; tools that end: list_menu\n"
    assert up.json("agent", "show", "buyer")["state"] == "active"
    done = up.run("agent", "suspend", "buyer", "--reason", "x", "--yes")
    assert "reaches 1 agents" in done.stderr
    assert "buyer is suspended" in done.stdout
    up.run("agent", "resume", "buyer", "--reason", "x")


def test_agents_are_made_from_a_blueprint_and_stopped_together(up: Up) -> None:
    assert "version 1" in up.run("template", "set", "crew", "--sponsor", "Kitchen", "--tag", "batch").stdout
    assert "version 2" in up.run("template", "set", "crew", "--sponsor", "Kitchen", "--tag", "new").stdout
    assert len(up.json("template", "create-agents", "crew", "--count", "3")["agents"]) == 3
    assert len(up.json("template", "create-agents", "crew", "--agent", "one", "--agent", "two")["agents"]) == 2
    assert up.json("template", "list")["templates"][0]["version"] == 2
    assert len(up.json("agent", "search", "--template", "crew")["agents"]) == 5
    sponsor = up.json("agent", "show", "buyer")["sponsor"]
    reach = up.run("kill", "sponsor", sponsor, "--reason", "incident", "--dry-run").stdout
    assert reach.startswith(f"stopping sponsor {sponsor} reaches 1 agents, 1 credentials")
    asked = up.run("kill", "sponsor", sponsor, "--reason", "incident", expected=2)
    assert "--yes says that it is meant" in asked.stderr
    assert up.run("kill", "list").stdout == "nothing\n"
    on = up.json("kill", "sponsor", sponsor, "--reason", "incident", "--yes")
    assert (on["stopped"], on["propagated"]) == (1, True)
    assert up.json("agent", "show", "buyer")["state"] == "suspended"
    refused = up.run("agent", "resume", "buyer", "--reason", "x", expected=1)
    assert "a kill switch is on" in refused.stderr
    assert [one["id"] for one in up.json("kill", "list")["switches"]] == [on["id"]]
    lifted = up.run("unkill", f"sponsor:{sponsor}", "--reason", "over").stdout
    assert lifted == "1 agents act again; verifiers have heard\n"
    assert up.json("agent", "show", "buyer")["state"] == "active"
    everything = up.json("kill", "organisation", "--reason", "drill", "--yes")
    assert up.json("unkill", everything["id"], "--reason", "over")["resumed"] == 1
    assert len(up.json("kill", "list", "--all")["switches"]) == 2
    up.run("unkill", "sponsor:nobody", "--reason", "x", expected=1)


def test_a_file_of_agents_is_imported_and_goes_on_after_a_kill(up: Up, tmp_path: Path) -> None:
    file = tmp_path / "agents.jsonl"
    rows = [{"key": f"row-{number}", "name": f"bulk {number}", "sponsor": "Import"} for number in range(3_000)]
    file.write_text("\n".join(map(json.dumps, rows)) + "\n")
    command = [*COMMAND, "agent", "import", str(file)]
    with subprocess.Popen(command, env=up.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as begun:
        time.sleep(1.2)  # somewhere: whatever was done by now is there, whatever was not comes
        begun.send_signal(signal.SIGKILL)
    there = int(up.run("agent", "search", "--sponsor", "Import", "--count").stdout)
    done = up.json("agent", "import", str(file))
    assert (done["created"], done["exists"], done["refused"]) == (3_000 - there, there, 0)
    again = up.run("agent", "import", str(file))
    assert again.stdout == "0 created, 3000 there already, 0 refused\n"
    assert "importing" in again.stderr


def test_rows_that_cannot_be_are_named_by_their_line(up: Up, tmp_path: Path) -> None:
    file = tmp_path / "agents.csv"
    file.write_text(
        "key,name,sponsor,tags,metadata.model\n"
        "1,table one,Import,eu batch,m1\n"
        '2,"table, two",,,\n'
        "3,table three,Import\n"
        "4,TABLE ONE,Import,,\n"
    )
    done = up.run("agent", "import", str(file), expected=1)
    assert done.stdout == "1 created, 0 there already, 3 refused\n"
    assert "line 3: 2: sponsor" in done.stderr
    assert "line 4: -: it has not as many cells as the header" in done.stderr
    assert "line 5: 4: an agent with a name like TABLE ONE exists" in done.stderr
    made = up.json("agent", "search", "--prefix", "table one")["agents"][0]
    assert (made["tags"], made["metadata"]) == (["batch", "eu"], {"model": "m1"})
    lines = tmp_path / "odd.jsonl"
    lines.write_text('{"name": "good row", "sponsor": "Import"}\nnot json\n{"name": 1, "sponsor": "x"}\n\n[]\n')
    refused = json.loads(up.run("agent", "import", str(lines), "--json", expected=1).stdout)
    assert (refused["created"], [row["line"] for row in refused["rows"]]) == (1, [2, 3, 5])
