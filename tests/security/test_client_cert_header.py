"""Certificates that a proxy tells of: believed from configured addresses, refused from everybody else (RFC 9440)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from did_agent.adapters.peer_certificate import EXTENSION, PeerCertificate, Proxies, peer_certificate
from did_agent.errors import InvalidParameter, Misconfigured
from tests.fakes.bridge_world import RESOURCE, World, claims_of, world
from tests.fakes.certificates import certificate

PROXY = Proxies.of(["10.0.0.0/8", "fd00::1"])
GOOD = b":YWJj:"


def scope(*headers: tuple[bytes, bytes], client: str | None = "10.1.2.3", own: tuple[bytes, ...] = ()) -> Any:
    extensions = {EXTENSION: own} if own else {}
    return {"headers": list(headers), "client": client and (client, 1), "extensions": extensions}


@pytest.mark.req("TOK-09")
def test_a_proxy_is_believed() -> None:
    told = scope((b"client-cert", GOOD), (b"client-cert-chain", b":eA==:, :eQ==:"))
    assert peer_certificate(told, PROXY) == PeerCertificate(der=b"abc", chain=(b"x", b"y"))
    assert peer_certificate(scope(), PROXY) is None
    for address in ("fd00::1", "::ffff:10.1.2.3"):
        assert peer_certificate(scope((b"Client-Cert", GOOD), client=address), PROXY) is not None


@pytest.mark.req("TOK-09")
@pytest.mark.parametrize("name", [b"client-cert", b"Client-Cert", b"client_cert", b"CLIENT_CERT", b"client-cert-chain"])
@pytest.mark.parametrize("client", ["11.0.0.1", "127.0.0.1", "fd00::2", "unix", None])
def test_nobody_else_is(name: bytes, client: str | None) -> None:
    with pytest.raises(InvalidParameter):
        peer_certificate(scope((name, GOOD), client=client), PROXY)
    with pytest.raises(InvalidParameter):
        peer_certificate(scope((name, GOOD), client="10.1.2.3"))  # no proxy is configured
    assert peer_certificate(scope(client=client), PROXY) is None


@pytest.mark.req("TOK-09")
@pytest.mark.parametrize(
    "headers",
    [
        [(b"client-cert", GOOD), (b"client-cert", GOOD)],
        [(b"client-cert", GOOD), (b"Client-Cert", b":eA==:")],
        [(b"client-cert", GOOD), (b"client_cert", GOOD)],
        [(b"client_cert", GOOD)],
        [(b"client-cert_chain", GOOD), (b"client-cert", GOOD)],
        [(b"client-cert-chain", GOOD)],
        [(b"client-cert", b"")],
        [(b"client-cert", b"::")],
        [(b"client-cert", b"YWJj")],
        [(b"client-cert", b":YWJj: ; a=1")],
        [(b"client-cert", b":YWJj:, :YWJj:")],
        [(b"client-cert", b":YWJ:")],
        [(b"client-cert", b":YWK=:")],  # bits left over: two texts for one certificate
        [(b"client-cert", b":YW Jj:")],
        [(b"client-cert", b"-----BEGIN CERTIFICATE-----")],
        [(b"client-cert", GOOD), (b"client-cert-chain", b"")],
        [(b"client-cert", GOOD), (b"client-cert-chain", b",".join([GOOD] * 9))],
    ],
)
def test_a_proxy_must_be_clear(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(InvalidParameter):
        peer_certificate(scope(*headers), PROXY)


@pytest.mark.req("TOK-09")
def test_a_proxys_own_certificate_is_never_its_clients() -> None:
    assert peer_certificate(scope(own=(b"proxy",)), PROXY) is None
    told = peer_certificate(scope((b"client-cert", GOOD), own=(b"proxy",)), PROXY)
    assert told == PeerCertificate(der=b"abc")
    direct = peer_certificate(scope(client="11.0.0.1", own=(b"leaf", b"above")), PROXY)
    assert direct == PeerCertificate(der=b"leaf", chain=(b"above",))


def test_a_proxy_is_named_by_its_address() -> None:
    for name in ("proxy.example", "10.0.0.1/8", ""):
        with pytest.raises(Misconfigured):
            Proxies.of([name])


async def ask(w: World, key: Any, *headers: tuple[str, str]) -> Any:
    fields = {"grant_type": "client_credentials", "resource": RESOURCE, **w.assertion(key)}
    return await w.http.post("/token", data=fields, headers=list(headers))


@pytest.mark.req("TOK-09")
async def test_the_bridge_binds_to_what_its_proxy_tells(tmp_path: Path) -> None:
    own = certificate(tmp_path, "own")
    async with world(tmp_path, tls_proxies=("127.0.0.1",)) as w:
        await w.put_resource()
        agent = w.agent("orders", "list_menu")
        answer = await ask(w, agent.key, ("Client-Cert", own.header))
        assert answer.status_code == 200, answer.text
        assert "x5t#S256" in claims_of(answer.json()["access_token"])["cnf"]
        for headers in ([("Client-Cert", own.header)] * 2, [("Client_Cert", own.header)]):
            assert (await ask(w, agent.key, *headers)).status_code == 400
        metadata = (await w.http.get("/.well-known/oauth-authorization-server")).json()
        assert metadata["tls_client_certificate_bound_access_tokens"] is True


@pytest.mark.req("TOK-09")
async def test_the_bridge_refuses_the_header_from_anybody_else(tmp_path: Path) -> None:
    own = certificate(tmp_path, "own")
    async with world(tmp_path, tls_proxies=("192.0.2.1",)) as w:
        await w.put_resource()
        agent = w.agent("orders", "list_menu")
        assert (await ask(w, agent.key)).status_code == 200
        for name in ("Client-Cert", "client_cert", "Client-Cert-Chain"):
            assert (await ask(w, agent.key, (name, own.header))).status_code == 400
            for path in ("/.well-known/oauth-authorization-server", "/livez", "/authorize"):
                assert (await w.http.get(path, headers={name: own.header})).status_code == 400
