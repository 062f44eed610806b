"""Tools of a running server, listed for an agent and for nobody, and the pins of a guard that runs."""

from __future__ import annotations

import pytest
from processes import Up


@pytest.mark.req("LLM-06")
def test_a_running_server_is_asked_for_its_tools(up: Up) -> None:
    up.run("agent", "create", "lister", "--sponsor", "Operations")
    up.run("cred", "issue", "lister", "--resource", up.resource, "--tool", "list_menu", "--tool", "delete_order")
    listed = up.json("tool", "list", "--from", up.resource, "--agent", "lister")
    assert [(row["name"], row["state"]) for row in listed["tools"]] == [("delete_order", "new"), ("list_menu", "new")]
    assert all(row["digest"].startswith("sha-256:") for row in listed["tools"])
    nobody = up.run("tool", "list", "--from", up.resource, expected=4)
    assert "wants a credential" in nobody.stderr
    no_server = up.run("tool", "list", "--from", up.url("bridge") + "/nothing", expected=3)
    assert "no MCP server" in no_server.stderr
