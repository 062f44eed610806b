"""The agent: its wallet is its own, it hands on less than it has, and it finds the chain that serves."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import did_agent
from did_agent.agent import Agent
from did_agent.clock import system_clock
from did_agent.credential.chain import verify_chain
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.errors import DepthExceeded, Misconfigured, NotAttenuated, NotFound, StateConflict
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.model import Expected
from did_agent.presentation.verify import ask, judge
from did_agent.wallet import Wallet
from tests.fakes.machine import SERVER, granted

OTHER = "https://other.example/mcp"
AUDIENCE = "https://bridge.example"
ISSUER = SigningKey.from_seed(b"\x01" * 32)
TRUSTED = TrustedIssuers.of(did_key(ISSUER.public))


def grant(subject: str, **differing: Any) -> dict[str, Any]:
    return granted(ISSUER, subject, **differing)


@pytest.fixture
def alice(tmp_path: Path) -> Agent:
    return Agent.create("alice", path=tmp_path / "wallet")


@pytest.fixture
def bob(tmp_path: Path) -> Agent:
    return Agent.create("bob", path=tmp_path / "wallet")


def expected(audience: str, *, challenge: Any = "required") -> Expected:
    return Expected(
        audience=frozenset({audience}), now=system_clock(), trusted=TRUSTED, max_depth=4, challenge=challenge
    )


# ---- the wallet


@pytest.mark.req("KEY-01")
def test_an_agent_is_the_same_after_loading_and_its_files_are_its_owners_alone(alice: Agent, tmp_path: Path) -> None:
    alice.add_credential(grant(alice.did))
    again = Agent.load("alice", path=tmp_path / "wallet")
    assert (again.did, again.credentials) == (alice.did, alice.credentials)
    files = list((tmp_path / "wallet" / "alice").iterdir())
    assert len(files) == 2
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
    assert oct((tmp_path / "wallet" / "alice").stat().st_mode & 0o777) == "0o700"


@pytest.mark.req("KEY-01")
def test_a_key_others_can_read_is_not_used(alice: Agent, tmp_path: Path) -> None:
    key = tmp_path / "wallet" / "alice" / "key.jwk"
    key.chmod(0o640)
    with pytest.raises(Misconfigured, match="chmod 600"):
        Agent.load("alice", path=tmp_path / "wallet")
    key.chmod(0o600)
    assert Agent.load("alice", path=tmp_path / "wallet").did == alice.did


@pytest.mark.req("KEY-06")
def test_neither_the_agent_nor_its_key_shows_a_secret_when_printed(alice: Agent) -> None:
    secret = alice._key.seed().hex()
    assert secret not in repr(alice) + repr(vars(alice))
    assert alice.did in repr(alice)


def test_a_name_is_taken_once_and_an_unknown_one_is_not_found(alice: Agent, tmp_path: Path) -> None:
    with pytest.raises(StateConflict):
        Agent.create("alice", path=tmp_path / "wallet")
    with pytest.raises(NotFound):
        Agent.load("carol", path=tmp_path / "wallet")
    assert Wallet(tmp_path / "wallet").names() == ["alice"]


@pytest.mark.parametrize("name", ["", ".", "..", "../alice", "a/b", "/etc", ".hidden", "a\x00b", "x" * 65, "a\n"])
def test_a_name_cannot_leave_the_wallet(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Agent.create(name, path=tmp_path / "wallet")
    assert list(tmp_path.iterdir()) == []


def test_the_longest_name_is_accepted(tmp_path: Path) -> None:
    assert Agent.create("x" * 64, path=tmp_path).name == "x" * 64


def test_the_wallets_place_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DID_AGENT_WALLET", raising=False)
    monkeypatch.setenv("DID_AGENT_DATA", str(tmp_path / "data"))
    assert Wallet().path == tmp_path / "data" / "wallet"
    monkeypatch.setenv("DID_AGENT_WALLET", str(tmp_path / "own"))
    assert Wallet().path == tmp_path / "own"
    monkeypatch.delenv("DID_AGENT_WALLET")
    monkeypatch.delenv("DID_AGENT_DATA")
    assert Wallet().path == Path(".did-agent/wallet")


def test_the_same_credential_is_kept_once_and_different_ones_side_by_side(alice: Agent) -> None:
    first, second = grant(alice.did), grant(alice.did)
    alice.add_credential(first)
    alice.add_credential([second, first])
    assert alice.credentials == [first, second]


@pytest.mark.req("VCX-04")
@pytest.mark.parametrize("own_first", [True, False])
def test_a_credential_with_the_id_of_another_neither_replaces_nor_blocks_it(alice: Agent, own_first: bool) -> None:
    own = grant(alice.did)
    foreign = grant("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK", identifier=own["id"])
    alice.add_credential([own, foreign] if own_first else [foreign, own])
    assert len(alice.credentials) == 2
    assert alice.chain_for(SERVER) == [own]


def test_a_broken_credential_file_is_reported_not_skipped(alice: Agent, tmp_path: Path) -> None:
    alice.add_credential(grant(alice.did))
    (tmp_path / "wallet" / "alice" / "credential-broken.json").write_text("{")
    with pytest.raises(Misconfigured):
        _ = alice.credentials


# ---- what is presented


def test_a_presentation_is_accepted_by_whom_it_is_for(alice: Agent) -> None:
    alice.add_credential(grant(alice.did))
    shown = alice.present(AUDIENCE, challenge="c-1", resource=SERVER)
    verified = judge(ask(shown, expected(AUDIENCE)), {})
    assert (verified.holder, verified.challenge, verified.form) == (alice.did, "c-1", "json")
    token = alice.present_jwt(SERVER)
    assert judge(ask(token, expected(SERVER, challenge="jti")), {}).form == "jwt"


def test_every_presentation_is_good_for_one_use(alice: Agent) -> None:
    alice.add_credential(grant(alice.did))
    keys = {judge(ask(alice.present_jwt(SERVER), expected(SERVER, challenge="jti")), {}).replay_key for _ in range(3)}
    assert len(keys) == 3


async def test_authentication_shows_a_fresh_presentation_on_every_request(alice: Agent) -> None:
    import httpx2

    alice.add_credential(grant(alice.did))
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers["authorization"])
        return httpx2.Response(200)

    transport = httpx2.MockTransport(answer)
    async with httpx2.AsyncClient(transport=transport, auth=alice.presentation_auth(SERVER)) as http:
        await http.get(SERVER)
        await http.get(SERVER)
    assert len(set(seen)) == 2
    assert all(one.startswith("Bearer ey") for one in seen)


def test_only_a_credential_in_force_for_the_resource_is_shown(alice: Agent) -> None:
    now = system_clock()
    ended = grant(alice.did, start=now - timedelta(hours=1))
    elsewhere = grant(alice.did, resource=OTHER)
    anothers = grant("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK")
    alice.add_credential([ended, elsewhere, anothers])
    with pytest.raises(NotFound, match="no credential in force"):
        alice.chain_for(SERVER)
    good = grant(alice.did)
    alice.add_credential(good)
    assert alice.chain_for(SERVER) == [good]
    assert alice.chain_for(OTHER) == [elsewhere]


def test_a_credential_serves_up_to_its_end_and_not_at_it(tmp_path: Path) -> None:
    start = system_clock().replace(microsecond=0)
    wallet = Wallet(tmp_path)
    key = wallet.create("alice")
    moments = [start + timedelta(minutes=10, seconds=-1), start + timedelta(minutes=10)]
    before, at = (Agent("alice", key, wallet, clock=lambda moment=moment: moment) for moment in moments)
    held = grant(before.did, start=start)
    before.add_credential(held)
    assert before.chain_for(SERVER) == [held]
    with pytest.raises(NotFound):
        at.chain_for(SERVER)


# ---- what is handed on


def verified_chain(agent: Agent) -> Any:
    return verify_chain(agent.chain_for(SERVER), holder=agent.did, now=system_clock(), trusted=TRUSTED, max_depth=4)


@pytest.mark.req("DEL-04")
def test_a_delegated_credential_gives_what_was_handed_on_and_no_more(alice: Agent, bob: Agent) -> None:
    alice.add_credential(grant(alice.did))
    bob.add_credential(alice.delegate(bob.did, resource=SERVER, tools={"list_menu": {}}))
    chain = verified_chain(bob)
    assert (chain.leaf.subject, chain.principal) == (bob.did, alice.did)
    assert chain.covers(SERVER, "list_menu", {})
    assert not chain.covers(SERVER, "update_stock", {})


@pytest.mark.req("DEL-04")
def test_more_than_the_agent_has_cannot_be_handed_on(alice: Agent, bob: Agent) -> None:
    alice.add_credential(grant(alice.did))
    with pytest.raises(NotAttenuated):
        alice.delegate(bob.did, resource=SERVER, tools={"delete_order": {}})
    with pytest.raises(NotFound):
        alice.delegate(bob.did, resource=OTHER, tools={"list_menu": {}})
    assert alice.delegate(bob.did, resource=SERVER, tools={"update_stock": {}})


@pytest.mark.req("DEL-04", "DEL-05")
def test_a_child_has_the_limits_of_its_parent_and_can_only_have_less(alice: Agent, bob: Agent) -> None:
    limits = {"maxCalls": 9, "maxAmount": "50.00", "currency": "EUR"}
    alice.add_credential(grant(alice.did, limits=limits))
    for asked, expected in ((None, limits), ({"maxCalls": 2}, {**limits, "maxCalls": 2})):
        child = alice.delegate(bob.did, resource=SERVER, tools={"list_menu": {}}, limits=asked)[0]
        assert child["credentialSubject"]["capability"][0]["limits"] == expected
    for wider in ({"maxCalls": 10}, {"maxAmount": "50.01", "currency": "EUR"}, {"maxAmount": "1", "currency": "USD"}):
        with pytest.raises(NotAttenuated):
            alice.delegate(bob.did, resource=SERVER, tools={"list_menu": {}}, limits=wider)


@pytest.mark.req("DEL-08")
def test_handing_on_stops_at_the_depth_the_issuer_set(alice: Agent, bob: Agent, tmp_path: Path) -> None:
    carol = Agent.create("carol", path=tmp_path / "wallet")
    alice.add_credential(grant(alice.did, max_depth=1))
    bob.add_credential(alice.delegate(bob.did, resource=SERVER, tools={"list_menu": {}}))
    with pytest.raises(DepthExceeded):
        bob.delegate(carol.did, resource=SERVER, tools={"list_menu": {}})


def test_a_child_never_outlives_its_parent(alice: Agent, bob: Agent) -> None:
    parent = grant(alice.did)
    alice.add_credential(parent)
    child = alice.delegate(bob.did, resource=SERVER, tools={"list_menu": {}}, valid_seconds=3_600)[0]
    assert child["validUntil"] == parent["validUntil"]
    bob.add_credential([child, parent])
    assert verified_chain(bob).covers(SERVER, "list_menu", {})


def test_a_child_without_its_parent_is_not_presented(alice: Agent, bob: Agent) -> None:
    alice.add_credential(grant(alice.did))
    child, parent = alice.delegate(bob.did, resource=SERVER, tools={"list_menu": {}})
    bob.add_credential(child)
    with pytest.raises(NotFound, match="parent"):
        bob.chain_for(SERVER)
    bob.add_credential(parent)
    assert bob.chain_for(SERVER) == [child, parent]


def test_a_stranger_document_with_the_parents_id_does_not_take_its_place(alice: Agent, bob: Agent) -> None:
    parent = grant(alice.did)
    alice.add_credential(parent)
    child = alice.delegate(bob.did, resource=SERVER, tools={"list_menu": {}})[0]
    bob.add_credential([child, parent, grant(alice.did, identifier=parent["id"], max_depth=0)])
    assert bob.chain_for(SERVER) == [child, parent]
    assert verified_chain(bob).principal == alice.did


# ---- the package


def test_the_package_offers_the_agent_and_its_version_and_loads_nothing_for_it() -> None:
    assert did_agent.Agent is Agent
    assert did_agent.__version__.count(".") == 2
    with pytest.raises(AttributeError):
        _ = did_agent.nothing
    code = "import sys, did_agent; print(sorted(set(sys.modules) & {'httpx2', 'pydantic', 'nacl', 'click'}))"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "[]"
