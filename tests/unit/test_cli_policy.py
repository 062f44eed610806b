"""`did-agent policy lint|test|simulate` on files alone: what is printed, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from did_agent.policy.facts import parse_facts
from tests.fakes.machine import Machine, refused

RESOURCE = "https://mcp.example/mcp"
POLICY: dict[str, Any] = {
    "roles": {"waiter": {"groups": ["staff"], "tools": {RESOURCE: ["list_menu"]}}},
    "rules": "permit(principal, action, resource);",
}
FACTS = {
    "resource": RESOURCE,
    "time": "2026-11-23T10:00:00Z",
    "user": "smith",
    "groups": ["staff"],
    "agent": "did:key:zA",
    "agent_tools": ["list_menu", "delete_order"],
}
CASES_YAML = """
# What must stay as it is.
- name: a waiter reads the menu
  facts:
    resource: https://mcp.example/mcp
    time: 2026-11-23T10:00:00Z
    user: smith
    groups: [staff]
    agent: did:key:zA
    agent_tools: [list_menu, delete_order]
    risk: 3
  expect: {decision: allow, tools: [list_menu]}
- name: nobody deletes
  facts: {resource: https://mcp.example/mcp, user: smith, agent: did:key:zA, agent_tools: [delete_order]}
  expect: deny
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_lint_finds_nothing_wrong_with_an_honest_policy(machine: Machine) -> None:
    found = machine.run("policy", "lint", machine.file(POLICY), "--offline")
    assert (found.exit_code, found.stdout) == (0, "nothing is wrong\n")


def test_lint_tells_where_and_ends_with_one(machine: Machine) -> None:
    closed = {"resources": {RESOURCE: {"mode": "agent_only", "autonomous": False}}, "roles": {"cook": {}}}
    found = machine.run("policy", "lint", machine.file(closed), "--offline", "--json")
    assert found.exit_code == 1
    levels = {finding["where"]: finding["level"] for finding in json.loads(found.stdout)["findings"]}
    assert levels == {"roles.cook": "warning", f"resources.{RESOURCE}": "error"}
    unreadable = machine.run("policy", "lint", machine.file({"rules": "permit("}), "--offline")
    assert (unreadable.exit_code, "rules" in unreadable.stdout) == (1, True)


def test_lint_refuses_what_is_no_policy(machine: Machine) -> None:
    refused(machine.run("policy", "lint", machine.file({"role": 1}), "--offline"), 1, "unknown members")
    refused(machine.run("policy", "lint", machine.file('{"rules": "", "rules": ""}'), "--offline"), 1, "named twice")
    refused(machine.run("policy", "lint", machine.file("x" * 300_000), "--offline"), 1, "larger than")
    refused(machine.run("policy", "lint", "nowhere.json", "--offline"), 2, "does not exist")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("roles: {}\nroles: {}\n", "named twice"),
        ("roles: &x {}\nresources: *x\n", "alias"),
        ("{", "not readable as YAML"),
        ("1: {}", "no text"),
        ("rules: !!python/name:os.system", "not readable as YAML"),
    ],
)
def test_yaml_is_read_as_strictly_as_json(machine: Machine, text: str, words: str) -> None:
    refused(machine.run("policy", "lint", machine.file(text, "policy.yaml"), "--offline"), 1, words)


def test_saved_decisions_pass_or_tell_the_difference(machine: Machine) -> None:
    policy, cases = machine.file(POLICY, "policy.json"), machine.file(CASES_YAML, "cases.yaml")
    held = machine.run("policy", "test", policy, cases)
    assert (held.exit_code, held.stdout) == (0, "2 of 2 saved decisions hold\n")
    wider = {"roles": {"cook": {"users": ["smith"], "tools": {RESOURCE: ["delete_order"]}}}}
    differs = machine.run("policy", "test", machine.file(wider, "wider.json"), cases)
    assert differs.exit_code == 1
    assert "a waiter reads the menu\n  - expected  allow list_menu\n  + found     allow delete_order" in differs.stdout
    assert "  - expected  deny\n  + found     allow delete_order" in differs.stdout
    assert differs.stdout.endswith("0 of 2 saved decisions hold\n")
    as_json = json.loads(machine.run("policy", "test", machine.file(wider, "wider.json"), cases, "--json").stdout)
    assert [one["name"] for one in as_json["different"]] == ["a waiter reads the menu", "nobody deletes"]


def recorded() -> list[dict[str, Any]]:
    facts = parse_facts(FACTS).recorded()
    said = {"id": "e-1", "time": "2026-11-23T10:00:00.000Z", "principal": "smith", "decision": "allow"}
    return [{**said, "details": {"scope": "tool:list_menu", "facts": facts}}, {"id": "e-2", "details": {}}]


@pytest.mark.parametrize("form", ["lines", "list", "answer"])
def test_a_simulation_tells_what_would_change(machine: Machine, form: str) -> None:
    events = recorded()
    content: object = {
        "lines": "\n".join(json.dumps(event) for event in events),
        "list": events,
        "answer": {"events": [{"seq": 1, "event": event} for event in events]},
    }[form]
    file = machine.file(content, "events.json")
    same = machine.run("policy", "simulate", machine.file(POLICY, "policy.json"), "--from", file)
    assert (same.exit_code, same.stdout) == (
        0,
        "0 of 1 recorded decisions would change; 1 events carry no facts\n",
    )
    empty = machine.run("policy", "simulate", machine.file({}, "empty.json"), "--from", file, "--json")
    (change,) = json.loads(empty.stdout)["changes"]
    assert (change["was"], change["becomes"]) == ("allow list_menu", "deny (empty_grant)")
    assert "rights of the user" in change["explanation"]


def test_a_file_of_events_is_read_or_refused(machine: Machine) -> None:
    policy = machine.file(POLICY, "policy.json")
    refused(
        machine.run("policy", "simulate", policy, "--from", machine.file("no\njson", "events")), 1, "not a JSON text"
    )
    odd = machine.run("policy", "simulate", policy, "--from", machine.file('"text"', "events"))
    assert odd.stdout.startswith("0 of 0")
