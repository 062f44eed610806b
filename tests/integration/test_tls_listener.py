"""TLS at our own listeners: any client certificate is taken, what was proven reaches the app, nothing is resumed."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from did_agent.adapters.listening import places
from did_agent.adapters.party import listen, serving
from did_agent.adapters.peer_certificate import peer_certificate
from did_agent.adapters.tls import ClientCA, ServerTLS
from did_agent.errors import Misconfigured
from tests.fakes.certificates import Made, certificate, server_certificate

BIG = 300_000  # bytes; several TLS records in both directions
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
NOW = datetime(2026, 11, 23, tzinfo=UTC)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with how long the body was, the certificates that were proven, and something long."""
    if scope["type"] == "lifespan":
        for name in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{name}.complete"})
        return
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    found = peer_certificate(scope)
    shown = [] if found is None else [one.hex() for one in (found.der, *found.chain)]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{scope['scheme']} {length} {shown}".encode() + b"." * BIG})


@pytest.fixture
def server(tmp_path: Path) -> Made:
    return server_certificate(tmp_path)


@pytest.fixture
async def url(server: Made) -> AsyncIterator[str]:
    listener = listen("127.0.0.1", 0)
    async with serving([(app, listener, server.server)]):
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/"


async def said(url: str, context: ssl.SSLContext, times: int = 1) -> str:
    async with httpx2.AsyncClient(verify=context, trust_env=False, timeout=30) as http:
        answers = [await http.post(url, content=b"x" * BIG) for _ in range(times)]
    assert {len(answer.text.partition("]")[2]) for answer in answers} == {BIG}
    texts = {answer.text.rstrip(".") for answer in answers}
    assert len(texts) == 1
    return texts.pop()


@pytest.mark.req("TOK-09")
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
async def test_what_was_proven_reaches_the_app(url: str, server: Made, tmp_path: Path, version: ssl.TLSVersion) -> None:
    own = certificate(tmp_path, "own")
    curve = certificate(tmp_path, "curve", key=ec.generate_private_key(ec.SECP256R1()))
    for shown in (own, curve):
        context = shown.client(server).context()
        context.maximum_version = version
        assert await said(url, context, times=3) == f"https {BIG} ['{shown.der.hex()}']"
    bare = ssl.create_default_context(cafile=str(server.pem))
    bare.maximum_version = version
    assert await said(url, bare) == f"https {BIG} []"


async def test_certificates_above_the_clients_own_come_along(url: str, server: Made, tmp_path: Path) -> None:
    above = certificate(tmp_path, "above", is_ca=True)
    own = certificate(tmp_path, "own", by=above)
    own.pem.write_bytes(own.pem.read_bytes() + above.pem.read_bytes())
    assert await said(url, own.client(server).context()) == f"https {BIG} ['{own.der.hex()}', '{above.der.hex()}']"


@pytest.mark.req("TOK-09")
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
async def test_no_session_is_resumed(url: str, server: Made, tmp_path: Path, version: ssl.TLSVersion) -> None:
    def connect(context: ssl.SSLContext, session: ssl.SSLSession | None) -> ssl.SSLSession | None:
        port = int(url.rsplit(":", 1)[1].strip("/"))
        with (
            socket.create_connection(("127.0.0.1", port)) as bare,
            context.wrap_socket(bare, server_hostname="127.0.0.1", session=session) as secured,
        ):
            secured.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            while secured.recv(65_536):
                pass
            assert not secured.session_reused
            return secured.session

    context = certificate(tmp_path, "own").client(server).context()
    context.maximum_version = version
    session = await asyncio.to_thread(connect, context, None)
    await asyncio.to_thread(connect, context, session)


async def test_a_stranger_to_tls_disturbs_nobody(url: str, server: Made) -> None:
    port = int(url.rsplit(":", 1)[1].strip("/"))
    for sent in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 100, b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        writer.write_eof()
        assert b"HTTP" not in await reader.read()
        writer.close()
    old = ssl.create_default_context(cafile=str(server.pem))
    with pytest.deprecated_call():
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx2.ConnectError):
        await said(url, old)
    assert await said(url, ssl.create_default_context(cafile=str(server.pem))) == f"https {BIG} []"


