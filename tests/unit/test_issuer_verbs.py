"""The issuer's verbs alone: what is granted, for how long, where its status is, and what an invitation asks for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from did_agent.credential.capability import parse_bare_capability
from did_agent.credential.model import parse_capability_credential
from did_agent.credential.status import is_set, verify_status_list
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.errors import DidAgentError, InvalidParameter, StateConflict, WrongAudience
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present
from issuer.enrolment import INVITATION_LIFE, digest_of, invite, prove_possession
from issuer.granting import MAX_DEPTH, MAX_SECONDS, grant_capabilities
from issuer.model import ANNOUNCED, LIFECYCLE, Agent, Grant
from issuer.model.status import Flip, Place
from issuer.naming import MAX_NAME, MAX_TEXT, require_name, require_redirect, require_text, skeleton
from issuer.status_lists import LIST_SIZE, LIST_TTL, Bits, list_url, sign_list
from tests.fakes.guard_world import NOW, credential

KEY, AGENT_KEY = SigningKey.from_seed(b"i" * 32), SigningKey.from_seed(b"a" * 32)
URL = "https://issuer.example"
ACTIVE = Agent(
    agent_id="urn:uuid:1",
    name="stock-agent",
    sponsor="Operations",
    description="",
    metadata={},
    redirect_uris=(),
    state="active",
    did=did_key(AGENT_KEY.public),
    created=NOW,
    changed=NOW,
)

PLACE = Place(list_number=1, index=77)


def grant(agent: Agent = ACTIVE, **changes: Any) -> Grant:
    values: dict[str, Any] = {
        "key": KEY,
        "issuer_url": URL,
        "place": PLACE,
        "valid_seconds": 3_600,
        "max_depth": 1,
        "on_behalf_of": None,
        "now": NOW,
        **changes,
    }
    capability = parse_bare_capability({"resource": ["https://mcp.example/mcp"], "tools": {"list_menu": {}}})
    return grant_capabilities(agent, [capability], **values)


def test_a_grant_has_one_revocation_and_one_suspension_entry_at_the_same_place() -> None:
    granted = grant()
    parsed = parse_capability_credential(granted.document)
    assert {entry.purpose for entry in parsed.statuses} == {"revocation", "suspension"}
    assert {entry.index for entry in parsed.statuses} == {granted.list_index} == {PLACE.index}
    assert {entry.list_url for entry in parsed.statuses} == {
        f"{URL}/status-lists/revocation/1",
        f"{URL}/status-lists/suspension/1",
    }
    assert (parsed.subject, parsed.issuer) == (ACTIVE.did, did_key(KEY.public))


@pytest.mark.parametrize("state", ["pending", "suspended", "retired"])
def test_only_an_active_agent_is_granted_anything(state: Any) -> None:
    assert grant().did == ACTIVE.did
    with pytest.raises(StateConflict, match=state):
        grant(replace(ACTIVE, state=state))


@pytest.mark.parametrize(
    ("honest", "spoiled"),
    [
        ({"valid_seconds": 1}, {"valid_seconds": 0}),
        ({"valid_seconds": MAX_SECONDS}, {"valid_seconds": MAX_SECONDS + 1}),
        ({"max_depth": 0}, {"max_depth": -1}),
        ({"max_depth": MAX_DEPTH}, {"max_depth": MAX_DEPTH + 1}),
    ],
)
def test_the_bounds_of_a_grant_are_exact(honest: dict[str, int], spoiled: dict[str, int]) -> None:
    assert grant(**honest)
    with pytest.raises(InvalidParameter):
        grant(**spoiled)


def test_a_grant_is_expired_from_its_last_second_on_and_revoked_for_ever() -> None:
    granted = grant(valid_seconds=60)
    end = NOW + timedelta(seconds=60)
    assert granted.state_at(end - timedelta(seconds=1)) == "active"
    assert granted.state_at(end) == "expired"
    revoked = replace(granted, revoked=NOW)
    assert {revoked.state_at(NOW), revoked.state_at(end)} == {"revoked"}


@pytest.mark.req("VCX-10")
def test_a_status_list_says_exactly_what_ended_and_is_stable_until_something_does() -> None:
    def signed(indices: list[int], seconds: int) -> dict[str, object]:
        now = NOW + timedelta(seconds=seconds)
        bits = Bits.clear(LIST_SIZE)
        bits.apply(Flip(1, "revocation", index, True) for index in indices)  # noqa: FBT003 - a row of the store
        return sign_list(bits.revocation, purpose="revocation", number=1, key=KEY, issuer_url=URL, now=now)

    half = int(LIST_TTL.total_seconds() // 2)
    assert signed([], 0) == signed([], half - 1) != signed([], half)
    ended = [0, 7, 8, LIST_SIZE - 1]
    document = signed(ended, 0)
    assert document != signed([], 0)
    verified = verify_status_list(
        document,
        expected_url=list_url(URL, "revocation", 1),
        trusted_issuers=TrustedIssuers.of(did_key(KEY.public)),
        now=NOW,
    )
    assert [index for index in range(LIST_SIZE) if is_set(verified.bits, index)] == ended
    # A list from the first moment of its window is still good for who reads it in the last.
    for seconds in (0, half - 1):
        moment = NOW + timedelta(seconds=seconds)
        assert verify_status_list(
            signed([], seconds),
            expected_url=list_url(URL, "revocation", 1),
            trusted_issuers=TrustedIssuers.of(did_key(KEY.public)),
            now=moment,
        ).valid_until > moment + timedelta(minutes=4)


@pytest.mark.req("VCX-01", "VCX-02")
def test_an_invitation_is_random_kept_as_a_digest_and_asks_for_nothing_but_possession() -> None:
    challenge, kept = invite("urn:uuid:1", now=NOW)
    assert challenge != invite("urn:uuid:1", now=NOW)[0]
    assert len(challenge) >= 43  # 256 bits
    assert challenge not in repr(kept)
    assert (kept.challenge_digest, kept.expires) == (digest_of(challenge), NOW + INVITATION_LIFE)

    def proof(*credentials: Any, audience: str = URL) -> dict[str, object]:
        return present(credentials, key=AGENT_KEY, audience=audience, challenge=challenge, now=NOW)

    assert prove_possession(proof(), issuer_url=URL, now=NOW) == (ACTIVE.did, kept.challenge_digest)
    with pytest.raises(WrongAudience):
        prove_possession(proof(audience="https://evil.example"), issuer_url=URL, now=NOW)
    with pytest.raises(DidAgentError):
        prove_possession(proof(credential()), issuer_url=URL, now=NOW)
    with pytest.raises(DidAgentError):
        prove_possession(proof() | {"holder": did_key(KEY.public)}, issuer_url=URL, now=NOW)
    with pytest.raises(DidAgentError):
        prove_possession({}, issuer_url=URL, now=NOW)


@pytest.mark.req("REV-03")
def test_every_change_of_a_known_agent_is_announced() -> None:
    after_enrolment = {change for state, change in LIFECYCLE if state != "pending"}
    # A lost key is announced as the end of its DID, not of the agent.
    assert set(ANNOUNCED) == after_enrolment - {"recover"}
    assert len(set(ANNOUNCED.values())) == len(ANNOUNCED)


@pytest.mark.req("WEB-08")
def test_names_and_texts_are_bounded_and_print_as_they_read() -> None:
    assert require_name("x" * MAX_NAME)
    assert require_name("étude 7_b-c")
    assert require_name("заказ")
    assert skeleton("Stock Agent") == skeleton("ｓｔｏｃｋagent") != skeleton("stock-agent")
    assert require_text("reason", "laptop lost; see ticket #4")
    assert require_text("reason", "x" * MAX_TEXT)
    for odd in (
        "x" * (MAX_TEXT + 1),
        "\x1b[2J",
        "two\nlines",
        "\u202egnp.exe",
        "a\u2028b",
        "zero\u200bwidth",
        "e\u0301",
    ):
        with pytest.raises(InvalidParameter):
            require_text("reason", odd)


@pytest.mark.req("OAU-03")
def test_ordinary_redirects_are_registered_as_they_are() -> None:
    for uri in (
        "https://app.example/cb",
        "https://app.example:8443/cb?x=1",
        "http://127.0.0.1:9/cb",
        "http://[::1]/cb",
    ):
        assert require_redirect(uri) == uri
