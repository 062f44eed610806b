"""Limits at the guard: whichever door is taken, the same accounts pay, the whole chain pays, and nothing is for free."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from did_agent.credential.capability import parse_bare_capability, scopes_of
from did_agent.credential.chain import VerifiedChain, verify_chain
from did_agent.credential.issuance import attenuate
from did_agent.credential.known import KnownCredentials
from did_agent.credential.limits import Account, Limits
from did_agent.credential.trust import TrustedIssuers
from did_agent.errors import NotEvidenced, StoreUnavailable
from did_agent.policy.admission import capabilities_at
from did_agent.policy.evidence import require_evidenced
from did_agent.presentation.present import present_jwt
from did_agent.tokens.access_token import verify_access_token
from tests.fakes.guard_world import (
    AGENT,
    AGENT_KEY,
    BRIDGE,
    BRIDGE_KEY,
    ISSUER,
    NOW,
    OTHER,
    OTHER_KEY,
    RESOURCE,
    World,
    call,
    credential,
    token,
)
from verifier.adapters.limits_sqlite import SQLiteLimits
from verifier.http import bearer_alone
from verifier.limits.costs import Cost
from verifier.limits.gate import LimitsGate, Refunds
from verifier.limits.model import Charge, Refused, Spent
from verifier.mcp.answers import ResourceMetadata
from verifier.mcp.guard import Guard
from verifier.parts import GuardParts
from verifier.service import Verifier

Document = dict[str, Any]
FEW = {"maxCalls": 3}
COSTS = {"create_order": Cost(argument="total", currency="EUR")}


def held(limits: Mapping[str, Any] | None = None, *tools: str) -> Any:
    members: Document = {"resource": [RESOURCE], "tools": {tool: {} for tool in tools or ("create_order",)}}
    return parse_bare_capability(members if limits is None else {**members, "limits": dict(limits)})


def child_of(parent: Document, *capabilities: Any) -> Document:
    later = NOW + timedelta(minutes=10)
    return attenuate(parent, key=AGENT_KEY, subject=OTHER, capabilities=capabilities, valid_until=later, now=NOW)


def chain_of(*documents: Document, holder: str = AGENT) -> VerifiedChain:
    return verify_chain(documents, holder=holder, now=NOW, trusted=TrustedIssuers.of(ISSUER), max_depth=4)


def presented(*documents: Document, key: Any = AGENT_KEY) -> str:
    return present_jwt(documents, key=key, audience=RESOURCE, now=NOW)


def exchanged(chain: VerifiedChain, **changes: Any) -> str:
    """Return the token that the bridge makes of a chain."""
    capabilities = capabilities_at(RESOURCE, chain)
    actors = (chain.leaf.subject, *chain.delegators)
    values = {
        "subject": actors[-1],
        "actors": actors[:-1],
        "client_id": actors[0],
        "capabilities": capabilities,
        "scopes": scopes_of(capabilities),
        "credential_ids": chain.credential_ids,
        "evidence": chain.digest,
        "evidence_uri": f"{BRIDGE}/evidence/{chain.digest}",
    }
    return token(**values | changes)


@dataclass
class Place:
    """A guard that counts limits in a file."""

    world: World
    counter: SQLiteLimits
    refunds: Refunds = "never"

    @property
    def verifier(self) -> Verifier:
        gate = LimitsGate(counter=self.counter, costs=COSTS, refunds=self.refunds)
        return replace(self.world.verifier(), limits=gate)

    async def call(self, shown: str, tool: str = "create_order", **arguments: object) -> httpx2.Response:
        spool: Any = None
        parts = GuardParts(verifier=self.verifier, spool=spool, background=[])
        guard = Guard(self.world.inner, parts, ResourceMetadata(resource=RESOURCE, bridge=BRIDGE))
        return await self.world.send(shown, call(tool, **arguments), guard=guard)

    async def reason(self, shown: str, tool: str = "create_order", **arguments: object) -> str:
        """Make a call and return why it was decided as it was."""
        answer = await self.call(shown, tool, **arguments)
        assert answer.status_code == 200, answer.text
        return self.world.events[-1].reason

    @property
    def rows(self) -> int:
        return int(self.counter._database.execute("SELECT count(*) FROM counted").fetchone()[0])


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    counter = SQLiteLimits(tmp_path / "guard.db")
    yield Place(World(), counter)
    await counter.close()


@pytest.mark.req("DEL-05")
async def test_a_presentation_and_its_token_spend_from_the_same_account(place: Place) -> None:
    document = credential(capabilities=[held(FEW)])
    text = exchanged(chain_of(document))
    reasons = [await place.reason(shown) for shown in (presented(document), text, presented(document), text)]
    assert reasons == ["allowed", "allowed", "allowed", "limit_reached"]
    assert await place.reason(presented(document)) == "limit_reached"
    shown, told = place.world.callers[0], place.world.callers[1]
    assert shown == told
    assert [account.limits.max_calls for account in shown.capabilities[0].accounts] == [3]
    # Another credential of the same agent has its own.
    assert await place.reason(presented(credential(capabilities=[held(FEW)]))) == "allowed"


async def test_a_model_can_read_which_limit_is_reached_and_for_how_long(place: Place) -> None:
    document = credential(capabilities=[held({"maxCalls": 1, "windowSeconds": 60})])
    assert await place.reason(presented(document)) == "allowed"
    place.world.now = NOW + timedelta(seconds=20.5)
    answer = await place.call(presented(document))
    result = answer.json()["result"]
    assert result["isError"]
    text = result["content"][0]["text"]
    assert "the limit of the agent's own credential is reached: 1 call every 60 seconds" in text
    assert "it can work again in 40 seconds" in text
    assert result["_meta"]["org.did-agent/decision"]["reason"] == "limit_reached"
    assert len(place.world.received) == 1
    place.world.now = NOW + timedelta(seconds=60)
    assert await place.reason(exchanged(chain_of(document))) == "allowed"


@pytest.mark.req("DEL-04", "DEL-05")
async def test_handing_on_twice_doubles_no_budget(place: Place) -> None:
    parent = credential(capabilities=[held(FEW)], max_depth=1)
    children = [child_of(parent, held({"maxCalls": 2})) for _ in range(2)]
    shown = [presented(child, parent, key=OTHER_KEY) for child in children for _ in range(2)]
    assert [await place.reason(one) for one in shown] == ["allowed"] * 3 + ["limit_reached"]
    assert "handed on, is reached: 3 calls in all; it will not work again" in place.world.events[-1].explanation
    assert f"{AGENT[:13]}" in place.world.events[-1].explanation
    assert await place.reason(presented(parent)) == "limit_reached"
    text = exchanged(chain_of(children[1], parent, holder=OTHER))
    assert await place.reason(text) == "limit_reached"
    shown_caller, parent_caller = place.world.callers[0], chain_of(parent).capabilities[0]
    own, above = shown_caller.capabilities[0].accounts
    assert (own.holder, above.holder) == (OTHER, AGENT)
    assert (above,) == parent_caller.accounts


async def test_a_child_is_bound_by_its_own_limit_too(place: Place) -> None:
    parent = credential(capabilities=[held({"maxCalls": 9})], max_depth=1)
    child = child_of(parent, held({"singleUse": True, "maxCalls": 9}))
    for expected in ("allowed", "limit_reached"):
        assert await place.reason(presented(child, parent, key=OTHER_KEY)) == expected
    assert "the agent's own credential is reached: a single call ever" in place.world.events[-1].explanation
    assert await place.reason(presented(parent)) == "allowed"


async def test_nobody_spends_from_an_account_by_taking_the_name_of_its_credential(place: Place) -> None:
    victim = credential(capabilities=[held({"maxCalls": 1})])
    mallory = credential(capabilities=[held({"maxCalls": 5})], max_depth=1)
    later = NOW + timedelta(minutes=10)
    forged = attenuate(
        mallory, key=AGENT_KEY, subject=OTHER, capabilities=[held({"maxCalls": 1})], valid_until=later, now=NOW,
        id=str(victim["id"]),
    )  # fmt: skip
    assert await place.reason(presented(forged, mallory, key=OTHER_KEY)) == "allowed"
    assert await place.reason(presented(victim)) == "allowed"


async def test_what_is_unlimited_comes_first_and_costs_nothing(place: Place) -> None:
    both = credential(capabilities=[held({"maxCalls": 1}), held(None, "create_order", "list_menu")])
    for _ in range(3):
        assert await place.reason(presented(both)) == "allowed"
    assert place.rows == 0


async def test_of_several_limited_capabilities_the_first_that_still_can_is_spent(place: Place) -> None:
    both = credential(capabilities=[held({"maxCalls": 1}), held({"maxCalls": 2, "windowSeconds": 60})])
    reasons = [await place.reason(presented(both)) for _ in range(4)]
    assert reasons == ["allowed"] * 3 + ["limit_reached"]
    assert "it can work again in 60 seconds" in place.world.events[-1].explanation


@pytest.mark.req("DEL-05")
async def test_amounts_are_spent_where_the_resource_says_what_a_call_costs(place: Place) -> None:
    document = credential(capabilities=[held({"maxAmount": "10", "currency": "EUR"}, "create_order", "pay")])
    assert await place.reason(presented(document), total="7.50") == "allowed"
    assert await place.reason(presented(document), total=3) == "limit_reached"
    assert "10 EUR in all, of which 2.5 are left and 3 are needed" in place.world.events[-1].explanation
    assert await place.reason(presented(document), total="2.50") == "allowed"
    assert await place.reason(presented(document), total="0.01") == "limit_reached"
    for arguments in ({}, {"total": 1.5}, {"total": -5}, {"total": "-5"}):
        assert await place.reason(presented(document), **arguments) == "limit_not_enforceable"
    assert await place.reason(presented(document), "pay", total="1") == "limit_not_enforceable"
    assert "what a call of this tool costs is not known here" in place.world.events[-1].explanation


async def test_a_guard_that_counts_nothing_lets_nothing_limited_through(place: Place) -> None:
    document = credential(capabilities=[held(FEW)])
    answer = await place.world.send(presented(document), call("create_order"))
    assert place.world.events[-1].reason == "limit_not_enforceable"
    assert answer.json()["result"]["isError"]
    assert await place.reason(presented(document)) == "allowed"


async def test_limits_without_accounts_and_of_tokens_are_refused(place: Place) -> None:
    for changes in (
        {"capabilities": (held(FEW),)},
        {"capabilities": chain_of(credential(capabilities=[held({"maxTokens": 5})])).capabilities},
    ):
        assert await place.reason(token(scopes=frozenset({"tool:create_order"}), **changes)) == "limit_not_enforceable"


@pytest.mark.req("FCL", "AUD-01")
async def test_what_is_not_recorded_costs_nothing(place: Place) -> None:
    document = credential(capabilities=[held({"maxCalls": 1})])
    place.world.full = True
    assert (await place.call(presented(document))).status_code == 503
    assert place.world.received == []
    place.world.full = False
    assert await place.reason(presented(document)) == "allowed"
    assert await place.reason(presented(document)) == "limit_reached"


@pytest.mark.req("DEL-05", "DEL-07")
def test_a_stolen_bridge_key_cannot_have_calls_counted_elsewhere() -> None:
    document = credential(capabilities=[held(FEW)])
    chain = chain_of(document)
    (signed,) = chain.capabilities
    other = Account(id="elsewhere#0", limits=Limits(max_calls=3), holder=AGENT)
    for accounts, is_believed in (
        (signed.accounts, True),
        ((*signed.accounts, other), True),
        ((), False),
        ((other,), False),
        ((replace(signed.accounts[0], limits=Limits(max_calls=4)),), False),
    ):
        text = exchanged(chain, capabilities=(replace(signed, accounts=accounts),))
        read = verify_access_token(
            text,
            find_key=lambda *_: BRIDGE_KEY.public,
            expected_issuer=BRIDGE,
            expected_audience=RESOURCE,
            proven=frozenset(),
            now=NOW,
        )
        try:
            require_evidenced(
                read,
                [document],
                strictness="full",
                agent_key=False,
                trusted=TrustedIssuers.of(ISSUER),
                max_depth=4,
                known=KnownCredentials(0),
                now=NOW,
            )
        except NotEvidenced:
            assert not is_believed, accounts
        else:
            assert is_believed, accounts


class Away(SQLiteLimits):
    async def spend(self, charges: Any, now: int, spend_id: str) -> Spent | Refused:
        raise StoreUnavailable("away")


@pytest.mark.req("FCL")
async def test_a_counter_that_is_away_stops_limited_calls_alone(place: Place, tmp_path: Path) -> None:
    place.counter = Away(tmp_path / "away.db")
    answer = await place.call(presented(credential(capabilities=[held(FEW)])))
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert (place.world.events[-1].decision, place.world.events[-1].reason) == ("deny", "store_unavailable")
    assert place.world.received == []
    assert await place.reason(presented(credential(capabilities=[held()]))) == "allowed"
    await place.counter.close()


@pytest.mark.parametrize(("refunds", "expected"), [("never", "limit_reached"), ("on_error", "allowed")])
async def test_a_call_that_failed_is_given_back_where_the_policy_says_so(
    place: Place, refunds: Refunds, expected: str
) -> None:
    place.refunds = refunds
    verifier = place.verifier
    admitted = await verifier.admit(bearer_alone(presented(credential(capabilities=[held({"maxCalls": 1})]))))
    reasons = []
    for number in range(2):
        decision = await verifier.decide(admitted, tool="create_order", arguments={}, request_id=str(number))
        reasons.append(decision.reason)
        await verifier.undo(str(number))
        await verifier.undo(str(number))
    assert reasons == ["allowed", expected]


async def test_a_failed_call_is_given_back_once(place: Place) -> None:
    gate = LimitsGate(counter=place.counter, refunds="on_error")
    charge = Charge(account="a", kind="calls", cap=2, cost=1)
    for number in ("1", "2"):
        spent = await place.counter.spend((charge,), 0, number)
        assert isinstance(spent, Spent)
        gate._remember(number, spent)
    await gate.undo("1", happened=True)
    await gate.undo("1", happened=True)
    assert isinstance(await place.counter.spend((charge,), 0, "3"), Spent)
    assert isinstance(await place.counter.spend((charge,), 0, "4"), Refused)
