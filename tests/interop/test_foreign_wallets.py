"""An unmodified wallet library gets credentials for agents from our issuer, and our guard takes what they present."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from did_agent.adapters.keystore import load_or_create_key
from did_agent.adapters.trust import FILE, save_trust
from did_agent.agent import Agent
from did_agent.cli.deployment import initialise
from did_agent.client.auth import TokenAuth
from did_agent.client.bridge import BridgeClient
from did_agent.client.offers import OffersClient
from did_agent.clock import system_clock
from did_agent.credential.sd_jwt_vc import verify_sd_jwt_vc
from did_agent.did.key import did_key, verification_method
from did_agent.proof import sd_jwt
from did_agent.proof.sd_jwt import KeyBinding
from tests.e2e.processes import Up
from tests.fakes.operated import Operated
from tests.interop.foreign_clients import run

REDIRECT = "http://127.0.0.1:9/callback"
PERSON = {"username": "smith", "password": secrets.token_urlsafe(12)}
NOBODY = {"username": "nobody", "password": "nothing"}


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    """A deployment with a second operator, and with a credential issuer that a person can sign in for."""
    data = tmp_path_factory.mktemp("wallets") / "data"
    trust = initialise(data)
    approver = did_key(load_or_create_key(data / "keys" / "approver.jwk").public)
    save_trust(data / FILE, replace(trust, operators=(*trust.operators, approver)))
    data.with_name("data.log").touch()
    up = Up(data).start()
    operated = Operated(up)
    issuer = f"{up.url('issuer')}/oid4vci"
    words = {"agent-capability": "give its credential to the agent"}
    operated.put("/resources", {"resource": issuer, "name": "Credentials", "tools": words, "admits": "clients"})
    rights = {issuer: list(words)}
    operated.put("/users/smith", {"name": "Jo Smith", "password": PERSON["password"], "rights": rights})
    operated.client("wallet", redirect_uris=[REDIRECT], auth_method="none")
    yield operated
    up.stop()


async def wallet(operated: Operated, agent: Agent, made: dict[str, Any], **given: Any) -> dict[str, Any]:
    """Let the library take an offer with the agent's key."""
    key = json.loads((operated.up.data / "wallet" / agent.name / "key.jwk").read_text())
    asked = {"offer": made["uri"], "configurations": made["configurations"], **NOBODY, **given}
    outcome = await run("openid4vci.mjs", key=key, did_url=verification_method(agent.did), **asked)
    assert outcome.get("version") == "V1", outcome
    return outcome


async def new_agent(operated: Operated, name: str) -> Agent:
    """Make an agent that is registered and has a key, but has not enrolled."""
    await operated.register(name)
    return Agent.create(name, path=operated.up.data / "wallet")


def offer(operated: Operated, agent: Agent, *more: str) -> dict[str, Any]:
    grant = ("--resource", operated.up.resource, "--tool", "list_menu")
    made: dict[str, Any] = operated.up.json("offer", "create", agent.name, *grant, *more)
    return made


async def require_usable(operated: Operated, agent: Agent, credential: dict[str, Any]) -> None:
    """Return when the guard takes the agent's presentation of the credential."""
    assert credential["credentialSubject"]["id"] == agent.did
    agent.add_credential(credential)
    place = operated.up.resource
    async with (
        httpx2.AsyncClient(auth=agent.presentation_auth(place), trust_env=False, timeout=30) as http,
        Client(streamable_http_client(place, http_client=http)) as server,
    ):
        done = await server.call_tool("list_menu", {})
    assert not done.is_error


@pytest.mark.parametrize("binding", ["did", "jwk"])
async def test_a_code_enrols_an_agent_and_brings_its_capability(operated: Operated, binding: str) -> None:
    agent = await new_agent(operated, f"wallet-{binding}")
    made = offer(operated, agent, "--tx-code")
    given = {
        "tx_code": made["tx_code"],
        "binding": binding,
        "dpop": binding == "jwk",
        "offer": made["uri_by_reference"],
    }
    outcome = await wallet(operated, agent, made, **given)
    assert outcome["token_type"] == ("DPoP" if binding == "jwk" else "Bearer")
    assert outcome["notified"] == 1
    await require_usable(operated, agent, outcome["credentials"][0])


async def test_several_proofs_bring_several_credentials_in_every_form(operated: Operated) -> None:
    agent = await new_agent(operated, "wallet-batch")
    made = offer(operated, agent, "--copies", "2", "--identity", "--form", "rdfc", "--form", "sd-jwt")
    outcome = await wallet(operated, agent, made, copies=2)
    assert (len(outcome["credentials"]), outcome["notified"]) == (8, 4)
    texts = [one for one in outcome["credentials"] if isinstance(one, str)]
    documents = [one for one in outcome["credentials"] if not isinstance(one, str)]
    assert {one["proof"]["cryptosuite"] for one in documents} == {"eddsa-rdfc-2022"}
    await require_usable(operated, agent, documents[0])
    now, key = system_clock(), load_or_create_key(operated.up.data / "wallet" / agent.name / "key.jwk")
    for text in texts:
        shown = sd_jwt.present(text, disclose=[], holder_key=key, audience="https://rs.example", nonce="n", now=now)
        types = frozenset(f"{operated.up.url('issuer')}/oid4vci/types/{kind}" for kind in ("identity", "capability"))
        binding = KeyBinding(audience="https://rs.example", nonce="n")
        believed = verify_sd_jwt_vc(shown, expected_vct=types, key_binding=binding, now=now)
        assert (believed.subject, believed.holder) == (agent.did, key.public)


async def test_a_credential_waits_for_an_approval(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = await new_agent(operated, "wallet-waits")
    made = offer(operated, agent, "--approval")
    issuer = operated.up.url("issuer")
    key = load_or_create_key(operated.up.data / "keys" / "approver.jwk")
    bridge = BridgeClient(operated.up.url("bridge"))
    offers = OffersClient(issuer, auth=TokenAuth(lambda: bridge.client_credentials(key, resource=issuer)))

    async def approve(page: str, **_person: str) -> dict[str, str]:
        assert page == "waiting:5"
        await offers.decide(made["id"], "approve", reason="looked at")
        return {}

    monkeypatch.setattr("tests.interop.foreign_clients.sign_in_and_consent", approve)
    outcome = await wallet(operated, agent, made)
    await require_usable(operated, agent, outcome["credentials"][0])


async def test_a_person_signs_in_at_the_bridge_and_takes_an_offer(operated: Operated) -> None:
    operated.up.run("agent", "create", "wallet-person", "--sponsor", "Operations")
    agent = Agent.load("wallet-person", path=operated.up.data / "wallet")
    made = offer(operated, agent, "--person", "smith")
    given = {"flow": "code", "client_id": "wallet", "redirect_uri": REDIRECT, "dpop": True}
    outcome = await wallet(operated, agent, made, **{**given, **PERSON})
    assert outcome["token_type"] == "DPoP"
    await require_usable(operated, agent, outcome["credentials"][0])
