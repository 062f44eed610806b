"""A grant is one, however many credentials it takes: over keys and renewals it is spent as one, and ended as one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from did_agent.credential.chain import VerifiedChain
from did_agent.credential.issuance import attenuate, build_capability_credential, issue, new_id
from did_agent.credential.model import parse_capability_credential
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.errors import BadCredential, VerificationError
from did_agent.keys.ed25519 import SigningKey
from tests.contract.conftest import database_url
from tests.contract.test_limit_counters import counter, url, valkey_url
from tests.fakes import issuer_world
from tests.fakes.credentials import (
    ALICE,
    ALICE_DID,
    BOB_DID,
    CAROL,
    ISSUER,
    MALLORY,
    MALLORY_DID,
    NOW,
    TRUSTED,
    entry,
    root,
    verified,
)
from tests.fakes.granting_desk import LESS, TEMPLATE, Desk, desk
from tests.fakes.issuer_world import AGENT_KEY, KEY
from tests.fakes.till import Till, accounts_of, pays

__all__ = ["counter", "database_url", "url", "valkey_url"]  # fixtures count as names of the module

NEXT, THIRD = SigningKey.from_seed(b"x" * 32), SigningKey.from_seed(b"y" * 32)
BECAUSE = {"reason": "because"}
BUDGETS: dict[str, dict[str, Any]] = {
    "calls": {"maxCalls": 2},
    "once": {"singleUse": True},
    "amount": {"maxAmount": "2", "currency": "EUR"},
    "window": {"maxCalls": 2, "windowSeconds": 80_000},
    "rate": {"maxRate": 6},  # one call at a time
}
ALLOWED = {"calls": 2, "once": 1, "amount": 2, "window": 2, "rate": 1}
DAYS = 5 * 86_400


@pytest.fixture
async def at(database_url: str) -> AsyncIterator[Desk]:
    async with desk(database_url) as opened:
        yield opened


def limited(limits: dict[str, Any]) -> dict[str, Any]:
    return {**LESS, "limits": limits}


def shown(at: Desk, document: dict[str, Any], key: SigningKey) -> VerifiedChain:
    trusted = TrustedIssuers.of(did_key(KEY.public))
    return verified([document], holder=did_key(key.public), now=at.now, trusted=trusted)


# ---- spent as one


@pytest.mark.req("DEL-15")
@pytest.mark.parametrize("budget", BUDGETS)
async def test_no_change_of_keys_begins_anything_anew(tmp_path: Path, budget: str) -> None:
    async with desk(tmp_path) as at:
        agent, till = await at.onboard(), Till()
        held = await at.grant(agent, capabilities=[limited(BUDGETS[budget])], renewable_seconds=DAYS)
        spent = [till.pays(held, at.now)]
        (held,) = await at.rotate(agent, AGENT_KEY, NEXT)
        spent += [till.pays(held, at.now)]
        (held,) = await at.recover(agent, THIRD)
        spent += [till.pays(held, at.now) for _ in range(3)]
        assert spent == [number < ALLOWED[budget] for number in range(5)]


@pytest.mark.req("DEL-15")
async def test_every_store_counts_a_grant_as_one(counter: Any, tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        agent, keys, spent = await at.onboard(), [AGENT_KEY, NEXT, THIRD], []
        held = await at.grant(agent, capabilities=[limited({"maxCalls": 4})], renewable_seconds=DAYS)
        spent += [await pays(counter, shown(at, held, AGENT_KEY).capabilities[0], at.now)]
        (held,) = await at.rotate(agent, *keys[:2])
        spent += [await pays(counter, shown(at, held, NEXT).capabilities[0], at.now)]
        at.later(hours=20)
        old, held = held, (await at.do(f"/credentials/{held['id']}/renew", at.agent(NEXT), {}))["credential"]
        for one in (old, held):  # both in force, for a while
            spent += [await pays(counter, shown(at, one, NEXT).capabilities[0], at.now)]
        (held,) = await at.rotate(agent, *keys[1:])
        spent += [await pays(counter, shown(at, held, THIRD).capabilities[0], at.now)]
        assert spent == [True] * 4 + [False]


@pytest.mark.req("DEL-15")
async def test_what_was_handed_on_is_charged_to_the_same_root(at: Desk) -> None:
    agent = await at.onboard()
    held = await at.grant(agent, capabilities=[limited({"maxCalls": 2})], max_depth=1)
    (again,) = await at.rotate(agent, AGENT_KEY, NEXT)
    later, roots = at.now + timedelta(minutes=10), set[str]()
    for parent, key in ((held, AGENT_KEY), (again, NEXT)):
        capabilities = parse_capability_credential(parent).capabilities
        child = attenuate(parent, key=key, subject=BOB_DID, capabilities=capabilities, valid_until=later, now=at.now)
        trusted = TrustedIssuers.of(did_key(KEY.public))
        chain = verified([child, parent], now=at.now, trusted=trusted)
        own, root_account = chain.capabilities[0].accounts
        assert "account" not in child["credentialSubject"]
        assert own.id != root_account.id
        roots.add(root_account.id)
    assert roots == set(accounts_of(held))


async def test_what_is_not_limited_names_no_account(at: Desk) -> None:
    agent = await at.onboard()
    await at.grant(agent)
    (again,) = await at.rotate(agent, AGENT_KEY, NEXT)
    assert "account" not in again["credentialSubject"]  # nor does it link an agent's keys for others


async def test_what_went_to_another_key_is_renewed_for_as_long_as_it_was_granted(at: Desk) -> None:
    agent = await at.onboard()
    await at.grant(agent, capabilities=[LESS], renewable_seconds=DAYS, valid_seconds=3_600)
    at.later(minutes=59)
    (short,) = await at.rotate(agent, AGENT_KEY, NEXT)
    at.later(seconds=50)
    renewed = (await at.do(f"/credentials/{short['id']}/renew", at.agent(NEXT), {}))["credential"]
    assert parse_capability_credential(renewed).valid_until == at.now + timedelta(hours=1)


@pytest.mark.req("DEL-15")
async def test_a_budget_of_a_role_that_lapsed_goes_on_where_it_stopped(at: Desk) -> None:
    agent = await at.onboard()
    first = await at.with_role(agent, capabilities=[limited({"maxCalls": 3})], renewable_seconds=3 * 86_400)
    at.later(hours=30)
    assert await at.state(first) == "expired"
    (next_one,) = (await at.do("/credentials/collect", at.agent()))["credentials"]
    assert accounts_of(next_one) == accounts_of(first)
    await at.do(f"/credentials/{next_one['id']}/revoke", at.person("admin"), BECAUSE)
    assert (await at.do("/credentials/collect", at.agent()))["credentials"] == []
    at.later(hours=43)  # the three days are over: now the role gives another budget
    (anew,) = (await at.do("/credentials/collect", at.agent()))["credentials"]
    assert accounts_of(anew) != accounts_of(first)


@pytest.mark.req("DEL-15")
async def test_a_template_that_changed_gives_no_second_budget_before_its_time(at: Desk) -> None:
    agent = await at.onboard()
    await at.with_role(agent, capabilities=[limited({"maxCalls": 3})], renewable_seconds=3 * 86_400)
    wider = {**TEMPLATE, "capabilities": [limited({"maxCalls": 9})]}
    await at.do("/capabilities", at.person("admin"), wider)
    at.later(hours=30)
    assert (await at.do("/credentials/collect", at.agent()))["credentials"] == []


@pytest.mark.req("DEL-15")
async def test_a_budget_does_not_begin_anew_under_another_key_of_its_issuer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as at:
        agent = await at.onboard()
        budget = await at.grant(agent, capabilities=[limited({"maxCalls": 2})], renewable_seconds=DAYS)
        rate = await at.grant(agent, capabilities=[limited({"maxRate": 6})], renewable_seconds=DAYS)
    monkeypatch.setattr(issuer_world, "KEY", SigningKey.from_seed(b"k" * 32))
    async with desk(tmp_path) as at:
        at.later(hours=20)
        assert await at.refused(f"/credentials/{budget['id']}/renew", at.agent(), {}) == "state_conflict"
        await at.do(f"/credentials/{rate['id']}/renew", at.agent(), {})
        (again,) = await at.rotate(agent, AGENT_KEY, NEXT)
        assert again["credentialSubject"]["capability"][0]["limits"] == {"maxRate": 6}


# ---- nobody's account but one's own


@pytest.mark.req("DEL-15")
def test_an_account_counts_under_the_issuer_that_names_it_alone() -> None:
    document = root(lambda made: entry(made).update(limits={"maxCalls": 1}))
    mine = parse_capability_credential(document)
    till = Till()
    assert till.pays(_named(ISSUER, mine.id), NOW)
    assert not till.pays(_named(ISSUER, mine.id), NOW)  # the twin: the same issuer continues it
    assert till.pays(_named(MALLORY, mine.id), NOW)  # another one spends its own
    foreign = accounts_of(_named(MALLORY, mine.id))
    assert set(foreign).isdisjoint(accounts_of(_named(ISSUER, mine.id)))
    assert accounts_of(_named(ISSUER, mine.id)) == accounts_of({**_named(ISSUER, None), "id": mine.id})


@pytest.mark.req("DEL-15")
def test_an_agent_that_hands_on_names_no_account() -> None:
    parent = root(lambda made: entry(made).update(limits={"maxCalls": 9}))
    capabilities = parse_capability_credential(parent).capabilities
    later = NOW + timedelta(minutes=5)
    child = attenuate(parent, key=ALICE, subject=BOB_DID, capabilities=capabilities, valid_until=later, now=NOW)
    verified([child, parent])
    for account in (parent["id"], new_id()):
        spoilt = {**child, "credentialSubject": {**child["credentialSubject"], "account": account}}
        del spoilt["proof"]
        with pytest.raises(BadCredential, match="account"):
            verified([issue(spoilt, ALICE, now=NOW), parent])


@pytest.mark.req("DEL-15")
@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
def test_an_account_is_signed(suite: str) -> None:
    unsigned = root(lambda made: made["credentialSubject"].update(account=new_id()))
    del unsigned["proof"]
    document = issue(unsigned, ISSUER, now=NOW, cryptosuite=suite)
    verified([document], holder=ALICE_DID)
    for spoilt in (new_id(), None):
        subject = {name: value for name, value in document["credentialSubject"].items() if name != "account"}
        edited = {**document, "credentialSubject": subject if spoilt is None else {**subject, "account": spoilt}}
        with pytest.raises(VerificationError):
            verified([edited], holder=ALICE_DID, trusted=TRUSTED)


# ---- ended as one


@pytest.mark.req("REV-04")
@pytest.mark.parametrize("which", [0, 2, 3])
async def test_the_end_of_one_is_the_end_of_its_line(at: Desk, which: int) -> None:
    agent = await at.onboard()
    other = await at.grant(agent, capabilities=[LESS])
    line = [await at.grant(agent, capabilities=[limited({"maxCalls": 2})], renewable_seconds=DAYS)]
    line += [one for one in await at.rotate(agent, AGENT_KEY, NEXT) if "account" in one["credentialSubject"]]
    at.later(hours=20)
    line.append((await at.do(f"/credentials/{line[-1]['id']}/renew", at.agent(NEXT), {}))["credential"])
    line += [one for one in await at.rotate(agent, NEXT, THIRD) if "account" in one["credentialSubject"]]
    assert [await at.state(one) for one in line] == ["revoked"] * 3 + ["active"]
    reach = await at.get(f"/credentials/{line[which]['id']}/impact")
    assert (reach["credentials"], reach["tools"]) == (1, ["a"])
    await at.do(f"/credentials/{line[which]['id']}/revoke", at.person("admin"), BECAUSE)
    assert [await at.state(one) for one in line] == ["revoked"] * 4
    # Nothing of it comes back, by no way, and nothing else has ended.
    assert await at.refused(f"/credentials/{line[-1]['id']}/renew", at.agent(THIRD), {}) == "state_conflict"
    fourth = SigningKey.from_seed(b"z" * 32)
    (left,) = await at.rotate(agent, THIRD, fourth)
    assert "account" not in left["credentialSubject"]
    assert await at.state(other) == "revoked"  # it went over three times, too: its line is another one


@pytest.mark.req("REV-04")
async def test_what_is_renewed_already_ends_with_what_it_was_renewed_to(at: Desk) -> None:
    agent = await at.onboard()
    first = await at.grant(agent, capabilities=[LESS], renewable_seconds=DAYS)
    at.later(hours=20)
    second = (await at.do(f"/credentials/{first['id']}/renew", at.agent(), {}))["credential"]
    admin, path = at.person("admin"), f"/credentials/{second['id']}"
    assert (await at.get(f"{path}/impact"))["credentials"] == 2
    await at.do(f"{path}/suspend", admin, BECAUSE)
    assert [await at.state(one) for one in (first, second)] == ["suspended"] * 2
    await at.do(f"{path}/resume", admin, BECAUSE)
    assert [await at.state(one) for one in (first, second)] == ["active"] * 2
    await at.do(f"{path}/revoke", admin, BECAUSE)
    assert [await at.state(one) for one in (first, second)] == ["revoked"] * 2
    assert await at.rotate(agent, AGENT_KEY, NEXT) == []


def _named(key: SigningKey, account: str | None) -> dict[str, Any]:
    """Return a credential of some issuer that says what it continues."""
    capabilities = parse_capability_credential(
        root(lambda made: entry(made).update(limits={"maxCalls": 1}, tools={"a": {}}))
    ).capabilities
    subject = did_key(CAROL.public) if key is MALLORY else MALLORY_DID
    document = build_capability_credential(
        id=new_id(),
        issuer=did_key(key.public),
        subject=subject,
        valid_from=NOW,
        valid_until=NOW + timedelta(minutes=5),
        capabilities=capabilities[:1],
        max_depth=0,
        account=account,
    )
    return issue(document, key, now=NOW)
