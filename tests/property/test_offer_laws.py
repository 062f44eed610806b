"""Credential offers: whatever is sent is read or refused in our own words, and an offer never gives more than it holds."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from did_agent.errors import BadGrant, CredentialRequestDenied, DidAgentError, UnknownConfiguration
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.jwt import sign_jwt
from did_agent.tokens.challenges import make_challenge
from did_agent.tokens.key_proof import TYPE, verify_key_proof
from issuer.configurations import CONFIGURATIONS
from issuer.key_proofs import judge_proofs, read_request
from issuer.model import Agent, Operator
from issuer.model.offers import NewOffer, Offer
from issuer.notifications import read_notification
from issuer.offers import TX_ATTEMPTS, code_of, digest_of, is_tx_code, make_offer, require_offered, require_redeemable
from issuer.token_requests import read_token_request
from tests.fakes.guard_world import NOW

AUDIENCE, NONCE_KEY = "https://issuer.example/oid4vci", b"n" * 32
KEY = SigningKey.from_seed(b"k" * 32)
AGENT = Agent(
    agent_id="urn:uuid:1", name="a", sponsor="s", description="", metadata={}, redirect_uris=(), state="active",
    did="did:key:z6Mk", created=NOW, changed=NOW,
)  # fmt: skip
BY = Operator(request_id="r", principal="did:key:operator")
IDENTITIES = [name for name, one in CONFIGURATIONS.items() if one.kind == "identity"]

texts = st.text(max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(["agent-identity", "agent-capability", "other", ""])
requests = st.fixed_dictionaries(
    {},
    optional={
        "credential_configuration_id": names | values,
        "credential_identifier": names | values,
        "proofs": st.dictionaries(st.sampled_from(["jwt", "di_vp", "x"]), st.lists(values, max_size=3) | values)
        | values,
        "credential_response_encryption": values,
    },
)


@given(requests, st.lists(names, max_size=2))
def test_a_credential_request_is_read_or_refused(members: dict[str, Any], identifiers: list[str]) -> None:
    with suppress(DidAgentError):
        asked = read_request(members, identifiers=identifiers)
        judge_proofs(asked, audience=AUDIENCE, nonce_key=NONCE_KEY, now=NOW)


@given(st.dictionaries(st.sampled_from(["notification_id", "event", "event_description"]), values | texts))
def test_a_notification_is_read_or_refused(members: dict[str, Any]) -> None:
    with suppress(DidAgentError):
        assert read_notification(members).words


@given(texts | st.none(), texts | st.none(), texts | values.map(json.dumps))
def test_a_token_request_is_read_or_refused(code: str | None, tx_code: str | None, details: str) -> None:
    grant = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
    with suppress(DidAgentError):
        read_token_request(grant_type=grant, code=code, tx_code=tx_code, client_id=None, details=details, resources=())


@given(st.dictionaries(st.sampled_from(["aud", "iat", "nonce", "iss", "exp", "nbf"]), values), values)
def test_a_key_proof_is_believed_or_refused(claims: dict[str, Any], kid: object) -> None:
    honest = {"aud": AUDIENCE, "iat": int(NOW.timestamp()), "nonce": make_challenge(NONCE_KEY, now=NOW)}
    with suppress(DidAgentError):
        text = sign_jwt({**honest, **claims}, typ=TYPE, key=KEY, kid=kid)  # type: ignore[arg-type]
        verify_key_proof(text, expected_audience=AUDIENCE, now=NOW)


def offer_of(**changes: Any) -> tuple[Offer, Any]:
    new = NewOffer(agent=AGENT.agent_id, configurations=tuple(IDENTITIES), grant=None, **changes)
    return make_offer(new, AGENT, None, by=BY, now=NOW)


@settings(max_examples=50)
@given(st.integers(1, 8), st.lists(st.tuples(st.sampled_from(list(CONFIGURATIONS)), st.integers(1, 8)), max_size=20))
def test_no_order_of_requests_gives_more_than_the_offer_holds(copies: int, asked: list[tuple[str, int]]) -> None:
    offer, _ = offer_of(copies=copies)
    for name, count in asked:
        with suppress(CredentialRequestDenied, UnknownConfiguration):
            require_offered(offer, name, count, now=NOW)
            offer = replace(offer, issued={**offer.issued, name: offer.issued.get(name, 0) + count})
    assert all(count <= copies for count in offer.issued.values())
    assert set(offer.issued) <= set(IDENTITIES)
    whole = all(offer.issued.get(name) == copies for name in IDENTITIES)
    assert offer.state_at(NOW) == ("taken" if whole else "open")


@settings(max_examples=50)
@given(st.text(alphabet="0123456789", min_size=1, max_size=9))
def test_only_the_transaction_code_of_an_offer_fits(guess: str) -> None:
    offer, secrets = offer_of(tx_code=True)
    code, tx_code = code_of(secrets.handle), secrets.tx_code
    assert is_tx_code(offer, code, tx_code)
    assert is_tx_code(offer, code, guess) == (guess == tx_code)
    assert not is_tx_code(offer, code_of("another"), tx_code)


@given(st.integers(-10, 100_000), st.booleans(), st.booleans(), st.integers(0, TX_ATTEMPTS))
def test_a_code_is_redeemable_exactly_while_its_offer_is_open(
    seconds: int, spent: bool, withdrawn: bool, attempts: int
) -> None:
    made, secrets = offer_of()
    assert digest_of(code_of(secrets.handle)) == made.code_digest
    offer = replace(made, code_spent=spent, withdrawn=withdrawn, attempts_left=attempts)
    now = NOW + timedelta(seconds=seconds)
    fits = not spent and not withdrawn and attempts > 0 and now < offer.expires
    try:
        assert require_redeemable(offer, now=now) == offer
    except BadGrant:
        assert not fits
    else:
        assert fits


def test_what_is_kept_of_an_offer_holds_no_secret() -> None:
    offer, secrets = offer_of(tx_code=True)
    kept = repr(offer)
    assert secrets.handle not in kept
    assert code_of(secrets.handle) not in kept
    assert f"{secrets.tx_code}" not in kept
    assert secrets.handle not in repr(secrets)