def test_what_cannot_be_used_is_said_at_the_start(server: Made, tmp_path: Path) -> None:
    other = certificate(tmp_path, "other")
    for asks in (True, False):
        for broken in (
            ServerTLS(certificate=tmp_path / "absent", key=server.key_file, asks=asks),
            ServerTLS(certificate=server.pem, key=other.key_file, asks=asks),
            ServerTLS(certificate=server.key_file, key=server.key_file, asks=asks),
        ):
            with pytest.raises(Misconfigured):
                broken.context()
    (empty := tmp_path / "empty.pem").write_text("")
    (nonsense := tmp_path / "nonsense.pem").write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
    for file in (empty, nonsense, tmp_path / "absent"):
        with pytest.raises(Misconfigured):
            ClientCA(file)


def test_an_authority_vouches_for_what_it_signed_in_its_time(tmp_path: Path) -> None:
    ca = certificate(tmp_path, "ca", is_ca=True)
    good, own = certificate(tmp_path, "good", by=ca), certificate(tmp_path, "own")
    authority = ClientCA(ca.pem)
    assert authority.vouches_for(good.der, (), now=NOW)
    assert not authority.vouches_for(own.der, (), now=NOW)
    between = certificate(tmp_path, "between", by=ca, is_ca=True)
    below = certificate(tmp_path, "below", by=between)
    assert not authority.vouches_for(below.der, (), now=NOW)
    assert authority.vouches_for(below.der, (between.der,), now=NOW)
    assert ClientCA(between.pem).vouches_for(below.der, (), now=NOW)  # an authority need not be a root
    assert not ClientCA(between.pem).vouches_for(good.der, (), now=NOW)
    assert not authority.vouches_for(good.der, (), now=datetime(2050, 1, 1, tzinfo=UTC))
    assert not authority.vouches_for(b"no certificate", (), now=NOW)
    assert not authority.vouches_for(good.der, (b"no certificate",), now=NOW)


def free_port() -> int:
    with listen("127.0.0.1", 0) as one:
        return int(one.getsockname()[1])


def test_where_a_party_listens_follows_from_its_settings(server: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(url: str, **said: Any) -> list[tuple[int, Any]]:
        found = places(object, url, **said)
        ports = [(int(place[1].getsockname()[1]), place[2] and place[2].asks) for place in found]  # type: ignore[misc]
        for place in found:
            place[1].close()
        return ports

    own, second, other = free_port(), free_port(), free_port()
    plain, secure = f"http://127.0.0.1:{own}", f"https://127.0.0.1:{own}"
    for place in (plain, secure):  # a proxy in front ends TLS
        assert look(place, asks=True, mtls=True) == [(own, None)]
    assert look("https://bridge.example", bind=f"127.0.0.1:{other}") == [(other, None)]
    with pytest.raises(Misconfigured):
        look(plain, bind="127.0.0.1:x")
    monkeypatch.setenv("DID_AGENT_TLS_CERT", str(server.pem))
    with pytest.raises(Misconfigured):
        look(secure)
    monkeypatch.setenv("DID_AGENT_TLS_KEY", str(server.key_file))
    assert look(plain, asks=True, mtls=True) == [(own, None)]
    assert look(secure) == [(own, False)]
    assert look(secure, asks=True, mtls=True) == [(own, True)]
    monkeypatch.setenv("DID_AGENT_MTLS_URL", f"https://127.0.0.1:{second}")
    assert look(secure, asks=True) == [(own, True)]
    assert look(secure, asks=True, mtls=True) == [(own, False), (second, True)]
    assert look(plain, mtls=True, bind=f"127.0.0.1:{other}") == [(other, None), (second, True)]
    with listen("127.0.0.1", second) as taken:
        taken.listen()
        with pytest.raises(Misconfigured):
            look(secure, mtls=True)
    assert look(secure) == [(own, False)]  # what was opened before the refusal is closed


async def test_an_app_in_two_places_starts_once() -> None:
    started: list[str] = []

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            started.append("lifespan")
        await app(scope, receive, send)

    listeners = [listen("127.0.0.1", 0) for _ in range(2)]
    async with serving([(counting, one) for one in listeners]), httpx2.AsyncClient(trust_env=False) as http:
        for one in listeners:
            assert (await http.get(f"http://127.0.0.1:{one.getsockname()[1]}/")).status_code == 200
    assert started == ["lifespan"]
