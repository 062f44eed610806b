"""The guarded fetcher against addresses in disguise, names that share a machine, and servers that want to be remembered."""

from __future__ import annotations

import functools
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from did_agent.adapters import http, party
from did_agent.adapters.http import GuardedFetcher, is_loopback, is_public
from did_agent.adapters.party import listen, serving
from did_agent.errors import PeerUnavailable


@pytest.mark.req("NET-03")
@pytest.mark.parametrize(
    "address",
    [
        "::127.0.0.1",  # IPv4-compatible
        "fec0::1",  # site-local
        "2a00:1450::5efe:10.0.0.1",  # ISATAP
        "2a00:1450::200:5efe:169.254.169.254",  # ISATAP, address said to be unique
        "64:ff9b:1::10.0.0.1",  # NAT64 of one's own network
        "2002:a00:1::1",  # 6to4
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
        "192.88.99.1",  # 6to4 relay
        "5f00::1",  # segment routing
        "2001:db8::1",  # documentation
        "::ffff:169.254.169.254",
        "fe80::1%eth0",
        "198.18.0.1",
        "240.0.0.1",
    ],
)
def test_an_address_in_disguise_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2a00:1450::5efe:8.8.8.8"]
)
def test_a_public_address_stays_public_in_every_honest_form(address: str) -> None:
    assert is_public(address)


@pytest.mark.req("NET-02", "OPS-03")
@pytest.mark.parametrize(
    "url",
    [
        "https://[x]/",
        "https://[::1",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:x/",
        "http://127.0.0.1\t/",
        "http://127.0.0.1/\r\nX-Injected: 1",
        "http://localhost\\@evil.example/",
        " http://localhost/",
    ],
)
async def test_a_url_two_parsers_could_read_differently_is_an_ordinary_refusal(url: str) -> None:
    with pytest.raises(PeerUnavailable):
        await GuardedFetcher(allow_loopback=True).get_json(url)


def test_an_unreadable_url_is_not_of_this_machine() -> None:
    assert is_loopback("http://[::1]:8400")
    assert not is_loopback("http://[::1")


@pytest.mark.req("NET-03")
async def test_the_checked_address_is_connected_to_under_the_name_it_was_checked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def resolve(_host: str, _port: int) -> str:
        return "2606:4700:4700::1111"

    monkeypatch.setattr(http, "_resolve", resolve)
    pinned = await GuardedFetcher(allow_loopback=False)._pin("https://Issuer.example:8443/list?x=1")
    assert pinned == (
        "https://[2606:4700:4700::1111]:8443/list?x=1",
        {"Host": "Issuer.example:8443"},
        {"sni_hostname": "issuer.example"},
    )


def certificate_for(name: str, folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "server.pem", folder / "server.key"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


class Publisher:
    """Answers JSON, sets a cookie, and notes who came how."""

    def __init__(self) -> None:
        self.cookies: list[str | None] = []
        self.connections: set[tuple[str, int]] = set()
        self.agents: set[str] = set()
        self.headers: set[str] = set()

    def app(self) -> Starlette:
        async def here(request: Request) -> Response:
            assert request.client is not None
            self.cookies.append(request.headers.get("cookie"))
            self.connections.add((request.client.host, request.client.port))
            self.agents.add(request.headers["user-agent"])
            self.headers |= set(request.headers)
            answer = JSONResponse({"ok": True})
            answer.set_cookie("remember", "me")
            return answer

        return Starlette(routes=[Route("/here", here)])


@asynccontextmanager
async def published(found: Publisher) -> AsyncIterator[int]:
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    async with serving([(found.app(), listener)]):
        yield port


@pytest.mark.req("NET-05", "NET-09")
async def test_nothing_is_kept_between_two_fetches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    found = Publisher()
    async with published(found) as port:
        fetcher = GuardedFetcher(allow_loopback=True)
        for _ in range(3):
            assert await fetcher.get_json(f"http://127.0.0.1:{port}/here") == {"ok": True}
        await fetcher.aclose()
    assert found.cookies == [None, None, None]
    assert len(found.connections) == 3
    assert found.agents == {http.USER_AGENT}
    assert "authorization" not in found.headers


@pytest.mark.req("NET-03")
async def test_a_name_does_not_inherit_the_tls_identity_of_another_on_the_same_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, private = certificate_for("honest.example", tmp_path)
    trusting = ssl.create_default_context(cafile=str(public))
    monkeypatch.setattr(httpx2, "AsyncClient", functools.partial(httpx2.AsyncClient, verify=trusting))
    plain: Callable[..., Any] = uvicorn.Config
    monkeypatch.setattr(
        party.uvicorn, "Config", functools.partial(plain, ssl_certfile=str(public), ssl_keyfile=str(private))
    )

    async def resolve(_host: str, _port: int) -> str:
        return str(ipaddress.ip_address("127.0.0.1"))

    monkeypatch.setattr(http, "_resolve", resolve)
    found = Publisher()
    async with published(found) as port:
        monkeypatch.setattr(http, "_PORTS", (port,))
        fetcher = GuardedFetcher(allow_loopback=False)
        assert await fetcher.get_json(f"https://honest.example:{port}/here") == {"ok": True}
        with pytest.raises(PeerUnavailable):
            await fetcher.get_json(f"https://other.example:{port}/here")
        assert await fetcher.get_json(f"https://honest.example:{port}/here") == {"ok": True}
        await fetcher.aclose()
    assert len(found.cookies) == 2
