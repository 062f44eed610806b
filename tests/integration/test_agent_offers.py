"""An agent as a wallet, against real parties: it takes what is meant for it, and is led nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from did_agent.agent import Agent
from did_agent.client.credential_offer import fetch_metadata, read_offer
from did_agent.client.errors import ServerRefused
from did_agent.client.oid4vci import OfferClient
from did_agent.errors import (
    AuthorizationPending,
    BadCredential,
    HolderMismatch,
    InvalidParameter,
    MissingParameter,
    PeerUnavailable,
    WrongAudience,
    WrongIssuer,
)
from did_agent.keys.ed25519 import SigningKey
from did_agent.wallet import Wallet
from tests.fakes.bridge_world import START
from tests.fakes.deployment import Deployed, deployed

RESOURCE = "https://shop.example/mcp"
CAPABILITY = {"resource": [RESOURCE], "tools": {"list_menu": {}}}


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployed(tmp_path_factory.mktemp("offers")) as running:
        yield running


def post(parties: Deployed, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {parties.token('issuer')}"}
    answer = httpx2.post(parties.urls["issuer"] + path, json=dict(body), headers=headers, trust_env=False)
    assert answer.is_success, answer.text
    return dict(answer.json())


def register(parties: Deployed, name: str) -> str:
    return str(post(parties, "/agents", {"name": name, "sponsor": "Ops"})["agent_id"])


def offered(parties: Deployed, agent_id: str, **more: Any) -> dict[str, Any]:
    return post(parties, "/offers", {"agent": agent_id, "capabilities": [CAPABILITY], **more})


def agent_of(tmp_path: Path, name: str) -> Agent:
    wallet = Wallet(tmp_path)
    return Agent(name, wallet.create(name), wallet, clock=lambda: START)


def issuer_of(parties: Deployed) -> str:
    return parties.urls["issuer"] + "/oid4vci"


@pytest.mark.parametrize("link", ["uri", "uri_by_reference"])
async def test_an_agent_enrols_and_holds_what_it_was_offered(parties: Deployed, tmp_path: Path, link: str) -> None:
    agent = agent_of(tmp_path, "taker")
    forms = ["agent-identity", "agent-capability", "agent-capability-sd-jwt"]
    made = offered(parties, register(parties, f"taker {link}"), configurations=forms, tx_code=True)
    with pytest.raises(MissingParameter):
        await agent.accept_offer(made[link], issuer=issuer_of(parties))
    kept = await agent.accept_offer(made[link], tx_code=made["tx_code"], issuer=issuer_of(parties))
    assert len(kept) == len(agent.credentials) == 3
    assert agent.chain_for(RESOURCE) == [kept[1]]
    assert kept[2]["id"].startswith("data:application/dc+sd-jwt,ey")
    with pytest.raises(ServerRefused, match="invalid_grant"):
        await agent.accept_offer(made["uri"], tx_code=made["tx_code"], issuer=issuer_of(parties))


async def test_an_agent_waits_for_an_approval_and_not_for_ever(parties: Deployed, tmp_path: Path) -> None:
    made = offered(parties, register(parties, "waits"), needs_approval=True)
    kept: list[Any] = []

    async def deny(_seconds: float) -> None:
        post(parties, f"/offers/{made['id']}/deny", {"reason": "no"})

    with pytest.raises(ServerRefused, match="credential_request_denied"):
        await OfferClient(SigningKey.generate(), clock=lambda: START, sleep=deny).accept(made["uri"], keep=kept.append)
    agent, other = (
        agent_of(tmp_path, "impatient"),
        offered(parties, register(parties, "impatient"), needs_approval=True),
    )
    with pytest.raises(AuthorizationPending):
        await agent.accept_offer(other["uri"], wait_seconds=1)
    assert [*kept, *agent.credentials] == []


@pytest.mark.req("NET-01", "NET-03")
async def test_an_offer_leads_nowhere_it_may_not(parties: Deployed) -> None:
    made = offered(parties, register(parties, "led"))
    issuer = issuer_of(parties)
    with pytest.raises(WrongIssuer):
        await read_offer(made["uri"], issuer="https://other.example")
    with pytest.raises(PeerUnavailable):  # a link to this machine counts only when its issuer was expected
        await read_offer(made["uri_by_reference"])
    assert (await read_offer(made["uri_by_reference"], issuer=issuer)).issuer == issuer
    for place in ("http://shop.example", "https://10.0.0.1", "https://shop.internal:9000", "file:///etc/passwd"):
        link = "openid-credential-offer://?" + urlencode({"credential_offer_uri": place})
        with pytest.raises(PeerUnavailable):
            await read_offer(link)
        with pytest.raises(PeerUnavailable):
            await fetch_metadata(place)


@pytest.mark.parametrize(
    "spoiled",
    [
        "https://issuer.example",
        "openid-credential-offer://",
        "openid-credential-offer://?credential_offer={",
        "openid-credential-offer://?credential_offer=[]",
        "openid-credential-offer://?credential_offer={}&credential_offer_uri=https://x.example",
        'openid-credential-offer://?credential_offer={"credential_issuer":1,"credential_configuration_ids":["a"]}',
        'openid-credential-offer://?credential_offer={"credential_issuer":"https://x.example"}',
        "openid-credential-offer://?credential_offer=" + "x" * 20_000,
    ],
)
async def test_an_offer_that_cannot_be_read_is_refused(spoiled: str) -> None:
    with pytest.raises(InvalidParameter):
        await read_offer(spoiled)


async def test_an_offer_names_no_server_of_its_own(parties: Deployed) -> None:
    made = offered(parties, register(parties, "served"))
    spoiled = json.loads(json.dumps(made["credential_offer"]))
    (grant,) = spoiled["grants"].values()
    grant["authorization_server"] = "https://evil.example"
    link = "openid-credential-offer://?" + urlencode({"credential_offer": json.dumps(spoiled)})
    with pytest.raises(WrongAudience):
        await OfferClient(SigningKey.generate(), clock=lambda: START).accept(link, keep=[].append)


async def test_a_credential_of_somebody_else_is_not_kept(parties: Deployed, tmp_path: Path) -> None:
    agent, made = agent_of(tmp_path, "owner"), offered(parties, register(parties, "owner"), configurations=FORMS)
    capability, text = [dict(one) for one in await agent.accept_offer(made["uri"])]
    metadata = await fetch_metadata(issuer_of(parties))
    stranger = OfferClient(SigningKey.generate(), clock=lambda: START)
    own = OfferClient(Wallet(tmp_path).key("owner"), clock=lambda: START)
    sd_jwt = text["id"].partition(",")[2]
    for credential, configuration in ((capability, FORMS[0]), (sd_jwt, FORMS[1])):
        assert own._ours(credential, metadata, configuration)
        with pytest.raises(HolderMismatch):
            stranger._ours(credential, metadata, configuration)
    with pytest.raises(BadCredential):
        own._ours(1, metadata, FORMS[0])


FORMS = ["agent-capability", "agent-capability-sd-jwt"]
