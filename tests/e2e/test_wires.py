"""Unmodified MCP SDK clients on the older and the newest wire, with a token, a presentation, and nothing but a key."""

from __future__ import annotations

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from processes import Up

from did_agent.agent import Agent
from did_agent.cli.demo.tools import stock_provider


@pytest.fixture(scope="module")
def agent(up: Up) -> Agent:
    up.run("agent", "create", "wire-agent", "--sponsor", "Operations")
    up.run("cred", "issue", "wire-agent", "--resource", up.resource, "--tool", "list_menu", "--tool", "update_stock")
    return Agent.load("wire-agent", path=up.data / "wallet")


def auth_of(kind: str, agent: Agent, up: Up) -> httpx2.Auth:
    if kind == "token":
        return agent.auth(up.resource, bridge=up.url("bridge"))
    if kind == "presentation":
        return agent.presentation_auth(up.resource)
    return stock_provider(agent, resource=up.resource, issuer=up.url("bridge"))


@pytest.mark.req("DEL-12", "TOK-07")
@pytest.mark.parametrize("kind", ["token", "presentation", "stock provider"])
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28", "auto"])
async def test_a_stock_client_lists_calls_and_is_refused(mode: str, kind: str, agent: Agent, up: Up) -> None:
    async with (
        httpx2.AsyncClient(auth=auth_of(kind, agent, up), trust_env=False, timeout=30) as http,
        Client(streamable_http_client(up.resource, http_client=http), mode=mode) as server,
    ):
        listed = await server.list_tools()
        assert sorted(tool.name for tool in listed.tools) == ["list_menu", "update_stock"]
        done = await server.call_tool("update_stock", {"item": "hummus", "quantity": 4})
        assert not done.is_error
        assert agent.did in done.content[0].text
        refused = await server.call_tool("delete_order", {"order_id": "1"})
        assert refused.is_error
        assert "no capability covers it" in refused.content[0].text
