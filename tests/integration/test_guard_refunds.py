"""A call that failed gives back what it consumed, where the guard is told to; one that did not keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from did_agent.policy.decide import Decision
from tests.fakes.pinned_server import PinnedServer
from verifier.gates import Asked


@dataclass
class Till:
    """A gate that sees what is consumed, and what is given back."""

    consumed: list[str] = field(default_factory=list)
    undone: list[tuple[str, bool]] = field(default_factory=list)

    async def judge(self, asked: Asked, decision: Decision) -> Decision:
        self.consumed.append(asked.call.tool)
        return decision

    async def undo(self, request_id: str, *, happened: bool) -> None:
        self.undone.append((self.consumed[-1], happened))


@pytest.mark.parametrize("json_response", [False, True])
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
@pytest.mark.parametrize("refunds", [False, True])
async def test_only_failures_are_given_back(tmp_path: Path, mode: str, json_response: bool, refunds: bool) -> None:
    server, till = PinnedServer(tmp_path, json_response=json_response), Till()
    server.parts.verifier = replace(server.parts.verifier, limits=till)
    server.parts.refunds_failures = refunds
    async with server.running(), server.client(mode) as client:
        assert not (await client.call_tool("greet", {"name": "Ada"})).is_error
        assert (await client.call_tool("fail", {})).is_error
        assert (await client.call_tool("greet", {})).is_error
        assert not (await client.call_tool("tell", {"name": "Ada"})).is_error
    assert till.consumed == ["greet", "fail", "greet", "tell"]
    assert till.undone == ([("fail", True), ("greet", True)] if refunds else [])
