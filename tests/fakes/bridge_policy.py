"""Operators who publish policies at a real bridge, for tests of what these make of requests."""

from __future__ import annotations

from typing import Any

import httpx2

from did_agent.keys.ed25519 import SigningKey
from tests.fakes.bridge_world import PASSWORD, RESOURCE, World

PERMIT = '@id("base") permit(principal, action, resource);\n'


def staff(*tools: str) -> dict[str, Any]:
    """Return roles that give tools at the resource to the group `staff`."""
    return {"waiter": {"groups": ["staff"], "tools": {RESOURCE: list(tools)}}}


def at(mode: str, **more: Any) -> dict[str, Any]:
    """Return a policy with one mode at the resource."""
    return {"resources": {RESOURCE: {"mode": mode}}, **more}


async def put_policy(w: World, policy: dict[str, Any], **body: Any) -> httpx2.Response:
    return await w.http.put("/policy", json={"policy": policy, **body}, headers=await w.admin_headers())


async def publish(w: World, policy: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = await put_policy(w, policy, **body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def approve(w: World, policy: dict[str, Any], key: SigningKey | None = None) -> dict[str, Any]:
    headers = await w.admin_headers(key)
    answer = await w.http.post("/policy/approvals", json={"policy": policy}, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def publish_union(w: World, **more: Any) -> dict[str, Any]:
    """Publish a union that two operators approved."""
    policy = at("union", **more)
    await approve(w, policy)
    await approve(w, policy, w.colleague)
    return await publish(w, policy)


async def join(w: World, username: str, *groups: str) -> None:
    body = {"username": username, "groups": list(groups)}
    answer = await w.http.put("/user-groups", json=body, headers=await w.admin_headers())
    assert answer.status_code == 200, answer.text


async def guest(w: World, username: str, *groups: str) -> None:
    """Add a person who has no rights of their own."""
    body = {"name": "A Guest", "password": PASSWORD, "rights": {}, "groups": list(groups)}
    answer = await w.http.put(f"/users/{username}", json=body, headers=await w.admin_headers())
    assert answer.status_code == 200, answer.text


async def last_event(w: World, action: str = "token.issue") -> dict[str, Any]:
    return [event for event in await w.events() if event["action"] == action][-1]
