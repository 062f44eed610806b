"""Bitstring Status List v1.0, general: purposes, sizes, messages, and what may be believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from did_agent.credential import bitstring
from did_agent.credential.bitstring import MIN_ENTRIES, StatusResult, check_entry, parse_entry
from did_agent.errors import (
    BadCredential,
    BadSignature,
    Expired,
    NotYetValid,
    Revoked,
    StatusIndexOutOfRange,
    StatusListTooShort,
    StatusNotVerified,
    StatusUnavailable,
    Suspended,
    UntrustedIssuer,
    WrongIssuer,
)

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
URL = "https://issuer.example/status/1"
ISSUER, PUBLISHER = "did:web:issuer.example", "did:web:publisher.example"
MESSAGES = [{"status": f"0x{n:x}", "message": f"m{n}"} for n in range(4)]


def entry(**changes: Any) -> dict[str, Any]:
    members = {
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": "9",
        "statusListCredential": URL,
    }
    return {name: value for name, value in (members | changes).items() if value is not ...}


def listed(bits: bytes = b"", *, subject: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    held = {
        "type": "BitstringStatusList",
        "statusPurpose": ["revocation", "suspension", "refresh", "message", "other"],
        "encodedList": bitstring.encode(bits or bytes(MIN_ENTRIES // 8)),
    }
    document = {
        "id": URL,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": ISSUER,
        "validFrom": "2026-11-23T09:00:00Z",
        "validUntil": "2026-11-23T11:00:00Z",
        "credentialSubject": held | (subject or {}),
    }
    return {name: value for name, value in (document | changes).items() if value is not ...}


def checked(wanted: Any = None, document: Any = None, **changes: Any) -> StatusResult:
    arguments: dict[str, Any] = {
        "list_controller": ISSUER,
        "fetched_at": NOW,
        "credential_issuer": ISSUER,
        "now": NOW,
    } | changes
    return check_entry(entry() if wanted is None else wanted, listed() if document is None else document, **arguments)


def test_each_purpose_of_a_list_with_several_is_answered() -> None:
    bits = bitstring.with_value(bytes(MIN_ENTRIES // 8), 9, 1)
    for purpose, error in (("revocation", Revoked), ("suspension", Suspended), ("other", StatusNotVerified)):
        assert checked(entry(statusPurpose=purpose)).valid
        checked(entry(statusPurpose=purpose)).require_valid()
        found = checked(entry(statusPurpose=purpose), listed(bits))
        assert found == StatusResult(purpose=purpose, status=1, valid=False)
        with pytest.raises(error):
            found.require_valid()
    refresh = checked(entry(statusPurpose="refresh"), listed(bits))
    assert (refresh.status, refresh.valid) == (1, False)
    refresh.require_valid()


@pytest.mark.parametrize("value", range(4))
def test_a_message_is_found_by_the_value_of_an_entry_of_two_bits(value: int) -> None:
    bits = bitstring.with_value(bytes(MIN_ENTRIES // 4), 9, value, size=2)
    wanted = entry(statusPurpose="message", statusSize=2, statusMessage=MESSAGES[::-1], statusReference="urn:x:y")
    assert checked(wanted, listed(bits)) == StatusResult(
        purpose="message", status=value, valid=value == 0, message=f"m{value}"
    )
    assert checked(wanted, listed(bits, subject={"statusSize": 2})).status == value
    with pytest.raises(StatusNotVerified):
        checked(wanted, listed(bits, subject={"statusSize": 4}))
    assert parse_entry(wanted).references == ("urn:x:y",)


def test_without_messages_one_bit_is_set_or_unset() -> None:
    bits = bitstring.with_value(bytes(MIN_ENTRIES // 8), 9, 1)
    assert checked(entry(statusPurpose="message"), listed(bits)).message == "set"
    assert checked(entry(statusPurpose="message")).message == "unset"


def test_the_bits_of_one_entry_are_read_from_left_to_right() -> None:
    assert bitstring.value_at(b"\x80", 0) == 1
    assert bitstring.value_at(b"\x01", 7) == 1
    assert bitstring.value_at(b"\x01\x80", 2, size=3) == 0b011  # bits 6 to 8: 0, 1, 1
    assert bitstring.value_at(b"\x80", 0, size=2) == 0b10


@given(st.integers(1, 8), st.data())
def test_values_of_every_size_come_back_and_leave_their_neighbours_alone(size: int, data: st.DataObject) -> None:
    bits = data.draw(st.binary(min_size=16, max_size=16))
    index = data.draw(st.integers(0, 128 // size - 1))
    value = data.draw(st.integers(0, (1 << size) - 1))
    changed = bitstring.with_value(bits, index, value, size=size)
    for other in range(128 // size):
        expected = value if other == index else bitstring.value_at(bits, other, size=size)
        assert bitstring.value_at(changed, other, size=size) == expected
    as_text = "".join(f"{byte:08b}" for byte in changed)
    assert int(as_text[index * size : (index + 1) * size], 2) == value


def test_a_value_that_does_not_fit_is_refused() -> None:
    bitstring.with_value(b"\x00", 0, 3, size=2)
    with pytest.raises(BadCredential):
        bitstring.with_value(b"\x00", 0, 4, size=2)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "StatusList2021Entry"},
        {"statusPurpose": ...},
        {"statusPurpose": ["revocation"]},
        {"statusListCredential": "list"},
        {"id": URL},
        {"id": "no url"},
        {"statusSize": 0},
        {"statusSize": True},
        {"statusSize": "1"},
        {"statusSize": 9},
        {"statusSize": 2},
        {"statusSize": 2, "statusMessage": MESSAGES[:3]},
        {"statusSize": 2, "statusMessage": [*MESSAGES[:3], MESSAGES[0]]},
        {"statusSize": 2, "statusMessage": [*MESSAGES[:3], {"status": "0x4", "message": "m"}]},
        {"statusSize": 2, "statusMessage": [*MESSAGES[:3], {"status": "3", "message": "m"}]},
        {"statusSize": 2, "statusMessage": [*MESSAGES[:3], {"status": "0x3"}]},
        {"statusMessage": "x"},
        {"statusReference": []},
        {"statusReference": "nowhere"},
    ],
    ids=str,
)
def test_a_malformed_entry_is_refused(changes: dict[str, Any]) -> None:
    parse_entry(entry(id="urn:x:1", statusSize=2, statusMessage=MESSAGES, statusReference=["urn:a:b"], more=1))
    with pytest.raises(BadCredential):
        parse_entry(entry(**changes))


def test_a_list_may_leave_out_its_period_and_name_its_issuer_as_an_object() -> None:
    assert checked(document=listed(issuer={"id": ISSUER, "name": "I"}, validFrom=..., validUntil=...)).valid


@pytest.mark.parametrize(
    "changes",
    [
        {"type": ["VerifiableCredential"]},
        {"type": "BitstringStatusListCredential"},
        {"id": ...},
        {"issuer": ...},
        {"credentialSubject": [{}]},
        {"subject": {"type": "List"}},
        {"subject": {"statusPurpose": []}},
        {"subject": {"encodedList": None}},
        {"subject": {"ttl": -1}},
        {"subject": {"ttl": "300000"}},
    ],
    ids=str,
)
def test_a_malformed_list_is_refused(changes: dict[str, Any]) -> None:
    checked(document=listed(subject={"ttl": 1000}))
    with pytest.raises(BadCredential):
        checked(document=listed(**changes))


def test_a_publisher_may_keep_the_status_of_others_only_when_it_is_allowed() -> None:
    document = listed(issuer=PUBLISHER)
    assert checked(document=document, list_controller=PUBLISHER, publishers=frozenset({PUBLISHER})).valid
    with pytest.raises(UntrustedIssuer):
        checked(document=document, list_controller=PUBLISHER)
    with pytest.raises(WrongIssuer):
        checked(document=document, publishers=frozenset({PUBLISHER}))


def test_the_period_and_the_age_of_a_copy_have_exact_limits() -> None:
    end = datetime(2026, 11, 23, 11, tzinfo=UTC)
    assert checked(now=end - timedelta(seconds=1), fetched_at=end - timedelta(seconds=1)).valid
    with pytest.raises(Expired):
        checked(now=end, fetched_at=end)
    start = datetime(2026, 11, 23, 9, tzinfo=UTC) - timedelta(seconds=30)
    assert checked(now=start, fetched_at=start).valid
    with pytest.raises(NotYetValid):
        checked(now=start - timedelta(seconds=1), fetched_at=start)
    for ttl, age in ((300_000, 300), (86_400_000, 300), (60_000, 60), (0, 5)):
        document = listed(subject={"ttl": ttl})
        assert checked(document=document, fetched_at=NOW - timedelta(seconds=age)).valid
        with pytest.raises(StatusUnavailable):
            checked(document=document, fetched_at=NOW - timedelta(seconds=age + 1))


def test_every_refusal_has_the_error_type_of_the_standard() -> None:
    expected = {
        StatusUnavailable: "https://www.w3.org/ns/credentials/status-list#STATUS_RETRIEVAL_ERROR",
        StatusNotVerified: "https://www.w3.org/ns/credentials/status-list#STATUS_VERIFICATION_ERROR",
        BadSignature: "https://www.w3.org/ns/credentials/status-list#STATUS_VERIFICATION_ERROR",
        StatusListTooShort: "https://www.w3.org/ns/credentials/status-list#STATUS_LIST_LENGTH_ERROR",
        StatusIndexOutOfRange: "https://www.w3.org/TR/vc-data-model#RANGE_ERROR",
        BadCredential: "https://www.w3.org/TR/vc-data-model#MALFORMED_VALUE_ERROR",
    }
    assert {kind: bitstring.error_type(kind("x")) for kind in expected} == expected
    assert len(set(expected.values())) == 5
