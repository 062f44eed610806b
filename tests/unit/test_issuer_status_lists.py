"""Status lists as bits, and who may have the status of a delegated credential kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from did_agent.credential.status import is_set, verify_status_list
from did_agent.credential.token_status import status_at, verify_status_list_token
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.errors import DidAgentError, InvalidParameter, Misconfigured, NotFound, QuotaExceeded, StateConflict
from did_agent.keys.ed25519 import SigningKey
from issuer.delegations import MAX_REGISTERED, Parent, require_registrable
from issuer.model.status import Flip, NewDelegation
from issuer.status_lists import (
    LIST_SIZE,
    LIST_TTL,
    MAX_LIST_SIZE,
    Bits,
    list_url,
    require_size,
    sign_list,
    sign_token_list,
    token_list_url,
    window_of,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = SigningKey.from_seed(b"i" * 32)
URL = "https://issuer.example"
ALICE, BOB = (did_key(SigningKey.from_seed(bytes([number]) * 32).public) for number in (1, 2))


def bits_of(*flips: tuple[str, int, bool]) -> Bits:
    bits = Bits.clear(LIST_SIZE)
    bits.apply(Flip(number, purpose, place, value) for number, (purpose, place, value) in enumerate(flips))  # type: ignore[arg-type]
    return bits


@pytest.mark.req("VCX-10")
def test_both_forms_of_a_list_say_the_same_of_every_place() -> None:
    last = LIST_SIZE - 1
    flips = [("revocation", 0, True), ("suspension", 9, True), ("revocation", last, True), ("suspension", last, True)]
    bits = bits_of(*flips, ("suspension", 11, True), ("suspension", 11, False))
    token = sign_token_list(bits, number=7, key=KEY, issuer_url=URL, now=NOW)
    read = verify_status_list_token(
        token,
        expected_uri=token_list_url(URL, 7),
        expected_issuer=did_key(KEY.public),
        find_key=lambda _header, _claims: KEY.public,
        fetched_at=NOW,
        now=NOW,
    )
    assert {place: status_at(read.statuses, place, bits=2) for place in (0, 1, 8, 9, 10, 11, last)} == {
        0: 1, 1: 0, 8: 0, 9: 2, 10: 0, 11: 0, last: 1,
    }  # fmt: skip
    assert sum(map(bool, read.statuses)) == 3
    for purpose, expected in (("revocation", {0, last}), ("suspension", {9, last})):
        document = sign_list(bits.of(purpose), purpose=purpose, number=7, key=KEY, issuer_url=URL, now=NOW)  # type: ignore[arg-type]
        found = verify_status_list(
            document,
            expected_url=list_url(URL, purpose, 7),
            trusted_issuers=TrustedIssuers.of(did_key(KEY.public)),
            now=NOW,
        )
        assert {place for place in range(LIST_SIZE) if is_set(found.bits, place)} == expected


def test_applying_flips_again_changes_nothing() -> None:
    flips = [Flip(1, "revocation", 3, True), Flip(2, "suspension", 4, True), Flip(3, "suspension", 4, False)]  # noqa: FBT003
    once, twice = Bits.clear(LIST_SIZE), Bits.clear(LIST_SIZE)
    once.apply(flips)
    twice.apply(flips)
    twice.apply(flips)
    assert once == twice == bits_of(("revocation", 3, True))


def test_a_list_is_the_same_for_half_of_its_time_to_live() -> None:
    half = LIST_TTL / 2
    start = window_of(NOW)
    assert window_of(start + half - timedelta(microseconds=1)) == start
    assert window_of(start + half) == start + half


@pytest.mark.parametrize("size", [LIST_SIZE, 1_048_576, MAX_LIST_SIZE])
def test_a_quarter_of_a_list_is_handed_to_nobody(size: int) -> None:
    assert require_size(size) == size * 3 // 4


@pytest.mark.parametrize("size", [0, 8, LIST_SIZE - 8, LIST_SIZE + 1, MAX_LIST_SIZE + 8])
def test_a_list_that_hides_too_few_or_that_nobody_would_fetch_is_not_configured(size: int) -> None:
    with pytest.raises(Misconfigured, match="STATUS_LIST_SIZE"):
        require_size(size)


PARENT = Parent(
    id="urn:uuid:11111111-1111-4111-8111-111111111111",
    holder=ALICE,
    depth=0,
    max_depth=1,
    valid_until=NOW + timedelta(hours=1),
    in_force=True,
)
NEW = NewDelegation(
    id="urn:uuid:22222222-2222-4222-8222-222222222222",
    parent_id=PARENT.id,
    subject=BOB,
    valid_until=NOW + timedelta(hours=1),
)


@pytest.mark.req("VCX-10")
def test_a_holder_may_register_what_it_hands_on() -> None:
    last = MAX_REGISTERED - 1
    assert require_registrable(NEW, PARENT, delegator=ALICE, registered=last, now=NOW) is PARENT
    with pytest.raises(QuotaExceeded):
        require_registrable(NEW, PARENT, delegator=ALICE, registered=last + 1, now=NOW)


@pytest.mark.req("VCX-10")
@pytest.mark.parametrize(
    ("new", "parent", "error"),
    [
        (NEW, None, NotFound),
        (NEW, replace(PARENT, holder=BOB), NotFound),
        (NEW, replace(PARENT, in_force=False), StateConflict),
        (NEW, replace(PARENT, depth=1), StateConflict),
        (replace(NEW, valid_until=NOW), PARENT, InvalidParameter),
        (replace(NEW, valid_until=PARENT.valid_until + timedelta(seconds=1)), PARENT, InvalidParameter),
        (replace(NEW, subject=ALICE), PARENT, InvalidParameter),
        (replace(NEW, subject="did:key:zNonsense"), PARENT, DidAgentError),
        (replace(NEW, subject="smith"), PARENT, DidAgentError),
        (replace(NEW, subject="did:web:" + "a" * 300), PARENT, InvalidParameter),
        (replace(NEW, id=NEW.id.upper()), PARENT, InvalidParameter),
        (replace(NEW, id="https://agent.example/1"), PARENT, InvalidParameter),
    ],
)
def test_what_is_not_held_not_in_force_or_too_much_is_not_registered(
    new: NewDelegation, parent: Parent | None, error: type[DidAgentError]
) -> None:
    with pytest.raises(error):
        require_registrable(new, parent, delegator=ALICE, registered=0, now=NOW)
