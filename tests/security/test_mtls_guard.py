"""The guard and certificates: a bound token without its certificate is a stolen one, whichever way they come in."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.adapters.peer_certificate import EXTENSION, Proxies
from did_agent.tokens.confirmation import Confirmation
from tests.fakes.guard_world import BRIDGE, RESOURCE, World, call, token
from verifier.mcp import protect
from verifier.mcp.answers import ResourceMetadata
from verifier.mcp.guard import Guard
from verifier.parts import GuardParts

DER, OTHER = b"a certificate", b"another certificate"
CALL = call("list_menu")


def confirmation(der: bytes) -> Confirmation:
    return Confirmation(x5t_s256=base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode())


def header(der: bytes) -> tuple[str, str]:
    return "Client-Cert", f":{base64.b64encode(der).decode()}:"


def guard(w: World, *, proxies: tuple[str, ...] = ()) -> Guard:
    spool: Any = None
    parts = GuardParts(verifier=w.verifier(), spool=spool, background=[], proxies=Proxies.of(proxies))
    return Guard(w.inner, parts, ResourceMetadata(resource=RESOURCE, bridge=BRIDGE))


def connected(inner: Guard, *certificates: bytes) -> Any:
    """Return the app as our own listener runs it, for a connection on which these certificates were proven."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await inner({**scope, "extensions": {EXTENSION: certificates}}, receive, send)

    return app


async def send(w: World, app: Any, text: str, *headers: tuple[str, str]) -> httpx2.Response:
    return await w.send(text, CALL, guard=app, headers=list(headers))


@pytest.mark.req("TOK-09")
async def test_a_bound_token_is_good_on_its_own_connection_alone() -> None:
    w = World()
    bound = token(confirmation=confirmation(DER))
    assert (await send(w, connected(guard(w), DER), bound)).status_code == 200
    for app in (connected(guard(w)), connected(guard(w), OTHER), connected(guard(w), OTHER, DER), guard(w)):
        refused = await send(w, app, bound)
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")
        assert w.events[-1].reason == "sender_not_proven"
    assert (await send(w, connected(guard(w), OTHER), token())).status_code == 200  # a bearer is bound to nobody


@pytest.mark.req("TOK-09")
async def test_a_proxy_tells_of_the_certificate_and_nobody_else_does() -> None:
    w = World()
    bound = token(confirmation=confirmation(DER))
    behind = guard(w, proxies=("127.0.0.1",))
    assert (await send(w, behind, bound, header(DER))).status_code == 200
    assert not {"client-cert", "client-cert-chain"} & w.received[-1]["headers"].keys()
    for headers in ([], [header(OTHER)]):
        assert (await send(w, behind, bound, *headers)).status_code == 401
    assert (await send(w, connected(behind, DER), bound)).status_code == 401  # that is the proxy's own
    for direct in (guard(w), guard(w, proxies=("192.0.2.1",)), connected(guard(w), DER)):
        assert (await send(w, direct, bound, header(DER))).status_code == 400
        assert (await send(w, direct, token(), header(DER))).status_code == 400
        assert (await send(w, direct, token(), ("client_cert", header(DER)[1]))).status_code == 400
    assert (await send(w, behind, bound, header(DER), header(DER))).status_code == 400


@pytest.mark.req("TOK-09")
async def test_a_token_bound_to_a_key_is_not_freed_by_a_certificate() -> None:
    w = World()
    bound = token(confirmation=Confirmation(jkt=str(confirmation(DER).x5t_s256)))
    assert (await send(w, connected(guard(w), DER), bound)).status_code == 401


async def test_the_metadata_says_that_certificates_come_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def metadata() -> dict[str, Any]:
        app = protect(None, resource=RESOURCE, bridge=BRIDGE, trusted_issuers=(), data=tmp_path)
        app._parts.background = []
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="https://mcp.example") as http:
            return dict(json.loads((await http.get("/.well-known/oauth-protected-resource")).content))

    assert "tls_client_certificate_bound_access_tokens" not in await metadata()
    monkeypatch.setenv("DID_AGENT_TLS_PROXIES", '["10.0.0.0/8"]')
    assert (await metadata())["tls_client_certificate_bound_access_tokens"] is True
