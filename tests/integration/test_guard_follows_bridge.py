"""A guard follows the policy of a real bridge: the same decision through both doors, version by version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from did_agent.adapters.keystore import load_or_create_key
from did_agent.audit.event import AuditEvent
from did_agent.did.key import did_key, verification_method
from did_agent.errors import PolicyUnavailable
from did_agent.keys.jwk import public_jwk
from did_agent.policy.active import activate
from did_agent.policy.decide import Decision
from did_agent.policy.document import parse_policy
from did_agent.policy.replay import replay
from tests.fakes.bridge_clients import register
from tests.fakes.bridge_policy import PERMIT, publish, staff
from tests.fakes.bridge_world import RESOURCE, Actor, World, cheap_passwords, world
from verifier.adapters.spool import Spool
from verifier.composition import compose
from verifier.http import bearer_alone
from verifier.parts import GuardParts

LARGE = '@id("large") forbid(principal, action, resource) when { context has arguments && context.arguments has n && context.arguments.n > 20 };'
NUMBERS = {"arguments": {"n": "Long"}}


@dataclass
class Kitchen:
    """A bridge, an agent, and the guard of a resource."""

    w: World
    parts: GuardParts
    agent: Actor
    events: list[dict[str, Any]]

    async def by_token(self) -> str:
        answer = await self.w.client_credentials(self.agent.key, resource=RESOURCE)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def presented(self) -> str:
        return self.w.vp_jwt(self.agent, audience=RESOURCE)

    async def call(self, credential: str, tool: str, **arguments: Any) -> Decision:
        verifier = self.parts.verifier
        admission = await verifier.admit(bearer_alone(credential))
        return await verifier.decide(admission, tool=tool, arguments=arguments, request_id="r")

    async def both(self, tool: str, **arguments: Any) -> Decision:
        """Return the decision, which is the same through both doors."""
        token = await self.call(await self.by_token(), tool, **arguments)
        shown = await self.call(self.presented(), tool, **arguments)
        assert token == shown
        assert token.details(self.w.clock()) == shown.details(self.w.clock())
        return token

    def version(self) -> int:
        return self.parts.verifier.policies.current(self.w.clock()).version


def guard(w: World, folder: Path, **options: Any) -> GuardParts:
    return compose(
        resource=RESOURCE,
        bridge=w.url,
        trusted_issuers=[did_key(w.issuer.key.public)],
        data=folder,
        clock=w.clock,
        **options,
    )


async def until(ready: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not ready():
            await asyncio.sleep(0.02)


@pytest.fixture
async def kitchen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kitchen]:
    cheap_passwords(monkeypatch)
    events, record = list[dict[str, Any]](), Spool.record

    async def noting(spool: Spool, event: AuditEvent) -> None:
        await record(spool, event)
        events.append(event.to_json())

    monkeypatch.setattr(Spool, "record", noting)
    monkeypatch.setenv("DID_AGENT_POLICY_CLIENT", "kitchen")
    monkeypatch.setenv("DID_AGENT_POLICY_REFRESH", "1")
    (folder := tmp_path / "guard").mkdir()
    key = load_or_create_key(folder / "keys" / "guard.jwk")
    async with world(tmp_path / "bridge") as w, AsyncExitStack() as stack:
        await w.put_resource()
        await register(
            w,
            "kitchen",
            redirect_uris=[],
            resources=[RESOURCE],
            auth_method="private_key_jwt",
            keys=[public_jwk(key.public, kid=verification_method(did_key(key.public)))],
        )
        agent = w.agent("orders", "list_menu", "create_order")
        parts = guard(w, folder)
        await stack.enter_async_context(parts.running())
        await parts.verifier.policies.ready()
        yield Kitchen(w, parts, agent, events)


@pytest.mark.req("POL-04")
async def test_the_guard_decides_by_each_version_as_soon_as_it_is_published(kitchen: Kitchen) -> None:
    w = kitchen.w
    before = await kitchen.both("create_order", n=30)
    assert (before.allowed, before.policy) == (True, "agent_only/0")
    await publish(w, {"rules": PERMIT + LARGE, **NUMBERS})
    await until(lambda: kitchen.version() == 1)
    assert (await kitchen.both("create_order", n=20)).allowed
    refused = await kitchen.both("create_order", n=30)
    assert (refused.reason, refused.policy, refused.rules) == ("refused_by_rules", "agent_only/1", ("large",))
    token = await kitchen.by_token()
    await publish(w, {"resources": {RESOURCE: {"autonomous": False}}})
    await until(lambda: kitchen.version() == 2)
    # Tokens made before are bound by it, too, and so is who never asked the bridge for one.
    for credential in (token, kitchen.presented()):
        assert (await kitchen.call(credential, "list_menu")).reason == "mode_refused"
    published = await w.http.post("/policy/rollback", json={"version": 1, "note": ""}, headers=await w.admin_headers())
    assert published.status_code == 200
    await until(lambda: kitchen.version() == 3)
    assert (await kitchen.both("create_order", n=30)).policy == "agent_only/3"


@pytest.mark.req("POL-04", "AUD-01")
async def test_what_the_guard_recorded_can_be_decided_again(kitchen: Kitchen) -> None:
    published = await publish(kitchen.w, {"roles": staff("list_menu")})
    await until(lambda: kitchen.version() == 1)
    await kitchen.both("create_order", secret="falafel")
    await kitchen.both("delete_order")
    events = kitchen.events
    assert {event["details"]["policy_digest"] for event in events} == {published["digest"]}
    assert "falafel" not in str(events)
    same = replay(activate(parse_policy({"roles": staff("list_menu")}), version=1), events)
    assert (same.replayed, same.changes) == (4, ())
    found = replay(activate(parse_policy({"resources": {RESOURCE: {"autonomous": False}}}), version=2), events)
    assert [one.was for one in found.changes] == ["allow create_order"] * 2


@pytest.mark.req("FCL")
@pytest.mark.parametrize(("named", "code"), [("", "policy_unavailable"), ("kitchen", "policy_stale")])
async def test_a_guard_nobody_knows_works_until_a_policy_names_somebody(
    kitchen: Kitchen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, code: str
) -> None:
    w, admitted = kitchen.w, await kitchen.parts.verifier.admit(bearer_alone(kitchen.presented()))
    if not named:
        monkeypatch.delenv("DID_AGENT_POLICY_CLIENT")
    (folder := tmp_path / "stranger").mkdir()
    stranger = guard(w, folder)
    async with stranger.running():
        policies, said = stranger.verifier.policies, list[str]()
        await policies.ready()
        assert policies.current(w.clock()).version == 0
        await publish(w, {"roles": staff("list_menu")})

        def closed() -> bool:
            try:
                policies.current(w.clock())
            except PolicyUnavailable as error:
                said.append(error.code)
            return bool(said)

        if named:  # somebody else's name proves nothing: what the guard has counts until it ends, and is not renewed
            w.clock.forward(3_600)
        await until(closed)
        assert said == [code]
        with pytest.raises(PolicyUnavailable):
            await stranger.verifier.decide(admitted, tool="list_menu", arguments={}, request_id="r")
        with pytest.raises(PolicyUnavailable):
            stranger.verifier.visible_tools(admitted)


async def test_a_guard_can_be_told_to_follow_nobody(kitchen: Kitchen, tmp_path: Path) -> None:
    (folder := tmp_path / "alone").mkdir()
    await publish(kitchen.w, {"resources": {RESOURCE: {"autonomous": False}}})
    parts = guard(kitchen.w, folder, policy="off")
    assert parts.verifier.policies.current(kitchen.w.clock()).version == 0


async def test_lists_of_tools_follow_the_policy(kitchen: Kitchen) -> None:
    verifier = kitchen.parts.verifier
    admission = await verifier.admit(bearer_alone(await kitchen.by_token()))
    assert verifier.visible_tools(admission) == {"list_menu", "create_order"}
    no_orders = 'forbid(principal, action == Action::"create_order", resource);'
    await publish(kitchen.w, {"rules": PERMIT + no_orders})
    await until(lambda: kitchen.version() == 1)
    assert verifier.visible_tools(admission) == {"list_menu"}
