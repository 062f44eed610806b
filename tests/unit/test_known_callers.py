"""Tokens of one caller share what deciding worked out; whoever differs in anything shares nothing."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.guard_world import OTHER, World, token
from verifier.doors.known import KnownCallers
from verifier.http import bearer_alone


async def test_the_next_token_of_a_caller_is_of_the_same_caller_and_a_different_one_is_not() -> None:
    verifier = World().verifier()
    first, second = [(await verifier.admit(bearer_alone(token()))) for _ in range(2)]
    assert first.token_id != second.token_id
    assert second.caller is first.caller
    narrower = await verifier.admit(bearer_alone(token(scopes=frozenset({"tool:list_menu"}))))
    other = await verifier.admit(bearer_alone(token(credential_ids=("urn:uuid:c2",))))
    acting = await verifier.admit(bearer_alone(token(actors=(OTHER,))))
    assert len({id(one.caller) for one in (first, narrower, other, acting)}) == 4
    decision = await verifier.decide(first, tool="update_stock", arguments={"quantity": 1}, request_id="1")
    assert decision.allowed
    refused = await verifier.decide(narrower, tool="update_stock", arguments={"quantity": 1}, request_id="2")
    assert (refused.allowed, refused.reason) == (False, "scope_not_granted")
    assert first.caller.memo.keys() == narrower.caller.memo.keys() != other.caller.memo.keys()


async def test_only_so_many_callers_are_remembered_and_who_came_last_stays() -> None:
    caller = (await World().verifier().admit(bearer_alone(token()))).caller
    known = KnownCallers(most=3)
    callers = [replace(caller, client_id=f"client-{number}") for number in range(4)]
    for one in callers[:3]:
        assert known.same(one) is one
    assert known.same(replace(callers[0])) is callers[0]
    assert known.same(callers[3]) is callers[3]
    again = replace(callers[1])
    assert known.same(again) is again  # it went, as the one not seen for longest
    assert known.same(replace(callers[0])) is callers[0]
