"""`did-agent why` on a running deployment: of a request, of a token and of a presentation, and never the token itself."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from processes import Up

from did_agent.agent import Agent
from did_agent.cli.demo.tools import Bearer, call

STEPS = 13  # at the door, and of the rights


def outcomes(found: dict[str, Any]) -> dict[str, str]:
    return {step["step"]: step["outcome"] for step in found["steps"]}


def why(up: Up, token: str, *options: str) -> dict[str, Any]:
    done = up.run("why", "-", *options, "--json", stdin=token)
    assert token not in done.stdout + done.stderr
    assert token.split(".")[2] not in done.stdout + done.stderr
    (found,) = json.loads(done.stdout)["explanations"]
    return dict(found)


@pytest.fixture(scope="module")
def credential(up: Up) -> str:
    up.run("agent", "create", "why-asker", "--sponsor", "Operations")
    issued = up.json("cred", "issue", "why-asker", "--resource", up.resource, "--tool", "list_menu")
    return str(issued["id"])


@pytest.fixture(scope="module")
def holder(up: Up, credential: str) -> str:
    assert credential
    return up.run("token", "get", "why-asker", "--resource", up.resource).stdout.strip()


def refused_call(up: Up, token: str) -> dict[str, Any]:
    outcome = asyncio.run(call(up.resource, Bearer(token), "delete_order", {"order_id": "1"}))
    assert not outcome.allowed
    for _ in range(40):
        rows = up.json("audit", "tail", "--tool", "delete_order", "--decision", "deny")["events"]
        mine = [row["event"] for row in rows if row["event"]["reason"] == "agent_not_capable"]
        if mine:
            return dict(mine[-1])
        time.sleep(0.1)
    raise AssertionError("the ledger has no such event")


@pytest.mark.req("AUD-02")
def test_a_refused_call_is_explained_by_its_request_id(up: Up, holder: str) -> None:
    event = refused_call(up, holder)
    (found,) = up.json("why", event["request_id"])["explanations"]
    assert found["facts"]["id"] == event["id"]
    assert outcomes(found)["delegation"] == "ok"
    assert outcomes(found)["rights of the agent"] == "failed"
    assert outcomes(found)["limits"] == "not reached"
    text = up.run("why", event["id"]).stdout
    assert "FAILED rights of the agent" in text
    assert "→ Have the agent granted the tool" in text
    nothing = up.run("why", "00000000-0000-4000-8000-000000000000", expected=1)
    assert "no event of request id" in nothing.stderr


@pytest.mark.req("AUD-02", "OPS-02")
def test_a_token_is_judged_as_the_door_would_and_never_printed(up: Up, holder: str) -> None:
    good = why(up, holder, "--tool", "list_menu", "--audience", up.resource)
    assert len(good["steps"]) == STEPS
    assert set(outcomes(good).values()) == {"ok", "unknown"}
    assert good["facts"]["recorded"].count("token.issue allowed") == 1
    elsewhere = why(up, holder, "--audience", "https://else.example/mcp")
    assert outcomes(elsewhere)["audience"] == "failed"
    assert outcomes(elsewhere)["signature"] == "not reached"
    late = why(up, holder, "--now", "2099-01-01T00:00:00Z")
    assert outcomes(late)["time"] == "failed"
    head, _, tail = holder.rpartition(".")
    forged = why(up, f"{head}.{tail[:-6]}{'AAAA' if tail[-6:-2] != 'AAAA' else 'BBBB'}{tail[-2:]}")
    assert outcomes(forged)["signature"] == "failed"
    tool = why(up, holder, "--tool", "delete_order")
    assert [name for name, outcome in outcomes(tool).items() if outcome == "failed"] == ["rights of the agent", "scope"]
    on_line = up.run("why", holder, expected=2)
    assert holder not in on_line.stdout + on_line.stderr
    assert "command line" in on_line.stderr
    unread = up.run("why", "-", "--json", stdin="eyJ.x.y")
    assert '"outcome": "failed"' in unread.stdout


@pytest.mark.req("AUD-02", "REV-01")
def test_after_a_revocation_token_and_presentation_fail_by_their_status(up: Up, credential: str, holder: str) -> None:
    agent = Agent.load("why-asker", path=up.data / "wallet")
    shown = next(iter(agent.presentation_auth(up.resource).auth_flow(_Request()))).headers["Authorization"]
    presentation = shown.removeprefix("Bearer ")
    good = why(up, presentation, "--tool", "list_menu")
    assert set(outcomes(good).values()) == {"ok", "unknown"}
    assert outcomes(good)["issuer"] == "ok"
    wrong = why(up, presentation, "--audience", "https://else.example/mcp")
    assert outcomes(wrong)["audience"] == "failed"
    up.run("cred", "revoke", credential, "--reason", "test")
    assert outcomes(why(up, presentation))["status"] == "failed"
    ended = why(up, holder)
    assert outcomes(ended)["status"] == "failed"
    assert "revoked" in next(step["what"] for step in ended["steps"] if step["step"] == "status")


class _Request:
    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
