"""An agent with a client certificate, from the bridge to the guarded tool, over real TLS on loopback (RFC 8705)."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.adapters.party import listen, serving
from did_agent.agent import Agent
from did_agent.client.certificate import ClientCertificate
from did_agent.errors import Misconfigured
from did_agent.wallet import Wallet
from tests.fakes import guard_world
from tests.fakes.bridge_world import World, capability, claims_of, world
from tests.fakes.certificates import Made, certificate, server_certificate
from verifier.composition import compose
from verifier.mcp.answers import ResourceMetadata
from verifier.mcp.guard import Guard

CALL = guard_world.call("list_menu")


@dataclass
class Stage:
    """A bridge, a guarded server with TLS of its own, and an agent that may read its menu."""

    w: World
    resource: str
    server: Made
    agent: Agent
    inner: guard_world.World

    async def post(self, shown: ClientCertificate | None, **options: Any) -> httpx2.Response:
        verify = ssl.create_default_context(cafile=str(self.server.pem)) if shown is None else shown.context()
        async with httpx2.AsyncClient(verify=verify, trust_env=False, timeout=30) as http:
            return await http.post(self.resource, json=CALL, **options)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    server, listener = server_certificate(tmp_path), listen("127.0.0.1", 0)
    resource = f"https://127.0.0.1:{listener.getsockname()[1]}/mcp"
    inner = guard_world.World()
    (tmp_path / "guard").mkdir()
    async with world(tmp_path, tls=server.server) as w:
        await w.put_resource(resource)
        actor = w.enrol("orders")
        document = w.grant(actor, capability("list_menu", resource=resource))
        (wallet := Wallet(tmp_path / "wallet")).create("orders")
        agent = Agent("orders", actor.key, wallet, clock=w.clock)
        agent.add_credential(document)
        parts = compose(resource=resource, bridge=w.url, trusted_issuers=(), data=tmp_path / "guard", clock=w.clock)
        guard = Guard(inner.inner, parts, ResourceMetadata(resource=resource, bridge=w.url))
        async with parts.running(), serving([(_with_lifespan(guard), listener, server.server)]):
            yield Stage(w, resource, server, agent, inner)


def _with_lifespan(guard: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await guard(scope, receive, send)
            return
        for name in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{name}.complete"})

    return app


@pytest.mark.req("TOK-09")
async def test_a_token_bound_to_a_certificate_is_good_with_it_alone(stage: Stage, tmp_path: Path) -> None:
    own = certificate(tmp_path, "own").client(stage.server)
    auth = stage.agent.auth(stage.resource, bridge=stage.w.url, certificate=own)
    answer = await stage.post(own, auth=auth)
    assert answer.status_code == 200, answer.text
    assert stage.inner.callers[-1].agent == stage.agent.did
    stolen = await stage.agent.token(stage.w.url, stage.resource, certificate=own)
    assert "x5t#S256" in claims_of(stolen)["cnf"]
    bearer = {"Authorization": f"Bearer {stolen}"}
    assert (await stage.post(own, headers=bearer)).status_code == 200
    for thief in (None, certificate(tmp_path, "thief").client(stage.server)):
        refused = await stage.post(thief, headers=bearer)
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")
    told = await stage.post(None, headers={**bearer, "Client-Cert": certificate(tmp_path, "copy").header})
    assert told.status_code == 400


async def test_a_certificate_that_cannot_be_read_is_said_at_once(tmp_path: Path) -> None:
    own, other = certificate(tmp_path, "own"), certificate(tmp_path, "other")
    for broken in (
        ClientCertificate(certificate=tmp_path / "absent.pem", key=own.key_file),
        ClientCertificate(certificate=own.pem, key=other.key_file),
    ):
        with pytest.raises(Misconfigured):
            broken.context()
