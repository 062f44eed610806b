"""Authlib, unmodified, as client of the bridge: by code with PKCE, by secret, and by an agent's key."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import OKPKey

from did_agent.agent import Agent
from did_agent.cli.demo.person import sign_in_and_consent
from did_agent.cli.demo.tools import Bearer, call
from did_agent.clock import numeric_date, system_clock
from tests.e2e.processes import Up
from tests.fakes.operated import Operated

REDIRECT = "http://127.0.0.1:9/callback"
PERSON = {"username": "smith", "password": secrets.token_urlsafe(12)}


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    up = Up(tmp_path_factory.mktemp("authlib") / "data").start()
    operated = Operated(up)
    operated.admit_clients()
    operated.person(PERSON["username"], PERSON["password"], "list_menu", "update_stock")
    up.run("agent", "create", "authlib", "--sponsor", "Operations", "--redirect-uri", REDIRECT)
    up.run("cred", "issue", "authlib", "--resource", up.resource, "--tool", "list_menu", "--tool", "update_stock")
    yield operated
    up.stop()


@pytest.fixture(scope="module")
def agent(operated: Operated) -> Agent:
    return Agent.load("authlib", path=operated.up.data / "wallet")


@pytest.fixture(scope="module")
def metadata(operated: Operated) -> dict[str, Any]:
    url = operated.up.url("bridge") + "/.well-known/oauth-authorization-server"
    found: dict[str, Any] = httpx2.get(url, trust_env=False).json()
    return found


def by_key(agent: Agent, issuer: str, **more: Any) -> OAuth2Session:
    key = OKPKey.import_key(agent.private_key_pem())
    session = OAuth2Session(agent.did, key, token_endpoint_auth_method="private_key_jwt", **more)
    session.trust_env = False
    # Authlib takes whatever it is given as the audience; the bridge's is its issuer alone (RFC 7523bis).  Of itself it
    # would sign for an hour.
    claims = {"exp": numeric_date(system_clock()) + 60}
    session.register_client_auth_method(PrivateKeyJWT(issuer, claims=claims, alg="Ed25519"))
    return session


async def require_called(operated: Operated, token: dict[str, Any], *, by: str) -> None:
    assert token["token_type"] == "Bearer"
    arguments = {"item": "hummus", "quantity": 4}
    done = await call(operated.up.resource, Bearer(token["access_token"]), "update_stock", arguments)
    assert done.allowed
    assert by in done.text


async def consented(url: str) -> str:
    answer = await sign_in_and_consent(url, **PERSON)
    return str(httpx2.URL(REDIRECT, params=answer))


async def test_authlib_acts_by_an_agents_key(operated: Operated, agent: Agent, metadata: dict[str, Any]) -> None:
    session = by_key(agent, metadata["issuer"])
    token = session.fetch_token(
        metadata["token_endpoint"], grant_type="client_credentials", resource=operated.up.resource
    )
    await require_called(operated, token, by=agent.did)


async def test_authlib_acts_for_a_person_as_the_agent(
    operated: Operated, agent: Agent, metadata: dict[str, Any]
) -> None:
    session = by_key(
        agent, metadata["issuer"], redirect_uri=REDIRECT, code_challenge_method="S256", scope="tool:update_stock"
    )
    verifier = secrets.token_urlsafe(48)
    url, state = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, resource=operated.up.resource
    )
    answer = await consented(url)
    token = session.fetch_token(
        metadata["token_endpoint"],
        authorization_response=answer,
        state=state,
        code_verifier=verifier,
        resource=operated.up.resource,
    )
    assert token["scope"] == "tool:update_stock"
    await require_called(operated, token, by=agent.did)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_authlib_acts_for_a_person_with_a_secret(
    operated: Operated, metadata: dict[str, Any], method: str
) -> None:
    client = f"legacy-{method}"
    registered = await operated.send(
        f"/clients/{client}", {"name": "Legacy", "redirect_uris": [REDIRECT], "auth_method": method}
    )
    session = OAuth2Session(
        client,
        registered["client_secret"],
        redirect_uri=REDIRECT,
        code_challenge_method="S256",
        token_endpoint_auth_method=method,
    )
    session.trust_env = False
    verifier = secrets.token_urlsafe(48)
    url, state = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, resource=operated.up.resource
    )
    token = session.fetch_token(
        metadata["token_endpoint"], authorization_response=await consented(url), state=state, code_verifier=verifier
    )
    await require_called(operated, token, by="hummus")
