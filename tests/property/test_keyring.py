"""Whatever operators do to signing keys, exactly one signs, and none comes back (KEY-02, KEY-03)."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.keyring import LINGER, PUBLISH_BEFORE, plan_revocation, plan_rotation, signing_at, state_at
from bridge.model.keys import SigningAlgorithm, SigningKeyRecord
from did_agent.errors import NotFound, StateConflict

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
ORDER = ["pending", "active", "retiring", "retired", "revoked"]

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 900)),
        st.tuples(st.just("rotate"), st.just(0)),
        st.tuples(st.just("revoke"), st.integers(0, 12)),
    ),
    max_size=25,
)


def record(number: int, algorithm: SigningAlgorithm = "EdDSA") -> SigningKeyRecord:
    return SigningKeyRecord(
        kid=f"key-{number}", algorithm=algorithm, generation=1, public={}, provider="test", sealed="", activates=START
    )


@pytest.mark.req("KEY-02", "KEY-03")
@given(STEPS)
def test_one_key_signs_at_every_moment_and_states_never_go_back(steps: list[tuple[str, int]]) -> None:
    now, known = START, {"key-0": record(0)}
    before = {"key-0": "active"}
    for made, (what, number) in enumerate(steps, 1):
        with suppress(StateConflict, NotFound):
            if what == "wait":
                now += timedelta(seconds=number)
            elif what == "rotate":
                known |= {one.kid: one for one in plan_rotation(known.values(), record(made), now)}
            else:
                changed = plan_revocation(known.values(), f"key-{number}", record(made), now)
                known |= {one.kid: one for one in changed}
        states = {kid: state_at(one, now) for kid, one in known.items()}
        assert list(states.values()).count("active") == 1
        assert all(ORDER.index(states[kid]) >= ORDER.index(state) for kid, state in before.items())
        assert len({one.generation for one in known.values()}) == len(known)
        before = dict(states)


@pytest.mark.req("KEY-02")
def test_a_successor_is_known_before_it_signs_and_the_key_before_it_after() -> None:
    old, new = plan_rotation([record(0)], record(1), START)
    begins = START + PUBLISH_BEFORE
    moments = [
        (START, "active", "pending"),
        (begins - timedelta(seconds=1), "active", "pending"),
        (begins, "retiring", "active"),
        (begins + LINGER - timedelta(seconds=1), "retiring", "active"),
        (begins + LINGER, "retired", "active"),
    ]
    for now, before, after in moments:
        assert (state_at(old, now), state_at(new, now)) == (before, after)


def test_one_rotation_at_a_time() -> None:
    known = plan_rotation([record(0)], record(1), START)
    with pytest.raises(StateConflict):
        plan_rotation(known, record(2), START)
    later = START + PUBLISH_BEFORE
    assert plan_rotation(known, record(2), later)[0].kid == "key-1"


@pytest.mark.req("KEY-03")
def test_revoking_the_active_key_lets_its_waiting_successor_sign_at_once() -> None:
    known = plan_rotation([record(0)], record(1), START)
    changed = plan_revocation(known, "key-0", None, START)
    assert signing_at(changed, "EdDSA", START).kid == "key-1"
    assert state_at(changed[0], START) == "revoked"


@pytest.mark.req("KEY-03")
def test_revoking_a_waiting_key_calls_the_rotation_off() -> None:
    known = plan_rotation([record(0)], record(1), START)
    changed = plan_revocation(known, "key-1", None, START)
    assert signing_at(changed, "EdDSA", START + PUBLISH_BEFORE).kid == "key-0"


@pytest.mark.parametrize(("kid", "error"), [("key-9", NotFound), ("key-0", StateConflict)])
def test_what_can_not_be_revoked(kid: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        plan_revocation([record(0)], kid, None, START)
    known = plan_revocation([record(0)], "key-0", record(1), START)
    with pytest.raises(StateConflict):
        plan_revocation(known, "key-0", record(2), START)


def test_algorithms_do_not_touch_each_other() -> None:
    known = [record(0), record(1, "ES256")]
    changed = plan_rotation(known, record(2), START)
    assert {one.algorithm for one in changed} == {"EdDSA"}
    with pytest.raises(NotFound):
        signing_at(known, "RS256", START)
