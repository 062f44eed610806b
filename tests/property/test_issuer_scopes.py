"""Laws of scopes of other issuers: more scopes give no less, unknown ones nothing, and a challenge never lies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from did_agent.encoding.timestamp import from_numeric_date
from did_agent.policy.caller import VerifiedCaller
from did_agent.policy.decide import Call, decide
from did_agent.tokens.foreign_token import ForeignToken
from verifier.doors.foreign import admission_of
from verifier.issuers import ForeignIssuer, parse_issuers

ISSUER, RESOURCE = "https://login.example.com", "https://mcp.example/mcp"
SCOPES, TOOLS = ["a", "b", "c", "d"], ["list_menu", "update_stock", "delete_order"]

keys = st.lists(st.sampled_from(SCOPES), min_size=1, max_size=3, unique=True).map(" ".join)
constraints = st.one_of(
    st.just({}),
    st.integers(0, 9).map(lambda most: {"quantity": {"constraint_type": "range", "min": 0, "max": most}}),
)
tools = st.dictionaries(st.sampled_from(TOOLS), constraints, min_size=1)
maps = st.dictionaries(keys, tools, min_size=1, max_size=4)
held = st.frozensets(st.sampled_from([*SCOPES, "unknown"]))
calls = st.tuples(st.sampled_from([*TOOLS, "unheard_of"]), st.fixed_dictionaries({"quantity": st.integers(0, 12)}))


def issuer(scopes: dict[str, Any]) -> ForeignIssuer:
    entry = {"issuer": ISSUER, "subject": "user", "scopes": scopes}
    return parse_issuers(json.dumps({"issuers": [entry]}))[0]


def caller(one: ForeignIssuer, scopes: frozenset[str]) -> VerifiedCaller:
    token = ForeignToken(
        issuer=ISSUER,
        subject="smith",
        subject_profile=None,
        client_id="shop",
        id=None,
        expires=from_numeric_date(2_000_000_000),
        scopes=scopes,
        actors=(),
        details=None,
        confirmation=None,
    )
    return admission_of(token, one, resource=RESOURCE, form="jwt").caller


def allowed(one: ForeignIssuer, scopes: frozenset[str], tool: str, arguments: dict[str, Any]) -> bool:
    return decide(caller(one, scopes), Call(resource=RESOURCE, tool=tool, arguments=arguments)).allowed


@pytest.mark.req("DEL-04")
@given(maps, held, held, calls)
def test_more_scopes_never_give_less(scopes: Any, some: Any, more: Any, call: Any) -> None:
    one = issuer(scopes)
    if allowed(one, some, *call):
        assert allowed(one, some | more, *call)


@pytest.mark.req("DEL-04")
@given(maps, held, calls)
def test_what_is_allowed_is_what_a_held_entry_gives(scopes: Any, some: Any, call: Any) -> None:
    tool, arguments = call
    given_by = [
        constrained.get(tool) for key, constrained in scopes.items() if set(key.split()) <= some and tool in constrained
    ]
    expected = any(not one or arguments["quantity"] <= one["quantity"]["max"] for one in given_by if one is not None)
    assert allowed(issuer(scopes), some, tool, arguments) == expected


@pytest.mark.req("OAU-14")
@given(maps, held, calls)
def test_whoever_gets_the_scopes_of_a_challenge_may_call(scopes: Any, some: Any, call: Any) -> None:
    one = issuer(scopes)
    if allowed(one, some, *call):
        return
    wanted = one.scope_for(*call, held=some)
    if wanted is None:
        assert not allowed(one, frozenset(SCOPES), *call)  # nothing would help, and nothing is asked for
    else:
        assert allowed(one, some | frozenset(wanted.split()), *call)
        assert not frozenset(wanted.split()) <= some
