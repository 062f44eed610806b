"""Both doors lead to one caller, and the decision says which term was empty."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from did_agent.credential.capability import parse_bare_capability, scopes_of
from did_agent.errors import EmptyGrant
from did_agent.policy.admission import caller_from_token
from did_agent.policy.caller import DID_NAMESPACE, Principal, VerifiedCaller
from did_agent.policy.combination import grant
from did_agent.policy.decide import Call, decide, visible_tools
from did_agent.tokens.access_token import AccessToken

RESOURCE = "https://mcp.example/mcp"
AGENT = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def caller(tools: dict[str, Any] | None = None, **changes: Any) -> VerifiedCaller:
    capability = parse_bare_capability({"resource": [RESOURCE], "tools": tools or {"create_order": {}}})
    honest = VerifiedCaller(
        principal=Principal(kind="user", id="smith", namespace="https://bridge.example"),
        actors=(AGENT,),
        client_id=AGENT,
        scopes=scopes_of((capability,)),
        capabilities=(capability,),
        entitlements=frozenset({"tool:create_order", "tool:delete_order"}),
        credential_ids=("urn:uuid:1",),
        evidence="sha-256:x",
    )
    return replace(honest, **changes)


def call(tool: str, **arguments: object) -> Call:
    return Call(resource=RESOURCE, tool=tool, arguments=arguments)


def test_an_entitled_user_through_a_capable_agent_is_allowed() -> None:
    decision = decide(caller(), call("create_order", item="falafel"))
    assert decision.allowed
    assert (decision.reason, decision.mode) == ("allowed", "intersection")
    assert decision.policy == "intersection/0"


@pytest.mark.req("DEL-04")
def test_a_refusal_names_the_empty_term_and_both_answers() -> None:
    agent_cannot = decide(caller(), call("delete_order"))
    assert agent_cannot.reason == "agent_not_capable"
    assert "may not call delete_order: no capability covers it; user smith may" in agent_cannot.explanation
    user_cannot = decide(caller(entitlements=frozenset()), call("create_order"))
    assert user_cannot.reason == "user_not_entitled"
    assert "may call create_order; user smith may not" in user_cannot.explanation
    not_granted = decide(caller(scopes=frozenset()), call("create_order"))
    assert not_granted.reason == "scope_not_granted"
    assert [term.allowed for term in not_granted.terms] == [True, True, False]


def test_arguments_outside_their_constraint_are_refused() -> None:
    one = caller({"create_order": {"quantity": {"constraint_type": "range", "min": 1, "max": 3}}})
    assert decide(one, call("create_order", quantity=3)).allowed
    assert decide(one, call("create_order", quantity=4)).reason == "arguments_refused"
    assert decide(one, call("create_order", quantity=3, extra=1)).reason == "arguments_refused"
    assert decide(one, call("create_order")).reason == "arguments_refused"


def test_a_ceiling_nobody_counts_is_refused() -> None:
    limited = parse_bare_capability(
        {"resource": [RESOURCE], "tools": {"create_order": {}}, "limits": {"maxCalls": 5, "windowSeconds": 60}}
    )
    assert decide(caller(capabilities=(limited,)), call("create_order")).reason == "limit_not_enforceable"


@pytest.mark.req("TOK-07")
def test_a_capability_for_another_resource_is_none() -> None:
    elsewhere = Call(resource="https://other.example/mcp", tool="create_order", arguments={})
    assert decide(caller(), elsewhere).reason == "agent_not_capable"


@pytest.mark.req("DEL-11")
def test_an_agent_alone_needs_no_user_and_a_user_is_never_an_agent() -> None:
    agent = Principal(kind="agent", id=AGENT, namespace=DID_NAMESPACE)
    alone = decide(caller(principal=agent, actors=(), entitlements=None), call("create_order"))
    assert alone.allowed
    assert alone.mode == "agent_only"
    nobody = decide(caller(entitlements=None), call("create_order"))
    assert nobody.reason == "user_not_entitled"


@pytest.mark.req("DEL-09")
def test_earlier_actors_decide_nothing() -> None:
    assert decide(caller(actors=(AGENT, "did:key:zOther")), call("create_order")) == decide(
        caller(), call("create_order")
    )


def test_what_is_listed_is_what_could_be_allowed() -> None:
    one = caller()
    assert visible_tools(one, resource=RESOURCE) == {"create_order"}
    assert not visible_tools(one, resource=RESOURCE + "/")
    assert not visible_tools(caller(entitlements=frozenset()), resource=RESOURCE)
    assert not visible_tools(caller(scopes=frozenset()), resource=RESOURCE)


def test_a_token_of_an_agent_alone_names_it_in_its_own_namespace() -> None:
    token = AccessToken(
        issuer="https://bridge.example",
        subject=AGENT,
        subject_profile="ai_agent",
        audience=RESOURCE,
        client_id=AGENT,
        issued_at=NOW,
        expires=NOW + timedelta(seconds=300),
        id="t",
        scopes=frozenset(),
    )
    assert caller_from_token(token).principal == Principal(kind="agent", id=AGENT, namespace=DID_NAMESPACE)
    user = caller_from_token(replace(token, subject="smith", subject_profile="user"))
    assert user.principal.namespace == "https://bridge.example"


SCOPES = st.frozensets(st.sampled_from(["tool:a", "tool:b", "tool:c", "tool:d"]))


@pytest.mark.req("DEL-04")
@given(requested=st.none() | SCOPES, user=SCOPES, agent=SCOPES, resource=SCOPES)
def test_a_grant_is_below_every_term(
    requested: frozenset[str] | None, user: frozenset[str], agent: frozenset[str], resource: frozenset[str]
) -> None:
    limits = {"user": user, "agent": agent, "resource": resource}
    expected = user & agent & resource & (requested if requested is not None else user)
    try:
        granted = grant(requested, limits=limits)
    except EmptyGrant as error:
        assert not expected
        assert any(name in error.detail for name in (*limits, "requested"))
    else:
        assert granted == expected
        assert granted
