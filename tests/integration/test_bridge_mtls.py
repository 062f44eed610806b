"""Client certificates at a real bridge with real TLS: tokens bound to them, and clients known by them (RFC 8705)."""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509

from tests.fakes.bridge_clients import asked, code, open_to_clients, register
from tests.fakes.bridge_world import REDIRECT, RESOURCE, World, cheap_passwords, claims_of, w, world
from tests.fakes.certificates import CLIENTS, SERVERS, Made, certificate, server_certificate

__all__ = ["w"]
PAST = datetime(2026, 11, 22, tzinfo=UTC)  # a day before the bridge's clock


@pytest.fixture
def server(tmp_path: Path) -> Made:
    return server_certificate(tmp_path)


@asynccontextmanager
async def mtls(tmp_path: Path, server: Made, **settings: Any) -> AsyncIterator[World]:
    async with world(tmp_path, tls=server.server, **settings) as w:
        await w.put_resource()
        yield w


async def post(w: World, server: Made, shown: Made | None, path: str = "/token", **form: str) -> httpx2.Response:
    """Send a form to the bridge's second address, showing a certificate there."""
    context = ssl.create_default_context(cafile=str(server.pem)) if shown is None else shown.client(server).context()
    async with httpx2.AsyncClient(verify=context, trust_env=False, timeout=30) as http:
        return await http.post(f"{w.mtls_url}{path}", data=form)


async def ask(w: World, server: Made, shown: Made | None, client_id: str) -> httpx2.Response:
    return await post(
        w,
        server,
        shown,
        grant_type="client_credentials",
        resource=RESOURCE,
        scope="tool:list_menu",
        client_id=client_id,
    )


def thumbprint(shown: Made) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(shown.der).digest()).rstrip(b"=").decode()


@pytest.mark.req("TOK-09")
async def test_a_certificate_binds_the_token_to_it(tmp_path: Path, server: Made) -> None:
    async with mtls(tmp_path, server) as w:
        agent, own = w.agent("orders", "list_menu"), certificate(tmp_path, "own")
        form = {"grant_type": "client_credentials", "resource": RESOURCE}
        answer = await post(w, server, own, **form, **w.assertion(agent.key))
        assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer"), answer.text
        assert claims_of(answer.json()["access_token"])["cnf"] == {"x5t#S256": thumbprint(own)}
        for bare in (
            await post(w, server, None, **form, **w.assertion(agent.key)),
            await w.client_credentials(agent.key, resource=RESOURCE),
        ):
            assert "cnf" not in claims_of(bare.json()["access_token"])


@pytest.mark.req("TOK-09")
async def test_a_resource_that_demands_bound_tokens_takes_certificates(tmp_path: Path, server: Made) -> None:
    async with mtls(tmp_path, server) as w:
        await open_to_clients(w, binding="required")
        agent, own = w.agent("orders", "list_menu"), certificate(tmp_path, "own")
        form = {"grant_type": "client_credentials", "resource": RESOURCE}
        assert (await post(w, server, None, **form, **w.assertion(agent.key))).status_code == 400
        assert (await post(w, server, own, **form, **w.assertion(agent.key))).status_code == 200


async def test_metadata_says_what_is_on(tmp_path: Path, server: Made) -> None:
    where = "/.well-known/oauth-authorization-server"
    async with mtls(tmp_path, server) as w:
        found = (await w.http.get(where)).json()
        assert found["tls_client_certificate_bound_access_tokens"] is True
        assert found["mtls_endpoint_aliases"]["token_endpoint"] == f"{w.mtls_url}/token"
        assert "self_signed_tls_client_auth" in found["token_endpoint_auth_methods_supported"]
        assert "tls_client_auth" not in found["token_endpoint_auth_methods_supported"]  # there is no client CA
    (tmp_path / "plain").mkdir()
    async with world(tmp_path / "plain") as plain:
        found = (await plain.http.get(where)).json()
        assert not {"tls_client_certificate_bound_access_tokens", "mtls_endpoint_aliases"} & found.keys()
        assert not any("tls" in method for method in found["token_endpoint_auth_methods_supported"])


