"""The guard in front of an MCP server: both doors, every wire, and what never gets through."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from did_agent.credential.capability import parse_bare_capability, scopes_of
from did_agent.policy.caller import Principal
from did_agent.proof.jwt import sign_jwt
from tests.fakes.guard_world import (
    AGENT,
    BRIDGE,
    BRIDGE_KEY,
    NOW,
    OTHER,
    OTHER_KEY,
    RESOURCE,
    World,
    call,
    credential,
    presentation,
    token,
)

MODERN = [("MCP-Protocol-Version", "2026-07-28")]
METADATA = "https://mcp.example/.well-known/oauth-protected-resource/mcp"


@pytest.fixture
def world() -> World:
    return World()


async def test_an_honest_token_reaches_the_tool_and_the_tool_knows_the_caller(world: World) -> None:
    response = await world.send(token(), call("list_menu"))
    assert response.status_code == 200
    assert response.json()["result"] == {"ok": True}
    assert world.callers[0].principal == Principal(kind="agent", id=AGENT, namespace="did")
    assert [(event.decision, event.reason) for event in world.events] == [("allow", "allowed")]


async def test_both_forms_are_the_same_caller_the_same_decision_and_the_same_record(world: World) -> None:
    document = credential()
    shown = await world.send(presentation(document), call("update_stock", quantity=3))
    assert shown.status_code == 200
    by_vp = world.callers[0]
    as_token = token(evidence=by_vp.evidence, evidence_uri="https://x", credential_ids=by_vp.credential_ids)
    assert (await world.send(as_token, call("update_stock", quantity=3))).status_code == 200
    assert world.callers[1] == by_vp
    records = [event.to_json() for event in world.events]
    for record in records:
        for name in ("id", "time", "token_id", "request_id"):
            record.pop(name)
    assert [record["details"].pop("form") for record in records] == ["vp", "jwt"]
    assert records[0] == records[1]


@pytest.mark.req("OAU-14", "TOK-15")
async def test_without_a_credential_the_challenge_tells_where_to_get_one(world: World) -> None:
    response = await world.send(None, call("list_menu"))
    assert response.status_code == 401
    assert response.headers.get_list("www-authenticate") == [
        f'Bearer resource_metadata="{METADATA}"',
        'DPoP algs="EdDSA Ed25519 ES256"',
    ]
    document = (await world.send(None, method="GET", path="/.well-known/oauth-protected-resource/mcp")).json()
    assert (document["resource"], document["authorization_servers"]) == (RESOURCE, [BRIDGE])
    root = await world.send(None, method="GET", path="/.well-known/oauth-protected-resource")
    assert root.json() == document
    assert world.received == []
    assert [event.reason for event in world.events] == ["not_authenticated"]


@pytest.mark.req("TOK-01", "TOK-03", "TOK-06", "TOK-07", "TOK-08", "TOK-09")
async def test_what_is_not_believed_is_401_without_telling_why(world: World) -> None:
    bad = {
        "wrong_audience": token(audience="https://other.example/mcp"),
        "wrong_issuer": token(issuer="https://evil.example"),
        "bad_signature": token(key=OTHER_KEY),
        "expired": token(issued_at=NOW - timedelta(hours=1), expires=NOW - timedelta(minutes=55)),
        "wrong_type": sign_jwt({"iss": BRIDGE}, typ="dpop+jwt", key=BRIDGE_KEY, kid="k"),
        "wrong_key": sign_jwt({"iss": BRIDGE}, typ="at+jwt", key=BRIDGE_KEY, kid="unknown"),
    }
    answers = set()
    for reason, text in bad.items():
        response = await world.send(text, call("list_menu"))
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
        members = response.json()
        members.pop("request_id")
        answers.add(json.dumps(members))
        assert world.events[-1].reason == reason
    assert len(answers) == 1
    assert world.received == []
    assert (await world.send(token(), call("list_menu"))).status_code == 200


@pytest.mark.req("VCX-01", "VCX-02", "VCX-03", "VCX-05")
async def test_a_presentation_counts_once_here_and_from_those_we_trust(world: World) -> None:
    shown = presentation()
    assert (await world.send(shown, call("list_menu"))).status_code == 200
    assert (await world.send(shown, call("list_menu"))).status_code == 401
    assert world.events[-1].reason == "replayed"
    assert (await world.send(presentation(audience=BRIDGE), call("list_menu"))).status_code == 401
    assert world.events[-1].reason == "wrong_audience"
    stolen = credential(subject=OTHER)
    assert (await world.send(presentation(stolen), call("list_menu"))).status_code == 401
    world.now = NOW + timedelta(minutes=5)
    assert (await world.send(presentation(), call("list_menu"))).status_code == 401


@pytest.mark.req("TOK-05", "TOK-15")
async def test_there_is_exactly_one_credential_and_never_in_the_url(world: World) -> None:
    good = token()
    twice = await world.send(good, call("list_menu"), headers=[("Authorization", f"Bearer {good}")])
    in_url = await world.send(good, call("list_menu"), path=f"/mcp?access_token={good}")
    assert (twice.status_code, in_url.status_code) == (400, 400)
    for scheme in ("Basic abc", "DPoP " + good, "Bearer", "Bearer a b"):
        response = await world.send(None, call("list_menu"), headers=[("Authorization", scheme)])
        assert response.status_code in (400, 401)
    assert world.received == []


@pytest.mark.req("DEL-04", "OAU-14")
async def test_each_refusal_has_the_form_a_client_can_use(world: World) -> None:
    incapable = await world.send(token(), call("delete_order"))
    assert incapable.status_code == 200
    result = incapable.json()["result"]
    assert result["isError"] is True
    assert "no capability covers it" in result["content"][0]["text"]
    assert result["_meta"]["org.did-agent/decision"] == {"decision": "deny", "reason": "agent_not_capable"}
    narrowed = await world.send(token(scopes=frozenset({"tool:list_menu"})), call("update_stock", quantity=1))
    assert narrowed.status_code == 403
    challenge = narrowed.headers["www-authenticate"]
    assert challenge == f'Bearer error="insufficient_scope", scope="tool:update_stock", resource_metadata="{METADATA}"'
    outside = await world.send(token(), call("update_stock", quantity=10))
    assert "not with these arguments" in outside.json()["result"]["content"][0]["text"]
    assert world.received == []
    assert [event.decision for event in world.events] == ["deny"] * 3


@pytest.mark.req("TOK-07")
async def test_a_header_can_not_hide_what_the_body_asks(world: World) -> None:
    good = token()
    for headers in (
        [("Mcp-Method", "tools/list")],
        [("Mcp-Method", "tools/call"), ("Mcp-Name", "list_menu")],
        MODERN,
        [*MODERN, ("Mcp-Method", "tools/call")],
        [*MODERN, ("Mcp-Method", "tools/call"), ("Mcp-Name", "=?base64?bGlzdF9tZW51?=")],
        [*MODERN, ("Mcp-Method", "tools/call"), ("Mcp-Name", "=?base64?!!?=")],
    ):
        response = await world.send(good, call("delete_order"), headers=headers)
        assert response.status_code == 400
        assert response.json()["error"]["code"] == -32020
    agreed = [*MODERN, ("Mcp-Method", "tools/call"), ("Mcp-Name", "=?base64?bGlzdF9tZW51?=")]
    assert (await world.send(good, call("list_menu"), headers=agreed)).status_code == 200
    legacy = await world.send(good, call("delete_order"), headers=[("MCP-Protocol-Version", "2025-06-18")])
    assert legacy.json()["result"]["isError"] is True
    double = await world.send(good, call("list_menu"), headers=[("Mcp-Name", "a"), ("Mcp-Name", "list_menu")])
    assert double.status_code >= 400


@pytest.mark.req("LIM-01", "TOK-05")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_menu"}}]',
        b'{"jsonrpc":"1.0","method":"ping"}',
        b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":5}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["list_menu"]}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_menu","name":"delete_order"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"tools/list","params":{"name":"delete_order"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"' + b"x" * 129 + b'"}}',
        b"[" * 200,
        b" " * 300_000,
    ],
)
async def test_a_body_that_can_not_be_read_one_way_is_refused(world: World, content: bytes) -> None:
    response = await world.send(token(), content=content)
    assert response.status_code in (400, 413)
    assert world.received == []


@pytest.mark.req("DEL-13")
async def test_the_inner_server_never_sees_the_credential(world: World) -> None:
    good = token()
    await world.send(good, call("list_menu"), headers=[("X-Other", "kept")])
    seen = world.received[0]
    assert "authorization" not in seen["headers"]
    assert seen["headers"]["x-other"] == "kept"
    assert good.encode() not in seen["body"]
    assert json.loads(seen["body"]) == call("list_menu")


@pytest.mark.req("DEL-12")
async def test_a_session_belongs_to_the_caller_who_opened_it(world: World) -> None:
    guard = world.guard()
    world.session = "s-1"
    opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
    assert (await world.send(token(), opening, guard=guard)).headers["mcp-session-id"] == "s-1"
    mine = await world.send(token(), call("list_menu"), guard=guard, headers=[("Mcp-Session-Id", "s-1")])
    assert mine.status_code == 200
    stepped_up = token(scopes=frozenset({"tool:list_menu"}))
    same = await world.send(stepped_up, call("list_menu"), guard=guard, headers=[("Mcp-Session-Id", "s-1")])
    assert same.status_code == 200
    # The same user through another agent is another caller.
    other = token(subject="smith", subject_profile="user", actors=(OTHER,), entitlements=frozenset({"tool:list_menu"}))
    theirs = await world.send(other, call("list_menu"), guard=guard, headers=[("Mcp-Session-Id", "s-1")])
    unknown = await world.send(token(), call("list_menu"), guard=guard, headers=[("Mcp-Session-Id", "s-2")])
    assert (theirs.status_code, unknown.status_code) == (404, 404)
    assert theirs.content == unknown.content


@pytest.mark.req("REV-01", "DEL-10")
@pytest.mark.parametrize("ended", ["urn:uuid:c1", AGENT])
async def test_what_was_revoked_ends_the_token_made_from_it(world: World, ended: str) -> None:
    good = token()
    assert (await world.send(good, call("list_menu"))).status_code == 200
    world.ended = {ended}
    response = await world.send(good, call("list_menu"))
    assert response.status_code == 401
    assert world.events[-1].reason == "revoked"


@pytest.mark.req("REV-02", "FCL")
async def test_not_finding_out_means_no(world: World) -> None:
    world.silent = True
    response = await world.send(token(), call("list_menu"))
    assert response.status_code == 503
    assert response.headers["retry-after"]
    world.silent = False
    assert (await world.send(token(), call("list_menu"))).status_code == 200


@pytest.mark.req("AUD-01")
async def test_what_can_not_be_recorded_does_not_happen(world: World) -> None:
    world.full = True
    assert (await world.send(token(), call("list_menu"))).status_code == 503
    assert (await world.send(None, call("list_menu"))).status_code == 503
    assert world.received == []


@pytest.mark.req("LLM-06")
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_the_list_shows_what_may_be_called_and_is_private(world: World, accept: str) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    response = await world.send(token(), asked, headers=[("Accept", accept)])
    text = response.text if accept == "application/json" else response.text.split("data: ")[1]
    result = json.loads(text)["result"]
    assert [tool["name"] for tool in result["tools"]] == ["list_menu", "update_stock"]
    assert result["cacheScope"] == "private"


@pytest.mark.req("VCX-14")
@pytest.mark.parametrize(
    ("method", "reason", "code"),
    [
        ("resources/read", "agent_not_capable", 1403),
        ("prompts/get", "agent_not_capable", 1403),
        ("subscriptions/listen", "agent_not_capable", 1403),
        ("surprise/method", "method_not_allowed", -32601),
        ("list_menu", "method_not_allowed", -32601),
    ],
)
async def test_a_method_no_capability_speaks_of_is_denied_and_recorded(
    world: World, method: str, reason: str, code: int
) -> None:
    asked: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"name": "x", "uri": "x"}}
    response = await world.send(token(), asked)
    assert (response.status_code, response.json()["error"]["code"]) == (200, code)
    assert world.received == []
    assert world.events[-1].reason == reason


@pytest.mark.req("VCX-14")
async def test_a_method_that_is_not_there_has_its_own_status_on_the_newest_wire(world: World) -> None:
    asked: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "surprise/method", "params": {}}
    newest = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "surprise/method")]
    response = await world.send(token(), asked, headers=newest)
    assert (response.status_code, response.json()["id"], response.json()["error"]["code"]) == (404, 1, -32601)
    mismatched = await world.send(token(), asked, headers=[newest[0], ("Mcp-Method", "ping")])
    assert (mismatched.status_code, mismatched.json()["id"]) == (400, 1)
    assert mismatched.json()["error"]["code"] == -32020
    assert world.received == []


@pytest.mark.req("VCX-14")
async def test_a_capability_can_name_a_method_and_bound_its_parameters(world: World) -> None:
    tools = {"resources/read": {"uri": {"constraint_type": "prefix", "prefix": "menu://"}}}
    capability = parse_bare_capability({"resource": [RESOURCE], "tools": tools})
    shown = token(capabilities=(capability,), scopes=scopes_of((capability,)))

    async def read(uri: str) -> Any:
        asked = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri, "_meta": {"x": 1}}}
        return (await world.send(shown, asked)).json()

    assert (await read("menu://today"))["result"] == {"ok": True}
    assert "not with these arguments" in (await read("file:///etc/passwd"))["error"]["message"]
    assert len(world.received) == 1
    # The right to the method is none to a tool that took its name.
    refused = await world.send(shown, call("resources/read", uri="menu://today"))
    assert refused.status_code == 400
    assert len(world.received) == 1


async def test_other_paths_and_methods_need_a_credential_too(world: World) -> None:
    assert (await world.send(None, method="GET")).status_code == 401
    assert (await world.send(None, method="DELETE")).status_code == 401
    assert (await world.send(None, method="GET", path="/admin")).status_code == 401
    assert (await world.send(token(), method="GET")).status_code == 200


async def test_the_list_is_asked_for_uncompressed_so_that_it_can_be_filtered(world: World) -> None:
    for method, expected in (("tools/list", False), ("ping", True)):
        await world.send(token(), {"jsonrpc": "2.0", "id": 1, "method": method})
        assert ("accept-encoding" in world.received[-1]["headers"]) is expected


@pytest.mark.req("VCX-14")
@pytest.mark.parametrize("path", ["/mcp/", "/mcp//", "//mcp", "/MCP", "/mcp/x", "/mcp;x", "/", "/other"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_is_done_under_another_path_than_the_resources(world: World, method: str, path: str) -> None:
    response = await world.send(token(), call("delete_order"), method=method, path=f"https://mcp.example{path}")
    assert response.status_code == 404
    assert world.received == []
    assert (world.events[-1].decision, world.events[-1].reason) == ("deny", "not_found")


async def test_other_paths_can_be_read_by_whoever_is_admitted(world: World) -> None:
    assert (await world.send(token(), method="GET", path="/admin")).status_code == 200
    assert world.received[-1]["path"] == "/admin"
