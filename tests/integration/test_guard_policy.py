"""The bridge's policy at a guard: pulled, verified, never older than known, kept on disk, and over when it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from did_agent.adapters.cedar import Cedar
from did_agent.adapters.party import listen, serving
from did_agent.errors import PolicyStale, PolicyUnavailable, WrongKey
from did_agent.keys.ed25519 import PublicKey, SigningKey
from did_agent.policy.document import parse_policy
from did_agent.policy.rules import Rules
from did_agent.tokens.policy_bundle import PolicyBundle, sign_bundle
from tests.fakes.bridge_issuer import Clock
from verifier.adapters.policy_bundle import BridgePolicy

PERMIT = "permit(principal, action, resource);"
KEY = SigningKey.from_seed(b"b" * 32)
LIFE = timedelta(hours=1)
QUICK = timedelta(milliseconds=10)


@dataclass
class Published:
    """A bridge of which a test says what it publishes, and how it answers."""

    clock: Clock = field(default_factory=Clock)
    url: str = ""
    status: int = 200
    text: str = ""
    asked: int = 0
    unchanged: int = 0
    key: SigningKey = KEY

    async def find(self, kid: object) -> PublicKey:
        if kid != "k":
            raise WrongKey("no such key")
        return KEY.public

    def publish(self, version: int, wire: dict[str, Any] | None = None, **changes: Any) -> str:
        document = parse_policy(wire or {})
        now = self.clock()
        values = {"version": version, "digest": document.digest, "policy": document.to_json(), "issuer": self.url}
        bundle = PolicyBundle(**{**values, "issued_at": now, "expires": now + LIFE, **changes})
        self.text = sign_bundle(bundle, key=self.key, kid="k")
        return self.text

    async def answer(self, request: Request) -> Response:
        self.asked += 1
        etag = f'"{hash(self.text)}"'
        assert request.headers["authorization"].startswith("Bearer ey")
        if self.status == 200 and request.headers.get("if-none-match") == etag:
            self.unchanged += 1
            return Response(status_code=304)
        return Response(self.text, status_code=self.status, headers={"ETag": etag})

    async def rounds(self, count: int = 2) -> None:
        """Return when the guard has asked that often since."""
        wanted = self.asked + count
        async with asyncio.timeout(10):
            while self.asked < wanted:
                await asyncio.sleep(0.005)


@pytest.fixture
async def bridge() -> AsyncIterator[Published]:
    published, listener = Published(), listen("127.0.0.1", 0)
    published.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = Starlette(routes=[Route("/policy/bundle", published.answer)])
    async with serving([(app, listener)]):
        yield published


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifier.adapters.policy_bundle.RETRY", 0.01)
    monkeypatch.setattr("verifier.adapters.policy_bundle.FIRST_ANSWER", 0.2)


def source(bridge: Published, folder: Path, language: Any = None) -> BridgePolicy:
    return BridgePolicy(
        bridge.url,
        bridge,
        key=SigningKey.from_seed(b"g" * 32),
        file=folder / "guard.policy.json",
        language=language or Cedar(),
        clock=bridge.clock,
        refresh=QUICK,
    )


@asynccontextmanager
async def running(policy: BridgePolicy) -> AsyncIterator[BridgePolicy]:
    task = asyncio.create_task(policy.run())
    try:
        await policy.ready()
        yield policy
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(ready: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not ready():
            await asyncio.sleep(0.005)


@pytest.mark.req("POL-04")
async def test_what_the_bridge_publishes_is_in_force_and_compiled_once(bridge: Published, tmp_path: Path) -> None:
    compiled: list[str] = []

    class Counting(Cedar):
        def compile(self, text: str) -> Rules:
            compiled.append(text)
            return super().compile(text)

    bridge.publish(1, {"rules": PERMIT})
    async with running(source(bridge, tmp_path, Counting())) as policy:
        first = policy.current(bridge.clock())
        assert (first.version, first.issuer, first.rules is not None) == (1, bridge.url, True)
        await bridge.rounds()
        assert bridge.unchanged
        bridge.clock.forward(600)
        bridge.publish(1, {"rules": PERMIT})  # signed anew, the same version
        await bridge.rounds()
        assert policy.current(bridge.clock()) is first
        bridge.clock.forward(3_300)  # past the end of the first bundle, not of the second
        assert policy.current(bridge.clock()) is first
        bridge.publish(2)
        await until(lambda: policy.current(bridge.clock()).version == 2)
    assert compiled == [PERMIT]


@pytest.mark.req("POL-04", "FCL")
async def test_what_is_older_forged_or_changed_never_counts(bridge: Published, tmp_path: Path) -> None:
    old = bridge.publish(1, {"rules": PERMIT})
    bridge.publish(2)
    async with running(source(bridge, tmp_path)) as policy:
        in_force = policy.current(bridge.clock())
        thief = replace(bridge, key=SigningKey.from_seed(b"x" * 32))
        wrong = [
            old,
            bridge.publish(2, {"rules": PERMIT}),  # versions never change
            thief.publish(3),
            bridge.publish(3, issuer="https://other.example"),
            bridge.publish(3, issued_at=bridge.clock() - 2 * LIFE, expires=bridge.clock() - LIFE),
            "no.bundle.at-all",
            "é" * 10,
            "x" * 600_000,
        ]
        for text in wrong:
            bridge.text = text
            await bridge.rounds()
            assert policy.current(bridge.clock()) is in_force, text[:40]
        bridge.publish(3)
        await until(lambda: policy.current(bridge.clock()).version == 3)


@pytest.mark.req("FCL", "POL-01")
async def test_a_version_that_cannot_be_followed_closes_the_guard(bridge: Published, tmp_path: Path) -> None:
    class Missing(Cedar):
        def compile(self, text: str) -> Rules:
            raise PolicyUnavailable("the policy has rules, but cedarpy is not installed")

    bridge.publish(1)
    async with running(source(bridge, tmp_path, Missing())) as policy:
        assert policy.current(bridge.clock()).version == 1
        for number, changes in enumerate(
            (
                {"wire": {"rules": PERMIT}},
                {"policy": {"invented": True}},
                {"digest": "sha-256:another"},
            ),
            start=2,
        ):
            bridge.publish(number, **changes)  # type: ignore[arg-type]
            await until(lambda: _refusal(policy, bridge) is not None)
            assert f"policy {number} cannot be followed" in str(_refusal(policy, bridge))
            bridge.publish(number, {"resources": {"https://r.example": {}}})
            await until(lambda: _refusal(policy, bridge) is None)
        assert "cedarpy" in str(await _refused_with(bridge, policy, {"rules": PERMIT}))


@pytest.mark.req("FCL")
async def test_a_bridge_that_is_away_is_believed_until_the_bundle_ends(bridge: Published, tmp_path: Path) -> None:
    bridge.publish(1)
    async with running(source(bridge, tmp_path)) as policy:
        bridge.status = 503
        await bridge.rounds()
        bridge.clock.forward(3_599)
        assert policy.current(bridge.clock()).version == 1
        bridge.clock.forward(1)
        with pytest.raises(PolicyStale):
            policy.current(bridge.clock())
        bridge.status = 200
        bridge.publish(1)
        await until(lambda: _refusal(policy, bridge) is None)


@pytest.mark.req("FCL")
async def test_a_restart_while_the_bridge_is_away_goes_on_with_what_was_kept(bridge: Published, tmp_path: Path) -> None:
    old = bridge.publish(1)
    bridge.publish(2, {"rules": PERMIT})
    async with running(source(bridge, tmp_path)):
        await until((tmp_path / "guard.policy.json").exists)
    assert (tmp_path / "guard.policy.json").stat().st_mode & 0o077 == 0
    bridge.status = 503
    async with running(source(bridge, tmp_path)) as policy:
        again = policy.current(bridge.clock())
        assert (again.version, again.rules is not None, again.issuer) == (2, True, bridge.url)
        bridge.status, bridge.text = 200, old
        await bridge.rounds()
        assert policy.current(bridge.clock()) is again  # a restart forgets no version
        bridge.clock.forward(3_600)
        with pytest.raises(PolicyStale):
            policy.current(bridge.clock())
    # Not even when what was kept has ended.
    bridge.publish(1)
    async with running(source(bridge, tmp_path)) as policy:
        await bridge.rounds()
        assert isinstance(_refusal(policy, bridge), PolicyStale)
        bridge.publish(3)
        await until(lambda: _refusal(policy, bridge) is None)


@pytest.mark.req("FCL")
async def test_what_was_kept_is_verified_again(bridge: Published, tmp_path: Path) -> None:
    file = tmp_path / "guard.policy.json"
    bridge.publish(1)
    async with running(source(bridge, tmp_path)):
        await until(file.exists)
    bridge.status = 503
    kept = json.loads(file.read_bytes())
    assert source(bridge, tmp_path).current(bridge.clock()).version == 1
    other = replace(bridge, url="https://other.example")
    bridge.clock.forward(-120)
    for spoiled in (
        json.dumps(kept),  # from the future
        json.dumps({**kept, "bundle": kept["bundle"][:-4] + "AAAA"}),
        json.dumps({**kept, "key": {"kty": "none"}}),
        json.dumps({"bundle": kept["bundle"]}),
        "[]",
        "",
    ):
        file.write_text(spoiled)
        with pytest.raises(PolicyUnavailable):
            source(bridge, tmp_path).current(bridge.clock())
    bridge.clock.forward(120)
    file.write_text(json.dumps(kept))
    assert source(bridge, tmp_path).current(bridge.clock()).version == 1
    with pytest.raises(PolicyUnavailable):
        source(other, tmp_path).current(bridge.clock())


@pytest.mark.req("FCL")
async def test_before_the_first_answer_nothing_is_decided_and_nobody_waits_for_ever(
    bridge: Published, tmp_path: Path
) -> None:
    bridge.status = 503
    async with running(source(bridge, tmp_path)) as policy:  # waits, and no longer than it may
        assert "has not given its policy" in str(_refusal(policy, bridge))
        bridge.status = 200
        bridge.publish(0)
        await until(lambda: _refusal(policy, bridge) is None)
        assert policy.current(bridge.clock()).version == 0


@pytest.mark.req("FCL")
async def test_a_guard_that_may_not_see_the_policy_decides_nothing(bridge: Published, tmp_path: Path) -> None:
    bridge.publish(1)
    async with running(source(bridge, tmp_path)) as policy:
        bridge.status = 403
        await until(lambda: _refusal(policy, bridge) is not None)
        assert "party or a resource server" in str(_refusal(policy, bridge))
        bridge.status = 200
        await until(lambda: _refusal(policy, bridge) is None)


def _refusal(policy: BridgePolicy, bridge: Published) -> PolicyUnavailable | None:
    try:
        policy.current(bridge.clock())
    except PolicyUnavailable as error:
        return error
    return None


async def _refused_with(bridge: Published, policy: BridgePolicy, wire: dict[str, Any]) -> PolicyUnavailable | None:
    bridge.publish(9, wire)
    await until(lambda: _refusal(policy, bridge) is not None)
    return _refusal(policy, bridge)
