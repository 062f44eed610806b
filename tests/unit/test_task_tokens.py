"""Tasks and groups in access tokens: written and read alike, and nothing else is taken for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from did_agent.errors import BadJOSE, UnknownEvent
from did_agent.keys.ed25519 import SigningKey
from did_agent.policy.admission import caller_from_token
from did_agent.proof.jwt import sign_jwt, unverified_jws
from did_agent.tokens.access_token import MAX_GROUPS, AccessToken, encode_access_token, verify_access_token
from did_agent.tokens.security_event import Risk, SecurityEvent, sign_event, verify_event
from did_agent.tokens.task import is_task_id, is_task_name, task_id

NOW = datetime(2026, 11, 23, tzinfo=UTC)
KEY = SigningKey.from_seed(b"b" * 32)
BRIDGE, RESOURCE = "https://bridge.example", "https://mcp.example/mcp"
TASK = task_id("tidy-up", issuer=BRIDGE, principal="smith", principal_kind="user", client="did:key:z6Mkx")
TOKEN = AccessToken(
    issuer=BRIDGE,
    subject="smith",
    subject_profile="user",
    audience=RESOURCE,
    client_id="did:key:z6Mkx",
    issued_at=NOW,
    expires=NOW + timedelta(minutes=5),
    id="t1",
    scopes=frozenset({"tool:list_menu"}),
    entitlements=frozenset(),
    groups=frozenset({"staff", "cooks"}),
    task=TASK,
)


def read(text: str) -> AccessToken:
    return verify_access_token(
        text,
        find_key=lambda _header, _claims: KEY.public,
        expected_issuer=BRIDGE,
        expected_audience=RESOURCE,
        proven=frozenset(),
        now=NOW,
    )


def spoilt(**claims: Any) -> str:
    honest = unverified_jws(encode_access_token(TOKEN, key=KEY, kid="k"))[1]
    return sign_jwt({**honest, **claims}, typ="at+jwt", key=KEY, kid="k")


@pytest.mark.req("DEL-05")
def test_groups_and_task_come_back_and_reach_the_caller() -> None:
    found = read(encode_access_token(TOKEN, key=KEY, kid="k"))
    assert found == TOKEN
    caller = caller_from_token(found)
    assert (caller.groups, caller.task) == (TOKEN.groups, TASK)
    bare = replace(TOKEN, groups=frozenset(), task=None)
    assert read(encode_access_token(bare, key=KEY, kid="k")) == bare


@pytest.mark.parametrize(
    "claims",
    [
        {"task": "tidy-up"},
        {"task": TASK + "A"},
        {"task": 7},
        {"task": [TASK]},
        {"groups": "staff"},
        {"groups": [7]},
        {"groups": [""]},
        {"groups": [f"g{number}" for number in range(MAX_GROUPS + 1)]},
    ],
)
def test_what_is_no_task_and_no_list_of_groups_is_refused(claims: dict[str, Any]) -> None:
    assert len(read(spoilt(groups=[f"g{number}" for number in range(MAX_GROUPS)])).groups) == MAX_GROUPS
    with pytest.raises(BadJOSE):
        read(spoilt(**claims))


@pytest.mark.req("DEL-11")
def test_an_agent_is_in_no_group() -> None:
    with pytest.raises(BadJOSE):
        read(spoilt(sub="did:key:z6Mkx", sub_profile="ai_agent"))
    assert read(spoilt(sub="did:key:z6Mkx", sub_profile="ai_agent", groups=[])).groups == frozenset()


@pytest.mark.req("DEL-05")
@given(st.lists(st.sampled_from(["a", "b", "ab", "user", "agent"]), min_size=5, max_size=5), st.integers(0, 4))
def test_a_task_is_of_all_five_that_make_it(parts: list[str], place: int) -> None:
    def identifier(values: list[str]) -> str:
        name, issuer, principal, kind, client = values
        return task_id(name, issuer=issuer, principal=principal, principal_kind=kind, client=client)

    other = [*parts]
    other[place] += "x"
    assert identifier(parts) == identifier([*parts])
    assert identifier(parts) != identifier(other)
    assert is_task_id(identifier(parts))
    assert not is_task_name(identifier(parts))


def risky(**changes: Any) -> SecurityEvent:
    values: dict[str, Any] = {
        "id": "e1",
        "kind": "risk-signal",
        "subject": "did:key:z6Mkx",
        "issued_at": NOW,
        "reason": "test",
        "issuer": BRIDGE,
        "audience": BRIDGE,
        "risk": Risk(source="did:key:z6Mky", level=80, until=NOW + timedelta(hours=1)),
    }
    return SecurityEvent(**(values | changes))


def hear(text: str) -> SecurityEvent:
    return verify_event(
        text,
        find_key=lambda _header, _claims: KEY.public,
        expected_issuer=BRIDGE,
        expected_audience=BRIDGE,
        now=NOW,
    )


def test_a_risk_signal_comes_back_as_it_was_said() -> None:
    assert hear(sign_event(risky(), key=KEY, kid="k")) == risky()
    for level in (-1, 101):
        with pytest.raises(BadJOSE):
            hear(sign_event(risky(risk=Risk(source="s", level=level, until=NOW)), key=KEY, kid="k"))
    with pytest.raises(BadJOSE):
        hear(sign_event(risky(risk=None), key=KEY, kid="k"))


def test_an_event_of_another_kind_is_told_apart_from_one_that_is_forged() -> None:
    unknown: Any = "agent-promoted"
    with pytest.raises(UnknownEvent):
        hear(sign_event(risky(kind=unknown, risk=None), key=KEY, kid="k"))
