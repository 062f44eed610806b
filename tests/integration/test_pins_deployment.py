"""A guard as `protect` makes it, an operator at the command line, and the one folder between them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from did_agent.adapters.keystore import load_key
from did_agent.did.key import did_key
from did_agent.tokens.tool_receipt import MEMBER
from tests.fakes.guard_world import ISSUER, NOW, RESOURCE, call, presentation
from tests.fakes.machine import Machine
from verifier.composition import compose
from verifier.mcp.answers import ResourceMetadata
from verifier.mcp.guard import Guard
from verifier.parts import GuardParts


def list_menu() -> str:
    return "falafel"


class Deployed:
    """A guarded server that shares its data folder with an operator's command line."""

    def __init__(self, machine: Machine, **options: Any) -> None:
        server = MCPServer("Menu", log_level="ERROR")
        server.add_tool(list_menu, description="Read the menu.")
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        self.app = server.streamable_http_app(json_response=True, transport_security=security)
        self.parts: GuardParts = compose(
            resource=RESOURCE, bridge=None, clock=lambda: NOW, data=machine.data, trusted_issuers=[ISSUER], **options
        )
        metadata = ResourceMetadata(resource=RESOURCE, bridge="https://bridge.example", name="Menu")
        self.guard = Guard(self.app, self.parts, metadata)

    async def call(self) -> dict[str, Any]:
        message: dict[str, Any] = call("list_menu")
        message["params"]["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            MEMBER: True,
        }
        headers = {
            "Authorization": f"Bearer {presentation()}",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": "list_menu",
            "Accept": "application/json, text/event-stream",
        }
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.guard)) as http:
            response = await http.post(RESOURCE, json=message, headers=headers)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()["result"]
        return found


@pytest.mark.req("LLM-06")
async def test_an_operator_approves_what_the_guard_saw(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    deployed = Deployed(machine, tool_pins="required")
    deployed.parts.pinned.pins._look_every = 0  # type: ignore[union-attr]
    async with deployed.app.router.lifespan_context(deployed.app), deployed.parts.running():
        blocked = await deployed.call()
        assert blocked["_meta"]["org.did-agent/decision"]["reason"] == "tool_not_approved"
        listed = json.loads(machine.run("tool", "list", "--json").stdout)["tools"]
        assert [(row["resource"], row["name"], row["state"]) for row in listed] == [(RESOURCE, "list_menu", "new")]
        done = machine.run("tool", "approve", "--reads", "list_menu", "--yes")
        assert done.exit_code == 0, done.output
        allowed = await deployed.call()
        assert allowed["content"][0]["text"] == "falafel"
        assert deployed.parts.pinned is not None
        assert deployed.parts.pinned.is_read_only("list_menu")
        machine.run("tool", "revoke", "list_menu")
        assert (await deployed.call())["isError"]
    receipt, result = machine.file(allowed["_meta"][MEMBER], "receipt.jwt"), machine.file(allowed, "result.json")
    guard = did_key(load_key(machine.data / "keys" / "guard.jwk").public)
    asked = ("verify", receipt, "--result", result, "--now", "2026-11-23T12:00:00Z")
    assert machine.run(*asked).exit_code == 1
    assert machine.run(*asked, "--signer", guard).exit_code == 0


@pytest.mark.req("LLM-06")
async def test_operators_named_to_the_guard_go_before_those_of_the_folder(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    deployed = Deployed(machine, tool_pins="required", operators=[ISSUER])
    deployed.parts.pinned.pins._look_every = 0  # type: ignore[union-attr]
    async with deployed.app.router.lifespan_context(deployed.app), deployed.parts.running():
        assert (await deployed.call())["isError"]
        assert machine.run("tool", "approve", "--yes").exit_code == 0
        assert (await deployed.call())["isError"]


async def test_without_a_word_about_pins_nothing_is_pinned(tmp_path: Path) -> None:
    deployed = Deployed(Machine(tmp_path))
    async with deployed.app.router.lifespan_context(deployed.app), deployed.parts.running():
        assert not (await deployed.call()).get("isError")
    assert not (tmp_path / "data" / "seen-tools").exists()
