"""A role from the command line to a tool call: given, collected, used, suspended, resumed, taken away."""

from __future__ import annotations

import asyncio
import json

import httpx2
import pytest
from processes import Up

from did_agent.client.grants import GrantsClient
from did_agent.client.webhooks import WebhooksClient
from tests.fakes.hook_receiver import receiver
from tests.fakes.operated import Operated

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_menu", "arguments": {}}}
HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}


def is_admitted(up: Up, token: str) -> bool:
    """Tell whether the guard lets a token through; what the server behind makes of the call is its business."""
    answer = httpx2.post(
        up.resource, json=CALL, headers={**HEADERS, "Authorization": f"Bearer {token}"}, timeout=20, trust_env=False
    )
    return answer.status_code not in (401, 403)


def token(up: Up, agent: str) -> str:
    return str(up.json("token", "get", agent, "--resource", up.resource)["access_token"])


@pytest.mark.req("REV-03")
def test_a_role_is_given_used_suspended_and_taken_away(up: Up) -> None:
    up.run("agent", "create", "role-holder", "--sponsor", "Ops")
    up.run("capability", "put", "menu", "--resource", up.resource, "--tool", "list_menu")
    up.run("role", "put", "staff", "--capability", "menu")
    up.run("role", "assign", "staff", "role-holder")
    (credential,) = up.json("cred", "collect", "role-holder")["credentials"]
    held = token(up, "role-holder")
    assert is_admitted(up, held)
    suspended = up.json("cred", "suspend", credential["id"], "--reason", "odd")
    assert (suspended["state"], suspended["propagated"]) == ("suspended", True)
    assert not is_admitted(up, held)
    up.run("token", "get", "role-holder", "--resource", up.resource, expected=1)
    up.run("cred", "resume", credential["id"], "--reason", "fine")
    assert is_admitted(up, held)
    assert is_admitted(up, token(up, "role-holder"))
    assert up.json("role", "unassign", "staff", "role-holder", "--reason", "gone")["revoked"] == 1
    assert not is_admitted(up, held)


def test_a_request_is_made_and_approved_from_the_command_line(up: Up) -> None:
    up.run("agent", "create", "asker", "--sponsor", "Ops")
    wanted = ("--resource", up.resource, "--tool", "list_menu", "--tool", "delete_order", "--reason", "lunch")
    made = up.json("request", "create", "asker", *wanted)
    assert made["id"] in {one["id"] for one in up.json("request", "list", "--state", "pending")["requests"]}
    refused = up.run("request", "approve", made["id"], "--reason", "ok", expected=1)  # one owns the agent oneself
    assert "insufficient_scope" in refused.stderr
    up.run("capability", "policy", "--no-separation")
    approved = up.json("request", "approve", made["id"], "--reason", "ok", "--tool", "list_menu", "--valid", "600")
    assert approved["state"] == "approved"
    assert approved["credential"]["credentialSubject"]["capability"][0]["tools"] == {"list_menu": {}}
    assert is_admitted(up, token(up, "asker"))
    up.run("capability", "policy", "--separation")


def test_a_webhook_hears_of_it_within_seconds(up: Up) -> None:
    deployment = Operated(up)._deployment
    auth = deployment.operator_auth(deployment.urls.issuer_url)
    agent = up.json("agent", "create", "heard", "--sponsor", "Ops")

    async def story() -> tuple[list[str], str]:
        grants = GrantsClient(deployment.urls.issuer_url, auth=auth)
        hooks = WebhooksClient(deployment.urls.issuer_url, auth=auth)
        async with receiver() as one:
            made = await hooks.add(one.url, ["credential.issued"])
            capability = {"resource": [up.resource], "tools": {"list_menu": {}}}
            (issued,) = await grants.issue_many([{"agent": agent["agent_id"], "capabilities": [capability]}])
            async with asyncio.timeout(20):
                while not one.received:
                    await asyncio.sleep(0.05)
            await hooks.remove(made["id"])
            return [json.loads(body)["data"]["id"] for _, body in one.received], issued["id"]

    told, issued = asyncio.run(story())
    assert told == [issued]
