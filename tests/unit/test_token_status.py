"""Token Status List: packing, issuing, and the status of a token that names a list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from did_agent.adapters.status import ListCache, token_status_lists
from did_agent.credential import token_status
from did_agent.credential.token_status import (
    TokenStatusList,
    TokenStatusReference,
    check_token_status,
    issue_status_list_token,
    parse_reference,
    status_at,
    verify_status_list_token,
    with_status,
)
from did_agent.errors import (
    BadJOSE,
    DidAgentError,
    Expired,
    PeerUnavailable,
    Revoked,
    StatusIndexOutOfRange,
    StatusNotVerified,
    StatusUnavailable,
    Suspended,
    TooLarge,
)
from did_agent.keys.ed25519 import SigningKey

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
URI = "https://issuer.example/statuslists/1"
KEY = SigningKey.from_seed(b"1" * 32)
STATUSES = with_status(with_status(bytes(64), 9, 1, bits=2), 10, 2, bits=2)


def issued(**changes: Any) -> str:
    arguments: dict[str, Any] = {
        "uri": URI,
        "statuses": STATUSES,
        "bits": 2,
        "key": KEY,
        "issued_at": NOW,
        "expires": NOW + timedelta(hours=1),
        "ttl": 60,
    }
    return issue_status_list_token(**(arguments | changes))


def believed(token: str, **changes: Any) -> TokenStatusList:
    arguments: dict[str, Any] = {
        "expected_uri": URI,
        "expected_issuer": None,
        "find_key": lambda _header, _claims: KEY.public,
        "fetched_at": NOW,
        "now": NOW,
    }
    return verify_status_list_token(token, **(arguments | changes))


def at(index: int, uri: str = URI) -> TokenStatusReference:
    return TokenStatusReference(index=index, uri=uri)


def test_the_status_of_a_token_is_found_by_its_claim() -> None:
    reference = parse_reference({"sub": "x", "status": at(10).to_json()})
    assert reference == at(10)
    assert parse_reference({"sub": "x"}) is None
    assert check_token_status(at(10), believed(issued()), now=NOW).name == "SUSPENDED"


def test_only_zero_is_valid_and_what_is_not_known_ends_a_token() -> None:
    statuses = bytes([0, 1, 2, 3, 12])
    found = believed(issued(statuses=statuses, bits=8))
    answers = [check_token_status(at(index), found, now=NOW) for index in range(5)]
    assert [answer.name for answer in answers] == ["VALID", "INVALID", "SUSPENDED", "0x03", "0x0C"]
    assert [answer.valid for answer in answers] == [True, False, False, False, False]
    answers[0].require_valid()
    for answer, error in zip(answers[1:], (Revoked, Suspended, StatusNotVerified, StatusNotVerified), strict=True):
        with pytest.raises(error):
            answer.require_valid()


@given(st.sampled_from([1, 2, 4, 8]), st.data())
def test_values_of_every_size_come_back_and_leave_their_neighbours_alone(bits: int, data: st.DataObject) -> None:
    statuses = data.draw(st.binary(min_size=8, max_size=8))
    index = data.draw(st.integers(0, 64 // bits - 1))
    value = data.draw(st.integers(0, (1 << bits) - 1))
    changed = with_status(statuses, index, value, bits=bits)
    for other in range(64 // bits):
        expected = value if other == index else status_at(statuses, other, bits=bits)
        assert status_at(changed, other, bits=bits) == expected
    # All bytes as one little-endian number put the first entry last.
    assert (int.from_bytes(changed, "little") >> (index * bits)) & ((1 << bits) - 1) == value


def test_the_first_entry_of_a_byte_is_in_its_lowest_bits() -> None:
    assert with_status(b"\x00", 0, 1, bits=1) == b"\x01"
    assert with_status(b"\x00", 1, 2, bits=2) == b"\x08"
    with pytest.raises(TooLarge):
        with_status(b"\x00", 0, 2, bits=1)


def test_ends_have_their_exact_limits() -> None:
    end = NOW + timedelta(hours=1, seconds=30)
    believed(issued(), now=end - timedelta(seconds=1), fetched_at=end)
    with pytest.raises(Expired):
        believed(issued(), now=end, fetched_at=end)
    found = believed(issued())
    check_token_status(at(0), found, now=NOW + timedelta(seconds=60))
    with pytest.raises(StatusUnavailable):
        check_token_status(at(0), found, now=NOW + timedelta(seconds=61))


def test_what_cannot_be_had_or_is_another_list_is_no_answer() -> None:
    found = believed(issued())
    check_token_status(at(255), found, now=NOW)
    with pytest.raises(StatusUnavailable):
        check_token_status(at(0), None, now=NOW)
    with pytest.raises(StatusNotVerified):
        check_token_status(at(0, URI + "0"), found, now=NOW)
    with pytest.raises(StatusIndexOutOfRange):
        check_token_status(at(256), found, now=NOW)


def test_a_list_that_no_reader_takes_is_not_issued(monkeypatch: pytest.MonkeyPatch) -> None:
    believed(issued())
    monkeypatch.setattr(token_status, "MAX_LST_TEXT", 4)
    with pytest.raises(TooLarge):
        issued()


@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        {"status_list": None},
        {"status_list": {"idx": 1}},
        {"status_list": {"uri": URI}},
        {"status_list": {"idx": 1, "uri": "list"}},
        {"status_list": {"idx": 1, "uri": URI}, "other": {}},
    ],
    ids=str,
)
def test_a_malformed_reference_is_refused_never_skipped(status: object) -> None:
    parse_reference({"status": at(1).to_json()})
    with pytest.raises(BadJOSE):
        parse_reference({"status": status})


class Publisher:
    def __init__(self) -> None:
        self.now, self.asked, self.down = NOW, 0, False

    async def get_text(self, url: str, *, accept: str) -> str:
        self.asked += 1
        assert accept == "application/statuslist+jwt"
        if self.down:
            raise PeerUnavailable(url)
        return issued(issued_at=self.now, expires=self.now + timedelta(hours=1))

    def cache(self, key: SigningKey = KEY) -> ListCache[TokenStatusList]:
        return token_status_lists(
            self,
            find_key=lambda _header, _claims: key.public,
            expected_issuer=None,
            max_age=timedelta(minutes=5),
            clock=lambda: self.now,
        )


async def test_token_lists_are_kept_for_their_ttl_and_a_failure_is_not_an_answer() -> None:
    publisher = Publisher()
    cache = publisher.cache()
    assert (await cache.get([URI]))[URI].uri == URI
    publisher.now = NOW + timedelta(seconds=59)
    await cache.get([URI])
    assert publisher.asked == 1
    publisher.now, publisher.down = NOW + timedelta(seconds=60), True
    with pytest.raises(StatusUnavailable):
        await cache.get([URI])
    with pytest.raises(DidAgentError):
        await Publisher().cache(SigningKey.from_seed(b"2" * 32)).get([URI])
