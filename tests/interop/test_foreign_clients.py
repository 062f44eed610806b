"""Unmodified clients of others get a token from the bridge and call a tool of a guarded MCP server."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from did_agent.agent import Agent
from did_agent.keys import ecdsa
from did_agent.keys.jwk import private_jwk, public_jwk
from tests.e2e.processes import Up
from tests.fakes.operated import Operated
from tests.interop.foreign_clients import run

REDIRECT = "http://127.0.0.1:9/callback"
PERSON = {"username": "smith", "password": secrets.token_urlsafe(12)}
SCRIPTS = ["openid_client.mjs", "oauth4webapi.mjs"]
CALL = {"tool": "update_stock", "arguments": {"item": "hummus", "quantity": 4}}


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    up = Up(tmp_path_factory.mktemp("foreign") / "data").start()
    operated = Operated(up)
    operated.admit_clients()
    operated.person(PERSON["username"], PERSON["password"], "list_menu", "update_stock")
    operated.client("public", redirect_uris=[REDIRECT], auth_method="none")
    up.run("agent", "create", "foreign", "--sponsor", "Operations", "--redirect-uri", REDIRECT)
    up.run("cred", "issue", "foreign", "--resource", up.resource, "--tool", "list_menu", "--tool", "update_stock")
    yield operated
    up.stop()


@pytest.fixture(scope="module")
def agent(operated: Operated) -> Agent:
    return Agent.load("foreign", path=operated.up.data / "wallet")


@pytest.fixture(scope="module")
def basic(operated: Operated, agent: Agent) -> dict[str, Any]:
    """A client with a secret behind which an agent stands."""
    secret = operated.client("legacy", redirect_uris=[REDIRECT], auth_method="client_secret_basic", agent=agent.did)
    return {"client_id": "legacy", "client_secret": secret, "auth_method": "client_secret_basic"}


def at(operated: Operated) -> dict[str, Any]:
    return {
        "issuer": operated.up.url("bridge"),
        "resource": operated.up.resource,
        "redirect_uri": REDIRECT,
        **CALL,
        **PERSON,
    }


def by_key(agent: Agent) -> dict[str, Any]:
    return {"client_id": agent.did, "private_key": agent.private_key_pem(), "auth_method": "private_key_jwt"}


def require_called(outcome: dict[str, Any], *, token_type: str = "bearer") -> None:
    assert outcome["tools"] == ["list_menu", "update_stock"]
    assert outcome["isError"] is False, outcome
    assert "hummus" in outcome["text"]
    assert outcome["token_type"].lower() == token_type


@pytest.mark.parametrize("package", ["sdk", "client"])
async def test_the_mcp_sdk_for_typescript_acts_for_a_person(operated: Operated, package: str) -> None:
    outcome = await run(
        "mcp_sdk.mjs", package=package, flow="code", client_id="public", auth_method="none", **at(operated)
    )
    require_called(outcome)


@pytest.mark.parametrize("package", ["sdk", "client"])
async def test_the_mcp_sdk_for_typescript_acts_by_an_agents_key(operated: Operated, agent: Agent, package: str) -> None:
    key = json.loads((operated.up.data / "wallet" / "foreign" / "key.jwk").read_text())
    given = {"client_id": agent.did, "private_key": key, "algorithm": "EdDSA"}
    outcome = await run("mcp_sdk.mjs", package=package, flow="key", **given, **at(operated))
    require_called(outcome)
    assert agent.did in outcome["text"]


@pytest.mark.parametrize("package", ["sdk", "client"])
async def test_the_mcp_sdk_for_typescript_acts_by_a_key_an_operator_registered(
    operated: Operated, agent: Agent, package: str
) -> None:
    key = ecdsa.SigningKey.generate("P-256")
    registered = {"auth_method": "private_key_jwt", "keys": [public_jwk(key.public)], "agent": agent.did}
    await operated.send("/clients/es256", {"name": "ES256", **registered})
    given = {"client_id": "es256", "private_key": private_jwk(key), "algorithm": "ES256"}
    outcome = await run("mcp_sdk.mjs", package=package, flow="key", **given, **at(operated))
    require_called(outcome)
    assert agent.did in outcome["text"]


@pytest.mark.parametrize("dpop", [None, "Ed25519", "ES256"])
@pytest.mark.parametrize("script", SCRIPTS)
async def test_oauth_clients_act_by_an_agents_key(
    operated: Operated, agent: Agent, script: str, dpop: str | None
) -> None:
    outcome = await run(script, flow="key", dpop=dpop, **by_key(agent), **at(operated))
    require_called(outcome, token_type="dpop" if dpop else "bearer")


@pytest.mark.parametrize("dpop", [None, "ES256"])
@pytest.mark.parametrize("script", SCRIPTS)
async def test_oauth_clients_act_for_a_person(operated: Operated, script: str, dpop: str | None) -> None:
    outcome = await run(script, flow="code", dpop=dpop, client_id="public", auth_method="none", **at(operated))
    require_called(outcome, token_type="dpop" if dpop else "bearer")


@pytest.mark.parametrize("script", SCRIPTS)
async def test_a_client_with_a_secret_acts_as_the_agent_behind_it(
    operated: Operated, agent: Agent, basic: dict[str, Any], script: str
) -> None:
    asked = {"requested_actor": agent.did}
    outcome = await run(script, flow="code", ask=asked, **basic, **at(operated))
    require_called(outcome)
    assert agent.did in outcome["text"]


async def test_openid_client_pushes_its_request(operated: Operated, agent: Agent) -> None:
    asked = {"requested_actor": agent.did}
    outcome = await run(
        "openid_client.mjs", flow="code", pushed=True, dpop="ES256", ask=asked, **by_key(agent), **at(operated)
    )
    require_called(outcome, token_type="dpop")


@pytest.fixture
def document() -> Iterator[str]:
    """The URL at which a client says who it is (CIMD), on this machine as the bridge is."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = f"http://{self.headers['Host']}{self.path}"
            body = json.dumps({"client_id": url, "client_name": "Foreign", "redirect_uris": [REDIRECT]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/client.json"
        server.shutdown()
        thread.join()


@pytest.mark.req("OAU-11")
@pytest.mark.parametrize("package", ["sdk", "client"])
async def test_a_client_is_known_by_its_metadata_document(operated: Operated, document: str, package: str) -> None:
    outcome = await run(
        "mcp_sdk.mjs", package=package, flow="code", client_id=document, auth_method="none", **at(operated)
    )
    require_called(outcome)
