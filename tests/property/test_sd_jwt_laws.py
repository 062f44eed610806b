"""Laws of SD-JWT: what is shown is what was signed, what was changed is refused, nothing crashes."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from did_agent.encoding import base64url
from did_agent.encoding.jcs import canonicalize, equal
from did_agent.errors import DidAgentError
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.disclosure import hide, parse_disclosure, reveal
from did_agent.proof.sd_jwt import (
    KeyBinding,
    VerifiedSDJWT,
    confirmation,
    disclosable_places,
    issue_sd_jwt,
    parse_sd_jwt,
    present,
    select_disclosures,
    verify_sd_jwt,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ISSUER, HOLDER = SigningKey.from_seed(b"1" * 32), SigningKey.from_seed(b"2" * 32)
BINDING = KeyBinding(audience="https://verifier.example", nonce="nonce")
ALPHABET = "AZaz09-_.~=+/ \n\x00é"


def verify(text: str) -> VerifiedSDJWT:
    return verify_sd_jwt(
        text,
        expected_types=frozenset({"t+sd-jwt"}),
        find_key=lambda _header, _claims: ISSUER.public,
        key_binding=BINDING,
        now=NOW,
    )


def issue(claims: dict[str, Any], disclosable: set[str], decoys: int = 0) -> str:
    claims = {**claims, "cnf": confirmation(HOLDER.public)}
    return issue_sd_jwt(claims, disclosable=disclosable, key=ISSUER, typ="t+sd-jwt", decoys=decoys)


def show(text: str, disclose: set[str]) -> str:
    return present(text, disclose=disclose, holder_key=HOLDER, audience=BINDING.audience, nonce=BINDING.nonce, now=NOW)


def places(value: Any, pointer: str = "") -> set[str]:
    if isinstance(value, dict):
        named = {name.replace("~", "~0").replace("/", "~1"): item for name, item in value.items()}
    else:
        named = {str(index): item for index, item in enumerate(value)} if isinstance(value, list) else {}
    return set().union(*({f"{pointer}/{name}"} | places(item, f"{pointer}/{name}") for name, item in named.items()))


HONEST = show(
    issue({"name": "Buyer", "tools": ["search", "order"], "in": {"sight": 1}}, {"/name", "/tools/0", "/tools/1"}, 1),
    {"/name", "/tools/1"},
)
CLAIMS = verify(HONEST).claims
PARTS = parse_sd_jwt(HONEST)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(["a/b", "~", "~1", "é", ""])
names = text.filter(lambda name: name not in ("_sd", "_sd_alg", "..."))
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | text
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)
# Under one open claim, so that no place is a reserved one.
claim_sets = st.fixed_dictionaries({"all": values})
# What a stranger may sign: the names of disclosures wherever they please.
odd = st.recursive(
    scalars | st.just("digest"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["_sd", "_sd_alg", "...", "a"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def test_every_single_character_matters() -> None:
    """Every position once, with the next letter of base64url there and with a letter from outside."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    accepted = []
    for position, was in enumerate(HONEST):
        for now in {letters[(letters.find(was) + 1) % 64], "~", "."} - {was}:
            try:
                verify(HONEST[:position] + now + HONEST[position + 1 :])
            except DidAgentError:
                continue
            accepted.append((position, was, now))
    assert accepted == []


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(HONEST) - 1), st.sampled_from(ALPHABET) | st.characters())
def test_any_changed_character_is_refused(position: int, character: str) -> None:
    assume(HONEST[position] != character)
    assert verify(HONEST).claims == CLAIMS
    try:
        verify(HONEST[:position] + character + HONEST[position + 1 :])
    except DidAgentError:
        return
    raise AssertionError(f"character {position} was changed and the token still verified")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(HONEST)), st.integers(0, 40), st.sampled_from(["", "~", "A", ".", "~A~", "\n"]))
def test_any_inserted_or_cut_text_is_refused(position: int, cut: int, inserted: str) -> None:
    changed = HONEST[:position] + inserted + HONEST[position + cut :]
    assume(changed != HONEST)
    try:
        verify(changed)
    except DidAgentError:
        return
    raise AssertionError(f"the text was changed at {position} and the token still verified")


@settings(deadline=None)
@given(st.permutations([*PARTS.presented.split("~")[1:-1], "", "AAAA"]), st.integers(0, 4))
def test_other_disclosures_than_those_bound_are_refused(texts: list[str], count: int) -> None:
    changed = "~".join([PARTS.issued, *texts[:count], str(PARTS.binding)])
    assume(changed != HONEST)
    try:
        verify(changed)
    except DidAgentError:
        return
    raise AssertionError("other disclosures were sent and the token still verified")


@settings(max_examples=150, deadline=None)
@given(claim_sets, st.data())
def test_hidden_and_revealed_claims_are_the_claims(claims: dict[str, Any], data: st.DataObject) -> None:
    wanted = data.draw(st.sets(st.sampled_from(sorted(places(claims)))))
    payload, disclosures = hide(claims, wanted, decoys=data.draw(st.integers(0, 2)))
    assert {disclosure.text for disclosure in disclosures}.isdisjoint(canonicalize(payload).decode().split('"'))
    revealed = reveal(payload, disclosures)
    assert equal(revealed.claims, claims)
    assert set(revealed.places) == wanted


@settings(max_examples=100, deadline=None)
@given(claim_sets, st.data())
def test_showing_more_never_takes_anything_away(claims: dict[str, Any], data: st.DataObject) -> None:
    wanted = data.draw(st.sets(st.sampled_from(sorted(places(claims)))))
    token = issue(claims, wanted)
    assert disclosable_places(token) == wanted
    shown = data.draw(st.sets(st.sampled_from(sorted(wanted)))) if wanted else set()
    less = verify(show(token, shown))
    more = verify(show(token, wanted))
    assert equal(more.claims["all"], claims["all"]) if "all" in more.claims else "/all" in wanted
    texts = {one.text for one in parse_sd_jwt(select_disclosures(token, disclose=shown)).disclosures}
    assert texts <= {one.text for one in parse_sd_jwt(token).disclosures}
    assert len(less.disclosed) == len(texts)
    # A place is shown exactly when it, or something inside it, was asked for.
    upward = {place for place in wanted if any(one == place or one.startswith(f"{place}/") for one in shown)}
    assert len(upward) == len(texts)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["_sd", "_sd_alg", "...", "a", "cnf"]), odd, max_size=4), st.lists(odd, max_size=4)
)
def test_strange_payloads_and_disclosures_are_no_crash(payload: dict[str, Any], parts: list[Any]) -> None:
    with contextlib.suppress(DidAgentError):
        disclosure = parse_disclosure(base64url.encode(canonicalize(parts)))
        reveal({**payload, "b": {"_sd": [disclosure.digest]}}, [disclosure])
    with contextlib.suppress(DidAgentError):
        claims = reveal(payload, []).claims
        assert not {"_sd", "_sd_alg", "..."} & {place.rpartition("/")[2] for place in places(dict(claims))}