@pytest.mark.req("OAU-06")
async def test_a_client_is_known_by_its_own_certificate(tmp_path: Path, server: Made) -> None:
    async with mtls(tmp_path, server) as w:
        agent, own = w.agent("orders", "list_menu"), certificate(tmp_path, "own")
        await register(w, "erp", auth_method="self_signed_tls_client_auth", keys=[own.x5c], agent=agent.did)
        answer = await ask(w, server, own, "erp")
        assert answer.status_code == 200, answer.text
        assert claims_of(answer.json()["access_token"])["cnf"] == {"x5t#S256": thumbprint(own)}
        renewed = certificate(tmp_path, "renewed", key=own.key)  # the same key: the same client (RFC 8705, 2.2)
        assert (await ask(w, server, renewed, "erp")).status_code == 200
        bad = {
            "none": None,
            "stranger": certificate(tmp_path, "stranger"),
            "namesake": certificate(tmp_path, "namesake", subject=own.certificate.subject),
            "over": certificate(tmp_path, "over", key=own.key, ends=PAST),
            "of a server": certificate(tmp_path, "not-a-client", key=own.key, usage=SERVERS),
        }
        for name, shown in bad.items():
            refused = await ask(w, server, shown, "erp")
            assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client"), name
        plain = await w.token({"grant_type": "client_credentials", "resource": RESOURCE, "client_id": "erp"})
        assert (plain.status_code, plain.json()["error"]) == (401, "invalid_client")


@pytest.mark.req("OAU-06")
async def test_a_client_is_known_by_a_name_our_authority_vouches_for(tmp_path: Path, server: Made) -> None:
    ca = certificate(tmp_path, "ca", is_ca=True)
    (other := tmp_path / "other").mkdir()
    stranger = certificate(other, "ca", is_ca=True)  # the same name, another key
    between = certificate(tmp_path, "between", by=ca, is_ca=True)
    name = [x509.DNSName("erp.example")]
    good = certificate(tmp_path, "good", by=ca, names=name, usage=CLIENTS)
    below = certificate(tmp_path, "below", by=between, names=name)
    below.pem.write_bytes(below.pem.read_bytes() + between.pem.read_bytes())
    async with mtls(tmp_path, server, client_ca=ca.pem) as w:
        agent = w.agent("orders", "list_menu")
        named = {"san_dns": "erp.example"}
        await register(w, "erp", auth_method="tls_client_auth", certificate_name=named, agent=agent.did)
        for shown in (good, below):
            answer = await ask(w, server, shown, "erp")
            assert answer.status_code == 200, answer.text
        bad = [
            None,
            certificate(tmp_path, "self-made", names=name),
            certificate(tmp_path, "by-stranger", by=stranger, names=name),
            certificate(tmp_path, "elsewhere", by=ca, names=[x509.DNSName("evil.example")]),
            certificate(tmp_path, "other-kind", by=ca, names=[x509.RFC822Name("erp.example")]),
            certificate(tmp_path, "over", by=ca, names=name, ends=PAST),
            certificate(tmp_path, "of-a-server", by=ca, names=name, usage=SERVERS),
            certificate(tmp_path, "by-a-leaf", by=good, names=name),
        ]
        for number, refused_one in enumerate(bad):
            refused = await ask(w, server, refused_one, "erp")
            assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client"), number
        dn = {"subject_dn": "CN=good"}
        await register(w, "by-dn", auth_method="tls_client_auth", certificate_name=dn, agent=agent.did)
        assert (await ask(w, server, good, "by-dn")).status_code == 200
        assert (await ask(w, server, below, "by-dn")).status_code == 401


