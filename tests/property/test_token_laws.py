"""Laws of tokens: what was encoded is what is read, and a chain of actors survives whole or is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from did_agent.credential.capability import Capability, parse_bare_capability
from did_agent.errors import BadJOSE, DepthExceeded, VerificationError
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.access_token import AccessToken, encode_access_token, verify_access_token
from did_agent.tokens.actor import MAX_ACTORS, act_claim, parse_act

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = SigningKey.from_seed(b"1" * 32)
BRIDGE, RESOURCE = "https://bridge.example", "https://mcp.example/mcp"

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
actors = st.lists(names, max_size=12)
tools = st.sets(st.sampled_from(["list_menu", "create_order", "update_stock"]), min_size=1)
scopes = tools.map(lambda chosen: frozenset(f"tool:{tool}" for tool in chosen))


@st.composite
def capabilities(draw: st.DrawFn) -> Capability:
    chosen: dict[str, Any] = {tool: {} for tool in sorted(draw(tools))}
    return parse_bare_capability({"resource": [RESOURCE], "tools": chosen})


@pytest.mark.req("DEL-06", "DEL-08")
@given(actors=actors)
def test_a_chain_of_actors_survives_whole_or_is_refused(actors: list[str]) -> None:
    claim = act_claim(actors, issuer=BRIDGE)
    try:
        read = parse_act(claim)
    except BadJOSE:
        assert len(set(actors)) < len(actors)
    except DepthExceeded:
        assert len(actors) > MAX_ACTORS
    else:
        assert read == tuple(actors)
        assert len(set(actors)) == len(actors) <= MAX_ACTORS


@pytest.mark.req("DEL-08")
@given(actors=st.lists(names, min_size=1, max_size=8, unique=True), limit=st.integers(1, 8))
def test_a_chain_is_accepted_up_to_its_limit_and_not_one_further(actors: list[str], limit: int) -> None:
    claim = act_claim(actors, issuer=BRIDGE)
    if len(actors) <= limit:
        assert parse_act(claim, max_depth=limit) == tuple(actors)
    else:
        with pytest.raises(DepthExceeded):
            parse_act(claim, max_depth=limit)


@pytest.mark.req("DEL-07")
@given(
    actors=st.lists(names, min_size=1, max_size=4, unique=True),
    member=st.sampled_from(["exp", "nbf", "aud", "scope", "cnf", "may_act", "client_id"]),
    place=st.integers(0, 3),
)
def test_nothing_but_names_stands_anywhere_in_a_chain(actors: list[str], member: str, place: int) -> None:
    claim: Any = act_claim(actors, issuer=BRIDGE)
    entry = claim
    for _ in range(place % len(actors)):
        entry = entry["act"]
    entry[member] = "x"
    with pytest.raises(BadJOSE):
        parse_act(claim)


@given(
    subject=names,
    profile=st.sampled_from(["user", "ai_agent", "service"]),
    actors=st.lists(names, max_size=8, unique=True),
    scopes=st.just(frozenset()) | scopes,
    held=st.lists(capabilities(), max_size=3),
    entitlements=st.none() | st.just(frozenset()) | scopes,
    credential_ids=st.lists(names, max_size=16),
    seconds=st.integers(1, 600),
)
def test_a_token_is_read_as_it_was_made(
    subject: str,
    profile: Any,
    actors: list[str],
    scopes: frozenset[str],
    held: list[Capability],
    entitlements: frozenset[str] | None,
    credential_ids: list[str],
    seconds: int,
) -> None:
    token = AccessToken(
        issuer=BRIDGE,
        subject=subject,
        subject_profile=profile,
        audience=RESOURCE,
        client_id="did:key:zA",
        issued_at=NOW,
        expires=NOW + timedelta(seconds=seconds),
        id="t",
        scopes=scopes,
        actors=tuple(actors),
        capabilities=tuple(held),
        entitlements=entitlements,
        credential_ids=tuple(credential_ids),
    )
    text = encode_access_token(token, key=KEY, kid="k")

    def read() -> AccessToken:
        return verify_access_token(
            text,
            find_key=lambda _header, _claims: KEY.public,
            expected_issuer=BRIDGE,
            expected_audience=RESOURCE,
            proven=frozenset(),
            now=NOW,
        )

    if subject in actors:
        with pytest.raises(BadJOSE):
            read()
    else:
        assert read() == token


@pytest.mark.req("TOK-01", "TOK-05")
@given(data=st.data())
def test_no_character_of_a_token_can_be_changed(data: st.DataObject) -> None:
    token = AccessToken(
        issuer=BRIDGE,
        subject="smith",
        subject_profile="user",
        audience=RESOURCE,
        client_id="did:key:zA",
        issued_at=NOW,
        expires=NOW + timedelta(seconds=60),
        id="t",
        scopes=frozenset({"tool:a"}),
        actors=("did:key:zA",),
    )
    text = encode_access_token(token, key=KEY, kid="k")
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABCDwxyz0189-_.=+/ \n").filter(lambda character: character != text[place]))
    with pytest.raises((VerificationError, BadJOSE)):
        verify_access_token(
            text[:place] + other + text[place + 1 :],
            find_key=lambda _header, _claims: KEY.public,
            expected_issuer=BRIDGE,
            expected_audience=RESOURCE,
            proven=frozenset(),
            now=NOW,
        )
