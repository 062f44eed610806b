"""A power cut between any two steps loses nothing that was acknowledged."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from processes import Up


def rows_when_settled(up: Up) -> list[dict[str, Any]]:
    before: list[dict[str, Any]] = []
    for _ in range(40):
        rows = up.json("audit", "tail", "-n", "500")["events"]
        calls = [row for row in rows if row["event"]["action"] != "token.issue"]
        if calls and len(calls) == len(before):
            return rows
        before = calls
        time.sleep(0.2)
    return rows


def call_tool(up: Up, token: str, tool: str, arguments: dict[str, Any]) -> httpx2.Response:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    return httpx2.post(up.resource, json=message, headers=headers, trust_env=False)


@pytest.mark.req("AUD-01", "REV-01")
def test_sigkill_loses_no_agent_no_credential_no_revocation_and_no_row(tmp_path: Path) -> None:
    up = Up(tmp_path / "data").start()
    try:
        agent = up.json("agent", "create", "stock-agent", "--sponsor", "Operations")
        up.kill()
        up.start()
        assert up.json("agent", "show", "stock-agent")["did"] == agent["did"]

        credential = up.json("cred", "issue", "stock-agent", "--resource", up.resource, "--tool", "list_menu")
        up.kill()
        up.start()
        assert [row["id"] for row in up.json("cred", "list")["credentials"]] == [credential["id"]]

        token = up.json("token", "get", "stock-agent", "--resource", up.resource)["access_token"]
        refused = call_tool(up, token, "delete_order", {"order_id": "1"})
        assert json.loads(refused.content)["result"]["isError"] is True
        up.kill()
        up.start()
        decisions = [row["event"] for row in rows_when_settled(up) if row["event"]["target"] == "delete_order"]
        assert [event["decision"] for event in decisions] == ["deny"]

        assert call_tool(up, token, "delete_order", {"order_id": "1"}).status_code == 200
        up.json("cred", "revoke", credential["id"], "--reason", "test")
        up.kill()
        up.start()
        assert call_tool(up, token, "delete_order", {"order_id": "1"}).status_code == 401
        assert up.json("cred", "list")["credentials"][0]["state"] == "revoked"

        rows = rows_when_settled(up)
        assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
        assert {"agent.create", "agent.enrol", "credential.issue", "credential.revoke", "tool.call"} <= {
            row["event"]["action"] for row in rows
        }
        export = tmp_path / "audit.jsonl"
        up.run("audit", "export", str(export))
        assert up.json("audit", "verify", str(export))["rows"] >= len(rows)
    finally:
        up.kill()
