"""Presentations under attack: replay, forwarding, foreign keys, missing parts; each beside its honest twin."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import verification_method
from did_agent.errors import (
    BadPresentation,
    BadProof,
    BadSignature,
    DidAgentError,
    Expired,
    HolderMismatch,
    NotYetValid,
    UntrustedIssuer,
    WrongAudience,
    WrongChallenge,
    WrongIssuer,
    WrongKey,
    WrongPurpose,
)
from did_agent.presentation.present import present
from did_agent.presentation.verify import ask, judge
from tests.fakes.credentials import (
    ALICE,
    ALICE_DID,
    AUDIENCE,
    BOB,
    BOB_DID,
    ISSUER_DID,
    MALLORY,
    MALLORY_DID,
    NOW,
    chain_of_two,
    expected,
    root,
    stamp,
    statuses,
)
from tests.fakes.presentations import CHALLENGE, JTI, nothing, resigned, shown, shown_jwt, signed_jwt


@pytest.mark.parametrize("wrap", [json.dumps, lambda d: json.dumps(d).encode(), dict], ids=["text", "bytes", "object"])
def test_an_honest_presentation_is_believed_in_every_wrapping(wrap: Any) -> None:
    verified = judge(ask(wrap(shown()), expected()), statuses())
    assert (verified.holder, verified.form, verified.challenge) == (BOB_DID, "json", CHALLENGE)
    assert verified.chain is not None
    assert verified.chain.root_issuer == ISSUER_DID
    assert verified.valid_until == verified.chain.valid_until == NOW + timedelta(minutes=30)


def test_both_forms_show_the_same_chain() -> None:
    from_json = judge(ask(shown(), expected()), statuses())
    from_jwt = judge(ask(shown_jwt(), JTI), statuses())
    assert from_jwt.form == "jwt"
    assert from_jwt.chain == from_json.chain
    assert from_jwt.chain is not None
    assert from_json.chain is not None
    assert from_jwt.chain.digest == from_json.chain.digest


@pytest.mark.req("VCX-01")
def test_what_must_be_spent_is_bound_to_the_holder_and_outlives_the_presentation() -> None:
    first, second = ask(shown_jwt(), JTI), ask(shown_jwt(), JTI)
    lists = statuses()
    assert judge(first, lists).replay_key != judge(second, lists).replay_key
    assert judge(first, lists).replay_key.startswith(BOB_DID + " ")
    for raw, expectation in ((shown(), expected()), (shown_jwt(), JTI)):
        until = judge(ask(raw, expectation), lists).replay_until
        with pytest.raises(Expired):
            ask(raw, replace(expectation, now=until))
        ask(raw, replace(expectation, now=until - timedelta(seconds=1)))


@pytest.mark.req("VCX-01")
@pytest.mark.parametrize("audience", ["https://other.example", AUDIENCE + "/", "https://bridge.example.evil", ""])
def test_a_presentation_for_somebody_else_is_refused(audience: str) -> None:
    ask(shown(), expected())
    ask(shown_jwt(), JTI)
    with pytest.raises(WrongAudience):
        ask(shown(audience=audience), expected())
    with pytest.raises(WrongAudience):
        ask(shown_jwt(audience=audience), JTI)


@pytest.mark.req("VCX-01")
def test_a_presentation_without_audience_or_with_two_is_refused() -> None:
    with pytest.raises(WrongAudience):
        ask(resigned(nothing, domain=None), expected())
    with pytest.raises(WrongAudience):
        ask(signed_jwt(aud=[AUDIENCE, "https://other.example"]), JTI)
    ask(signed_jwt(aud=[AUDIENCE]), JTI)


@pytest.mark.req("VCX-01")
def test_a_presentation_without_challenge_is_refused() -> None:
    ask(resigned(nothing), expected())
    with pytest.raises(WrongChallenge):
        ask(resigned(nothing, challenge=None), expected())
    with pytest.raises(WrongChallenge):
        ask(resigned(nothing, challenge=""), expected())
    with pytest.raises(WrongChallenge):
        ask(resigned(nothing, challenge="c" * 257), expected())


@pytest.mark.req("VCX-01")
def test_a_vp_jwt_answers_our_challenge_or_lives_a_minute() -> None:
    assert ask(shown_jwt(nonce=CHALLENGE, lifetime=300), expected()).signed.challenge == CHALLENGE
    with pytest.raises(WrongChallenge):
        ask(shown_jwt(), expected())
    ask(shown_jwt(lifetime=60), JTI)
    with pytest.raises(Expired):
        ask(shown_jwt(lifetime=61), JTI)
    with pytest.raises(Expired):
        ask(shown_jwt(nonce="made up by the holder", lifetime=61), JTI)


@pytest.mark.req("VCX-01")
def test_the_json_form_hands_its_challenge_to_whoever_issued_it() -> None:
    for expectation in (expected(), JTI):
        assert judge(ask(shown(), expectation), statuses()).challenge == CHALLENGE
        with pytest.raises(WrongChallenge):
            ask(resigned(nothing, challenge=None), expectation)


TIMES: list[tuple[str, int, type[DidAgentError] | None]] = [
    ("in time", 0, None),
    ("at the end", 299, None),
    ("too old", 300, Expired),
    ("a little ahead", -60, None),
    ("from the future", -61, NotYetValid),
]


@pytest.mark.req("VCX-01")
@pytest.mark.parametrize(("seconds", "error"), [case[1:] for case in TIMES], ids=[case[0] for case in TIMES])
@pytest.mark.parametrize("declared", [True, False], ids=["with expires", "without expires"])
def test_a_json_presentation_counts_for_five_minutes(
    seconds: int, error: type[DidAgentError] | None, declared: bool
) -> None:
    raw = shown() if declared else resigned(nothing)
    then = expected(now=NOW + timedelta(seconds=seconds))
    if error is None:
        ask(raw, then)
    else:
        with pytest.raises(error):
            ask(raw, then)


@pytest.mark.req("VCX-01")
def test_a_presentation_says_when_it_was_made_and_ends_soon() -> None:
    undated = resigned(nothing)
    del undated["proof"]["created"]
    with pytest.raises((BadSignature, BadPresentation)):
        ask(undated, expected())
    ask(shown(lifetime=600), expected())
    with pytest.raises(Expired):
        ask(shown(lifetime=601), expected())
    with pytest.raises(Expired):
        ask(shown_jwt(nonce=CHALLENGE, lifetime=301), expected())


@pytest.mark.req("VCX-03", "DEL-01")
def test_somebody_elses_credentials_are_refused() -> None:
    ask(shown(), expected())
    with pytest.raises(HolderMismatch):
        ask(shown(key=MALLORY), expected())
    with pytest.raises(HolderMismatch):
        ask(shown_jwt(key=MALLORY), JTI)
    with pytest.raises(HolderMismatch):
        ask(shown(key=ALICE), expected())


@pytest.mark.req("VCX-03", "VCX-04")
def test_the_key_must_be_the_holders() -> None:
    with pytest.raises(HolderMismatch):
        ask(resigned(nothing, key=MALLORY, did=MALLORY_DID), expected())
    with pytest.raises(BadSignature):
        ask(resigned(nothing, key=MALLORY), expected())
    with pytest.raises(HolderMismatch):
        ask(signed_jwt(key=MALLORY, kid=verification_method(MALLORY_DID), iss=MALLORY_DID), JTI)
    with pytest.raises(WrongKey):
        ask(signed_jwt(key=MALLORY, kid=verification_method(MALLORY_DID)), JTI)
    with pytest.raises(BadSignature):
        ask(signed_jwt(key=MALLORY), JTI)


@pytest.mark.req("VCX-04")
def test_a_presentation_proof_has_the_purpose_authentication() -> None:
    ask(resigned(nothing), expected())
    with pytest.raises(WrongPurpose):
        ask(resigned(nothing, purpose="assertionMethod"), expected())


@pytest.mark.req("VCX-02")
def test_one_bad_credential_refuses_the_whole() -> None:
    leaf, parent = chain_of_two()
    good = present([leaf, parent], key=BOB, audience=AUDIENCE, challenge=CHALLENGE, now=NOW)
    ask(good, expected())
    broken = {**leaf, "proof": {**leaf["proof"], "created": stamp(seconds=-1)}}
    with pytest.raises(BadSignature):
        ask(present([broken, parent], key=BOB, audience=AUDIENCE, challenge=CHALLENGE, now=NOW), expected())
    with pytest.raises(WrongIssuer):
        forged = chain_of_two(child_key=MALLORY)
        ask(present(forged, key=BOB, audience=AUDIENCE, challenge=CHALLENGE, now=NOW), expected())


@pytest.mark.req("VCX-02")
def test_no_credentials_is_no_right_but_may_prove_possession() -> None:
    empty = present([], key=ALICE, audience=AUDIENCE, challenge=CHALLENGE, now=NOW)
    with pytest.raises(BadPresentation):
        ask(empty, expected())
    verified = judge(ask(empty, expected(allow_empty=True)), {})
    assert (verified.holder, verified.chain) == (ALICE_DID, None)
    assert verified.valid_until == verified.replay_until


@pytest.mark.req("VCX-02")
def test_allowing_an_empty_presentation_does_not_weaken_a_full_one() -> None:
    with pytest.raises(HolderMismatch):
        ask(shown(key=MALLORY), expected(allow_empty=True))


@pytest.mark.req("VCX-02")
def test_a_bare_credential_is_not_a_presentation() -> None:
    for raw in (root(), {name: value for name, value in shown().items() if name != "proof"}):
        with pytest.raises((BadPresentation, BadProof, WrongPurpose)):
            ask(raw, expected())


@pytest.mark.req("VCX-05")
def test_a_chain_from_a_stranger_is_refused() -> None:
    with pytest.raises(UntrustedIssuer):
        ask(shown(), expected(trusted=TrustedIssuers.of(MALLORY_DID)))


def test_an_object_changed_after_asking_changes_nothing() -> None:
    document = shown()
    asked = ask(document, expected())
    document["verifiableCredential"][0]["credentialSubject"]["capability"][0]["tools"]["delete_file"] = {}
    assert asked.chain is not None
    assert "delete_file" not in asked.chain.capabilities[0].tools
    assert "delete_file" not in json.dumps(asked.chain.documents)
