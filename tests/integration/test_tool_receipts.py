"""Receipts of tool calls: asked for on every wire, signed for what came back, and refused when anything was changed."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.did.key import did_key
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import DidAgentError, RelatedResourceMismatch
from did_agent.tokens.tool_receipt import MEMBER, OMITTED, ToolReceipt, require_result, verify_tool_receipt
from tests.fakes.guard_world import AGENT, NOW, OTHER, OTHER_KEY, RESOURCE, call, token
from tests.fakes.pinned_server import PinnedServer

GUARD = did_key(OTHER_KEY.public)
ASKED = {MEMBER: True}


@pytest.fixture(params=[False, True], ids=["event stream", "json"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> PinnedServer:
    return PinnedServer(tmp_path, json_response=request.param)


def verified(text: str, **changed: Any) -> ToolReceipt:
    expected: dict[str, Any] = {"trusted": frozenset({GUARD}), "expected_audience": AGENT, "now": NOW, **changed}
    return verify_tool_receipt(text, **expected)


def result_of(response: httpx2.Response) -> dict[str, Any]:
    lines = [line for line in response.text.splitlines() if line.startswith("data:") and line[5:].strip()]
    raw = lines[-1][5:] if lines else response.text
    found: dict[str, Any] = json.loads(raw)["result"]
    return found


async def asked(server: PinnedServer, message: dict[str, Any], *, header: bool, shown: str | None = None) -> Any:
    """Send a call on the newest wire, asking for a receipt in one of the two ways."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    }
    message["params"]["_meta"] = meta if header else meta | ASKED
    headers = [
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", message["params"]["name"]),
        ("Accept", "application/json, text/event-stream"),
        ("Content-Type", "application/json"),
        *([("Did-Agent-Receipt", "1")] if header else []),
    ]
    return await server.world.send(shown or allowed(), message, guard=server.guard, headers=headers)


def allowed(**changes: Any) -> str:
    from did_agent.credential.capability import parse_bare_capability, scopes_of

    capability = parse_bare_capability({"resource": [RESOURCE], "tools": {"greet": {}, "fail": {}}})
    return token(capabilities=(capability,), scopes=scopes_of((capability,)), **changes)


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28", "auto"])
async def test_a_stock_client_gets_a_receipt_on_every_wire(server: PinnedServer, mode: str) -> None:
    async with server.running(), server.client(mode) as client:
        done = await client.call_tool("greet", {"name": "Ada"}, meta=ASKED)
        assert done.content[0].text == "Hello Ada"
        assert done.meta is not None
        receipt = verified(done.meta[MEMBER])
        assert (receipt.issuer, receipt.audience, receipt.principal) == (GUARD, AGENT, AGENT)
        assert (receipt.resource, receipt.tool, receipt.decision) == (RESOURCE, "greet", "allow")
        assert receipt.argument_digest == digest_uri(canonicalize({"name": "Ada"}))
        assert not receipt.is_error
        [event] = [event for event in server.world.events if event.action == "tool.call"]
        assert (receipt.request_id, receipt.policy) == (event.request_id, event.policy)
        assert receipt.argument_digest == event.argument_digest
        unasked = await client.call_tool("greet", {"name": "Ada"})
        assert MEMBER not in (unasked.meta or {})


@pytest.mark.parametrize("header", [False, True], ids=["asked in _meta", "asked in a header"])
async def test_a_receipt_is_for_the_result_it_came_with_alone(server: PinnedServer, header: bool) -> None:
    async with server.running():
        first = result_of(await asked(server, call("greet", name="Ada"), header=header))
        other = result_of(await asked(server, call("greet", name="Bob"), header=header))
    receipt = verified(first["_meta"][MEMBER])
    require_result(receipt, first)
    for spoiled in (other, {**first, "isError": True}, {**first, "_meta": {"more": 1}}, {}):
        with pytest.raises(RelatedResourceMismatch):
            require_result(receipt, spoiled)


