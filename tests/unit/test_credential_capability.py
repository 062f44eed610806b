"""Capabilities and limits: the parts that attenuation compares, and the shapes that are refused."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from did_agent.credential.capability import (
    Capability,
    covered_by,
    parse_authorization_detail,
    parse_bare_capability,
    parse_capability,
    parse_granted_detail,
    scopes_of,
    to_authorization_detail,
    to_granted_detail,
)
from did_agent.credential.limits import Account, Limits, parse_limits
from did_agent.errors import BadCredential
from tests.fakes.credentials import OTHER_RESOURCE, RESOURCE

WILD = {"constraint_type": "wildcard"}


def capability(**changes: Any) -> Capability:
    return parse_bare_capability({"resource": [RESOURCE], "tools": {"read": {}}} | changes)


def test_an_empty_argument_map_admits_any_arguments_and_no_tools_admit_nothing() -> None:
    assert capability().covers("read", {"anything": [1]})
    assert not capability(tools={}).covers("read", {})


def test_named_arguments_are_all_demanded_and_no_others_taken() -> None:
    named = capability(tools={"read": {"a": WILD, "b": WILD}})
    assert named.covers("read", {"a": 1, "b": 2})
    assert not named.covers("read", {"a": 1})
    assert not named.covers("read", {"a": 1, "b": 2, "c": 3})


def test_a_capability_is_narrowed_to_one_of_its_own_resources_only() -> None:
    both = capability(resource=[RESOURCE, OTHER_RESOURCE])
    narrowed = both.narrowed_to(OTHER_RESOURCE)
    assert narrowed is not None
    assert narrowed.resources == (OTHER_RESOURCE,)
    assert both.narrowed_to(RESOURCE + "/") is None


def test_tools_become_scopes() -> None:
    assert scopes_of([capability(), capability(tools={"write": {}})]) == {"tool:read", "tool:write"}


LIMITS = [
    ({"maxCalls": 5, "windowSeconds": 60}, {"maxCalls": 4, "windowSeconds": 60}, True),
    ({"maxCalls": 5, "windowSeconds": 60}, {"maxCalls": 6, "windowSeconds": 60}, False),
    ({"maxCalls": 5, "windowSeconds": 60}, {"maxTokens": 6}, False),
    ({"maxTokens": 5}, {"maxTokens": 5, "maxCalls": 1, "windowSeconds": 1}, True),
    ({"maxTokens": 5}, {"maxTokens": 6}, False),
    ({"maxAmount": "10.50", "currency": "EUR"}, {"maxAmount": "10.5", "currency": "EUR"}, True),
    ({"maxAmount": "9", "currency": "EUR"}, {"maxAmount": "10", "currency": "EUR"}, False),
    ({"maxAmount": "10", "currency": "EUR"}, {"maxAmount": "1", "currency": "USD"}, False),
    ({"maxAmount": "10", "currency": "EUR"}, {"maxTokens": 1}, False),
    ({"maxCalls": 5}, {"maxCalls": 5}, True),
    ({"maxCalls": 5}, {"maxCalls": 5, "windowSeconds": 86_400}, False),
    ({"maxCalls": 5, "windowSeconds": 60}, {"maxCalls": 5}, True),
    ({"maxCalls": 5, "windowSeconds": 60}, {"singleUse": True}, True),
    ({"maxCalls": 0}, {"singleUse": True}, False),
    ({"singleUse": True}, {"singleUse": True}, True),
    ({"singleUse": True}, {"maxCalls": 1}, True),
    ({"singleUse": True}, {"maxCalls": 1, "windowSeconds": 60}, False),
    ({"singleUse": True}, {"maxRate": 1}, False),
    ({"maxRate": 60}, {"maxRate": 60}, True),
    ({"maxRate": 60}, {"maxRate": 61}, False),
    ({"maxRate": 60}, {"maxCalls": 1}, False),
]


@pytest.mark.parametrize(("parent", "child", "expected"), LIMITS)
def test_limits_only_shrink(parent: dict[str, Any], child: dict[str, Any], expected: bool) -> None:
    assert covered_by(capability(limits=child), capability(limits=parent)) is expected


def test_an_absent_limit_is_never_less_than_a_present_one() -> None:
    assert covered_by(capability(limits={"maxTokens": 1}), capability())
    assert not covered_by(capability(), capability(limits={"maxTokens": 1}))


def test_limits_are_read_and_written_alike() -> None:
    written = {
        "maxCalls": 1, "windowSeconds": 2, "maxRate": 9, "singleUse": True, "maxAmount": "1.50", "currency": "EUR",
        "maxTokens": 3,
    }  # fmt: skip
    limits = capability(limits=written).limits
    amount = Decimal("1.50")
    assert limits == Limits(
        max_calls=1, window_seconds=2, max_rate=9, single_use=True, max_amount=amount, currency="EUR", max_tokens=3
    )
    assert limits.to_json() == written
    tiny = {"maxAmount": "0.000000001", "currency": "EUR"}
    assert parse_limits(tiny).to_json() == tiny


def test_an_absent_limit_is_that_of_the_parent() -> None:
    parent = Limits(max_calls=5, window_seconds=60, max_amount=Decimal(9), currency="EUR", max_rate=6, single_use=True)
    assert Limits(max_calls=3).inheriting(parent) == replace(parent, max_calls=3, window_seconds=None)
    assert Limits(max_amount=Decimal(1), currency="EUR").inheriting(parent) == replace(parent, max_amount=Decimal(1))
    wider = Limits(max_calls=6, window_seconds=60).inheriting(replace(parent, single_use=False))
    assert wider.max_calls == 6
    assert not wider.within(replace(parent, single_use=False))


def test_only_the_signer_of_a_token_says_where_calls_are_counted() -> None:
    account = Account(id="a#0", limits=Limits(max_calls=2))
    held = replace(capability(limits={"maxCalls": 1}), accounts=(account,))
    stated = to_granted_detail(held, RESOURCE)
    assert stated["charged"] == [{"account": "a#0", "limits": {"maxCalls": 2}}]
    assert parse_granted_detail(stated) == held
    with pytest.raises(BadCredential, match="charged"):
        parse_authorization_detail(stated)
    plain = to_authorization_detail(held, RESOURCE)
    assert parse_granted_detail(plain) == parse_authorization_detail(plain) == replace(held, accounts=())
    unlimited = {name: value for name, value in stated.items() if name != "limits"}
    for charged in ([], [{}], [{"account": "", "limits": {"maxCalls": 1}}], [{"account": "a", "limits": {}}], "a"):
        with pytest.raises(BadCredential):
            parse_granted_detail({**stated, "charged": charged})
    with pytest.raises(BadCredential, match="charged to nobody"):
        parse_granted_detail(unlimited)


MALFORMED: list[dict[str, Any]] = [
    {"resource": []},
    {"resource": RESOURCE},
    {"resource": [RESOURCE, RESOURCE]},
    {"resource": ["files"]},
    {"resource": [RESOURCE + "#part"]},
    {"resource": [RESOURCE + " x"]},
    {"resource": ["https://*.example"]},
    {"tools": ["read"]},
    {"tools": {"read": None}},
    {"tools": {"": {}}},
    {"tools": {"a b": {}}},
    {"tools": {"*": {}}},
    {"tools": {"x" * 129: {}}},
    {"tools": {f"t{n}": {} for n in range(65)}},
    {"tools": {"read": {f"a{n}": WILD for n in range(65)}}},
    {"tools": {"read": {"": WILD}}},
    {"limits": {}},
    {"limits": None},
    {"limits": {"windowSeconds": 1}},
    {"limits": {"singleUse": False}},
    {"limits": {"singleUse": 1}},
    {"limits": {"maxRate": 0}},
    {"limits": {"maxRate": 60_001}},
    {"limits": {"maxRate": 1, "windowSeconds": 60}},
    {"limits": {"maxAmount": "1000000000000000", "currency": "EUR"}},
    {"limits": {"maxCalls": True, "windowSeconds": 1}},
    {"limits": {"maxCalls": 1, "windowSeconds": 0}},
    {"limits": {"maxAmount": "1"}},
    {"limits": {"maxAmount": 1, "currency": "EUR"}},
    {"limits": {"maxAmount": "1e9", "currency": "EUR"}},
    {"limits": {"maxAmount": "-1", "currency": "EUR"}},
    {"limits": {"maxAmount": None, "currency": None}},
    {"limits": {"maxTokens": 1.5}},
    {"unknown": 1},
]


@pytest.mark.req("VCX-14")
@pytest.mark.parametrize("changes", MALFORMED, ids=[str(changes)[:50] for changes in MALFORMED])
def test_a_capability_outside_its_schema_is_refused(changes: dict[str, Any]) -> None:
    capability()
    with pytest.raises(BadCredential):
        capability(**changes)


def test_each_form_has_its_own_type() -> None:
    entry = capability().to_json()
    assert parse_capability(entry) == capability()
    with pytest.raises(BadCredential):
        parse_capability({**entry, "type": "Capability"})
    with pytest.raises(BadCredential):
        parse_bare_capability(entry)
    with pytest.raises(BadCredential):
        parse_authorization_detail({"type": "other", "locations": [RESOURCE], "tools": {}})