@pytest.mark.req("TOK-09", "TOK-11")
async def test_a_refresh_token_keeps_its_certificate(
    tmp_path: Path, server: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_passwords(monkeypatch)
    async with mtls(tmp_path, server) as w:
        await open_to_clients(w)
        await w.put_user("smith", "list_menu")
        own, thief = certificate(tmp_path, "own"), certificate(tmp_path, "thief")
        await register(w, "desk", auth_method="none")
        asking = asked("desk", scope="tool:list_menu offline_access")
        value = await code(w, asking, offline=True)
        form = {"grant_type": "authorization_code", "code": value, "code_verifier": asking.verifier}
        first = await post(w, server, own, **form, redirect_uri=REDIRECT, client_id="desk")
        assert first.status_code == 200, first.text
        again = {"grant_type": "refresh_token", "client_id": "desk", "refresh_token": first.json()["refresh_token"]}
        for shown in (None, thief):
            refused = await post(w, server, shown, **again)
            assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        renewed = await post(w, server, own, **again)
        assert claims_of(renewed.json()["access_token"])["cnf"] == {"x5t#S256": thumbprint(own)}


async def test_a_client_revokes_and_introspects_by_its_certificate(tmp_path: Path, server: Made) -> None:
    async with mtls(tmp_path, server) as w:
        agent, own = w.agent("orders", "list_menu"), certificate(tmp_path, "own")
        await register(w, "erp", auth_method="self_signed_tls_client_auth", keys=[own.x5c], agent=agent.did)
        text = (await ask(w, server, own, "erp")).json()["access_token"]
        asking = {"client_id": "erp", "token": text}
        assert (await post(w, server, own, "/introspect", **asking)).json()["cnf"] == {"x5t#S256": thumbprint(own)}
        assert (await post(w, server, None, "/introspect", **asking)).status_code == 401
        revoking = {"client_id": agent.did, "token": text}
        assert (await post(w, server, own, "/revoke", **revoking, **w.assertion(agent.key))).status_code == 200
        assert (await post(w, server, own, "/introspect", **asking)).json() == {"active": False}


async def test_what_cannot_be_registered(tmp_path: Path, server: Made) -> None:
    own = certificate(tmp_path, "own")
    async with mtls(tmp_path, server) as w:
        headers = await w.admin_headers()
        for body in (
            {"auth_method": "self_signed_tls_client_auth"},
            {"auth_method": "self_signed_tls_client_auth", "keys": [{"x5c": []}]},
            {"auth_method": "self_signed_tls_client_auth", "keys": [{"x5c": ["AAAA"]}]},
            {"auth_method": "self_signed_tls_client_auth", "keys": [{"x5c": ["%"]}]},
            {"auth_method": "tls_client_auth"},
            {"auth_method": "tls_client_auth", "certificate_name": {}},
            {"auth_method": "tls_client_auth", "certificate_name": {"san_dns": "a", "san_uri": "b"}},
            {"auth_method": "tls_client_auth", "certificate_name": {"san_x": "a"}},
            {"auth_method": "tls_client_auth", "certificate_name": {"subject_dn": "no name"}},
            {"auth_method": "none", "certificate_name": {"san_dns": "a"}},
            {"auth_method": "none", "keys": [own.x5c]},
        ):
            answer = await w.http.put("/clients/erp", json={"name": "ERP", **body}, headers=headers)
            assert answer.status_code == 400, (body, answer.text)


async def test_certificates_survive_in_either_database(w: World, tmp_path: Path) -> None:
    agent = w.agent("orders", "list_menu")
    own = certificate(tmp_path, "own")
    await register(w, "erp", auth_method="self_signed_tls_client_auth", keys=[own.x5c], agent=agent.did)
    await register(w, "by-name", auth_method="tls_client_auth", certificate_name={"san_dns": "erp.example"})
    listed = (await w.http.get("/clients", headers=await w.admin_headers())).json()["clients"]
    shown = {one["client_id"]: one for one in listed}
    assert shown["erp"]["keys"] == [own.x5c]
    assert shown["by-name"]["certificate_name"] == {"san_dns": "erp.example"}