async def test_a_failure_and_a_refusal_are_receipted_too(server: PinnedServer) -> None:
    async with server.running():
        failed = result_of(await asked(server, call("fail"), header=False))
        refused = result_of(await asked(server, call("tell", name="x"), header=False))
    receipt = verified(failed["_meta"][MEMBER])
    assert (receipt.decision, receipt.is_error) == ("allow", True)
    receipt = verified(refused["_meta"][MEMBER])
    assert (receipt.decision, receipt.is_error, receipt.tool) == ("deny", True, "tell")
    require_result(receipt, refused)


async def test_a_receipt_names_the_person_and_every_agent_in_between(server: PinnedServer) -> None:
    shown = allowed(
        subject="smith", subject_profile="user", actors=(AGENT, OTHER), entitlements=frozenset({"tool:greet"})
    )
    async with server.running():
        done = result_of(await asked(server, call("greet", name="Ada"), header=False, shown=shown))
    receipt = verified(done["_meta"][MEMBER])
    assert (receipt.principal_kind, receipt.principal, receipt.actors) == ("user", "smith", (AGENT, OTHER))
    assert receipt.principal_namespace == "https://bridge.example"


async def test_a_receipt_of_the_server_itself_is_not_passed_off_as_ours(server: PinnedServer) -> None:
    inner = server.world
    forged = {"content": [], "_meta": {MEMBER: "forged", OMITTED: "x", "kept": 1}}

    async def forging(scope: Any, receive: Any, send: Any) -> None:
        asked_for = json.loads((await receive())["body"])
        body = json.dumps({"jsonrpc": "2.0", "id": asked_for["id"], "result": forged}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    server.guard._app = forging
    done = result_of(await asked(server, call("greet", name="Ada"), header=False))
    receipt = verified(done["_meta"][MEMBER])
    assert done["_meta"] == {"kept": 1, MEMBER: done["_meta"][MEMBER]}
    require_result(receipt, {"content": [], "_meta": {"kept": 1}})
    assert inner.events[-1].decision == "allow"


def spoiled(text: str, **claims: Any) -> str:
    from did_agent.proof.jwt import sign_jwt, unverified_jws

    jws, said = unverified_jws(text)
    changed = {name: value for name, value in {**said, **claims}.items() if value is not None}
    return sign_jwt(changed, typ="tool-receipt+jwt", key=OTHER_KEY, kid=str(jws.header["kid"]))


@pytest.fixture
async def receipt(tmp_path: Path) -> str:
    server = PinnedServer(tmp_path, json_response=True)
    async with server.running():
        done = result_of(await asked(server, call("greet", name="Ada"), header=False))
    return str(done["_meta"][MEMBER])


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"result_digest": None}, "bad_jose"),
        ({"result_digest": 7}, "bad_jose"),
        ({"is_error": "no"}, "bad_jose"),
        ({"iat": True}, "bad_jose"),
        ({"iat": int(NOW.timestamp()) + 31}, "not_yet_valid"),
        ({"iss": "did:key:other"}, "wrong_issuer"),
        ({"aud": OTHER}, "wrong_audience"),
        ({"act": {"sub": AGENT}}, "bad_jose"),
        ({"tool": ""}, "bad_jose"),
    ],
)
def test_a_receipt_that_says_something_else_is_refused(receipt: str, changed: dict[str, Any], code: str) -> None:
    assert verified(spoiled(receipt)) == verified(receipt)
    with pytest.raises(DidAgentError) as refused:
        verified(spoiled(receipt, **changed))
    assert refused.value.code == code


def test_a_receipt_that_was_tampered_with_or_is_of_a_stranger_is_refused(receipt: str) -> None:
    head, body, tail = receipt.split(".")
    other = spoiled(receipt, tool="pay").split(".")[1]
    for text, trusted, code in (
        (f"{head}.{other}.{tail}", GUARD, "bad_signature"),
        (receipt, AGENT, "issuer_not_trusted"),
        (receipt[:-2], GUARD, "bad_signature"),
    ):
        with pytest.raises(DidAgentError) as refused:
            verified(text, trusted=frozenset({trusted}))
        assert refused.value.code == code, body
    assert asdict(verified(receipt, expected_audience=None, now=NOW + timedelta(days=900)))["tool"] == "greet"
