"""Attacks on status: lists that unpack without end, lists of strangers, and indexes that are not numbers."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from did_agent.adapters.status import ListCache, bitstring_lists
from did_agent.credential import bitstring
from did_agent.credential.bitstring import MAX_LIST_BYTES, MIN_LIST_BYTES, BitstringList
from did_agent.credential.token_status import decode_statuses, parse_reference, status_at, with_status
from did_agent.encoding import base64url
from did_agent.errors import (
    BadCredential,
    BadJOSE,
    BadSignature,
    DidAgentError,
    Expired,
    NotYetValid,
    PeerUnavailable,
    StatusIndexOutOfRange,
    StatusListTooShort,
    StatusNotVerified,
    StatusUnavailable,
    UntrustedIssuer,
    WrongAlgorithm,
    WrongAudience,
    WrongIssuer,
    WrongType,
)
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.jwt import sign_jwt
from tests.unit.test_bitstring import ISSUER, NOW, URL, checked, entry, listed
from tests.unit.test_token_status import KEY, URI, at, believed, issued

MALLORY = "did:web:mallory.example"
STRANGER = SigningKey.from_seed(b"9" * 32)
EMPTY = bytes(MIN_LIST_BYTES)
GZIPPED, ZLIBBED = gzip.compress(EMPTY, mtime=0), zlib.compress(EMPTY, 9)

pytestmark = pytest.mark.req("VCX-10")


def with_text(raw: bytes) -> dict[str, Any]:
    return listed(subject={"encodedList": "u" + base64url.encode(raw)})


@pytest.mark.parametrize(
    "raw",
    [
        gzip.compress(bytes(MAX_LIST_BYTES + 1), mtime=0),
        GZIPPED[:-1],
        GZIPPED[: len(GZIPPED) // 2],
        GZIPPED + b"\0",
        GZIPPED + GZIPPED,
        GZIPPED[:-8] + bytes(4) + GZIPPED[-4:],
        ZLIBBED,
        EMPTY,
        b"",
    ],
    ids=["bomb", "one byte short", "half", "trailing byte", "two members", "checksum", "zlib", "not packed", "nothing"],
)
def test_a_bitstring_that_is_not_one_whole_bounded_member_is_refused(raw: bytes) -> None:
    assert checked(document=with_text(GZIPPED)).valid
    with pytest.raises(BadCredential):
        checked(document=with_text(raw))


def test_a_bitstring_as_large_as_allowed_is_read() -> None:
    assert len(bitstring.decode(bitstring.encode(bytes(MAX_LIST_BYTES)))) == MAX_LIST_BYTES
    with pytest.raises(BadCredential):
        bitstring.encode(bytes(MAX_LIST_BYTES + 1))


@pytest.mark.parametrize(
    "raw",
    [
        zlib.compress(bytes(MAX_LIST_BYTES + 1), 9),
        ZLIBBED[:-1],
        ZLIBBED + b"\0",
        ZLIBBED + ZLIBBED,
        ZLIBBED[:-4] + b"\1\2\3\4",
        GZIPPED,
        b"",
    ],
    ids=["bomb", "one byte short", "trailing byte", "two streams", "checksum", "gzip", "nothing"],
)
def test_a_token_list_that_is_not_one_whole_bounded_stream_is_refused(raw: bytes) -> None:
    assert decode_statuses(base64url.encode(ZLIBBED)) == EMPTY
    with pytest.raises(BadJOSE):
        decode_statuses(base64url.encode(raw))


@pytest.mark.parametrize("text", [None, 7, "eNo=", "eN o", "A" * 65_537], ids=range(5))
def test_a_token_list_in_another_text_form_is_refused(text: object) -> None:
    with pytest.raises(BadJOSE):
        decode_statuses(text)


@pytest.mark.parametrize(
    "index", ["-1", "01", "+1", " 1", "1 ", "1\n", "1.0", "1e3", "0x10", "", "٥", "１", "²", "1" * 65, 1, True, None]
)
def test_an_index_that_is_not_one_plain_decimal_is_malformed(index: object) -> None:
    assert checked(entry(statusListIndex="1")).valid
    with pytest.raises(BadCredential):
        checked(entry(statusListIndex=index))


@pytest.mark.parametrize("index", [MIN_LIST_BYTES * 8, 9_999_999_999, 2**64, 10**63])
def test_an_index_after_the_end_is_out_of_range(index: int) -> None:
    assert checked(entry(statusListIndex=str(MIN_LIST_BYTES * 8 - 1))).valid
    with pytest.raises(StatusIndexOutOfRange):
        checked(entry(statusListIndex=str(index)))


def test_an_entry_that_is_cut_by_the_end_is_out_of_range() -> None:
    assert bitstring.value_at(b"\0\0", 4, size=3) == 0
    for index in (5, -1):
        with pytest.raises(StatusIndexOutOfRange):
            bitstring.value_at(b"\0\0", index, size=3)


def test_a_list_too_short_for_its_entry_size_hides_nobody() -> None:
    messages = [{"status": f"0x{n}", "message": "m"} for n in range(4)]
    wanted = entry(statusSize=2, statusMessage=messages)
    assert checked(wanted, listed(bytes(MIN_LIST_BYTES * 2))).valid
    with pytest.raises(StatusListTooShort):
        checked(wanted, listed(bytes(MIN_LIST_BYTES * 2 - 1)))
    with pytest.raises(StatusListTooShort):
        checked(document=listed(bytes(MIN_LIST_BYTES - 1)))


def test_a_suspension_list_says_nothing_about_revocation() -> None:
    document = listed(subject={"statusPurpose": "suspension"})
    assert checked(entry(statusPurpose="suspension"), document).valid
    for purpose in ("revocation", "Suspension", "suspension "):
        with pytest.raises(StatusNotVerified):
            checked(entry(statusPurpose=purpose), document)


def test_a_strangers_list_un_revokes_nothing() -> None:
    assert checked().valid
    with pytest.raises(UntrustedIssuer):  # honestly his own
        checked(document=listed(issuer=MALLORY), list_controller=MALLORY)
    with pytest.raises(WrongIssuer):  # in the issuer's name
        checked(list_controller=MALLORY)


def test_another_list_of_the_same_issuer_does_not_stand_in() -> None:
    with pytest.raises(StatusNotVerified):
        checked(document=listed(id=URL + "0"))
    with pytest.raises(StatusNotVerified):
        checked(entry(statusListCredential=URL + "0"))


def test_a_list_that_names_a_status_itself_is_refused() -> None:
    with pytest.raises(StatusNotVerified):
        checked(document=listed(credentialStatus=entry()))


def test_a_list_that_is_missing_old_or_from_the_future_is_not_an_answer() -> None:
    assert checked(fetched_at=NOW - timedelta(minutes=5)).valid
    with pytest.raises(StatusUnavailable):
        checked(fetched_at=NOW - timedelta(minutes=5, seconds=1))
    with pytest.raises(StatusUnavailable):
        checked(fetched_at=NOW + timedelta(minutes=1))
    with pytest.raises(StatusUnavailable):
        bitstring.check_entry(entry(), None, list_controller=ISSUER, fetched_at=NOW, credential_issuer=ISSUER, now=NOW)


# ---- tokens


@pytest.mark.parametrize("idx", [-1, 1.0, "1", True, None, 2**53])
def test_the_index_of_a_token_is_a_whole_number(idx: object) -> None:
    assert parse_reference({"status": {"status_list": {"idx": 1, "uri": URI}}}) == at(1)
    with pytest.raises(BadJOSE):
        parse_reference({"status": {"status_list": {"idx": idx, "uri": URI}}})


def test_an_index_outside_a_token_list_is_out_of_range() -> None:
    assert status_at(b"\0", 3, bits=2) == 0
    for index in (4, -1):
        with pytest.raises(StatusIndexOutOfRange):
            status_at(b"\0", index, bits=2)


def test_the_two_bit_orders_are_not_exchanged() -> None:
    assert with_status(b"\0", 0, 1, bits=1) == b"\x01"
    assert bitstring.with_value(b"\0", 0, 1) == b"\x80"
    assert status_at(b"\x80", 0, bits=1) == bitstring.value_at(b"\x01", 0) == 0


def claims(**changes: Any) -> dict[str, Any]:
    lst = base64url.encode(ZLIBBED)
    members = {"sub": URI, "iat": int(NOW.timestamp()), "status_list": {"bits": 1, "lst": lst}}
    return {name: value for name, value in (members | changes).items() if value is not ...}


def signed(typ: str = "statuslist+jwt", key: SigningKey = KEY, **changes: Any) -> str:
    return sign_jwt(claims(**changes), typ=typ, key=key)


SECOND = int(NOW.timestamp())
BAD_TOKENS: list[tuple[dict[str, Any], type[DidAgentError]]] = [
    ({"typ": "JWT"}, WrongType),
    ({"typ": "statuslist+cwt"}, WrongType),
    ({"key": STRANGER}, BadSignature),
    ({"sub": URI + "0"}, StatusNotVerified),
    ({"sub": ...}, BadJOSE),
    ({"iat": ...}, BadJOSE),
    ({"iat": True}, BadJOSE),
    ({"iat": SECOND + 31}, NotYetValid),
    ({"iat": SECOND - 86_430}, Expired),
    ({"exp": SECOND - 30}, Expired),
    ({"exp": "never"}, BadJOSE),
    ({"nbf": SECOND + 31}, NotYetValid),
    ({"ttl": 0}, BadJOSE),
    ({"ttl": "60"}, BadJOSE),
    ({"aud": "https://other.example"}, WrongAudience),
    ({"status": {"status_list": {"idx": 0, "uri": URI}}}, StatusNotVerified),
    ({"status_list": ...}, BadJOSE),
    ({"status_list": []}, BadJOSE),
    ({"status_list": {"bits": 3, "lst": base64url.encode(ZLIBBED)}}, BadJOSE),
    ({"status_list": {"bits": True, "lst": base64url.encode(ZLIBBED)}}, BadJOSE),
    ({"status_list": {"bits": 1}}, BadJOSE),
]


@pytest.mark.parametrize(("changes", "error"), BAD_TOKENS, ids=range(len(BAD_TOKENS)))
def test_a_token_list_that_is_not_what_it_should_be_is_refused(
    changes: dict[str, Any], error: type[DidAgentError]
) -> None:
    believed(signed(exp=SECOND - 29, iat=SECOND - 86_429, ttl=1, nbf=SECOND + 30))
    believed(signed(iat=SECOND - 86_429))
    with pytest.raises(error):
        believed(signed(**changes))


def test_a_token_list_of_another_issuer_is_refused() -> None:
    believed(issued(issuer="https://issuer.example"), expected_issuer="https://issuer.example")
    with pytest.raises(WrongIssuer):
        believed(issued(issuer="https://mallory.example"), expected_issuer="https://issuer.example")
    with pytest.raises(WrongIssuer):
        believed(issued(), expected_issuer="https://issuer.example")


def test_a_token_list_without_a_signature_or_with_a_changed_one_is_refused() -> None:
    head, body, tail = issued().split(".")
    none = base64url.encode(b'{"alg":"none","typ":"statuslist+jwt"}')
    with pytest.raises(WrongAlgorithm):
        believed(f"{none}.{body}.{tail}")
    with pytest.raises(BadJOSE):
        believed(f"{head}.{body}.")
    other = issued(statuses=bytes(64)).split(".")[1]
    with pytest.raises(BadSignature):
        believed(f"{head}.{other}.{tail}")


# ---- the cache


class World:
    def __init__(self) -> None:
        self.now, self.asked = NOW, 0
        self.controller, self.down = ISSUER, False

    async def fetch(self, url: str, now: Any) -> tuple[Mapping[str, object], str]:
        self.asked += 1
        if self.down:
            raise PeerUnavailable(url)
        return listed(subject={"ttl": 60_000}), self.controller

    def cache(self) -> ListCache[BitstringList]:
        return bitstring_lists(self.fetch, max_age=timedelta(minutes=5), clock=lambda: self.now)


async def test_a_cached_list_lives_for_its_ttl_and_nothing_stands_in_for_a_failure() -> None:
    world = World()
    cache = world.cache()
    await cache.get([URL])
    world.now = NOW + timedelta(seconds=59)
    await cache.get([URL])
    assert world.asked == 1
    world.now, world.down = NOW + timedelta(seconds=60), True
    with pytest.raises(StatusUnavailable):
        await cache.get([URL])
    world.now, world.down = NOW + timedelta(seconds=64), False
    with pytest.raises(StatusUnavailable):  # a failure is remembered for five seconds
        await cache.get([URL])
    world.now = NOW + timedelta(seconds=65)
    assert URL in await cache.get([URL])
    world.now, world.controller = NOW + timedelta(seconds=125), MALLORY
    with pytest.raises(StatusUnavailable):
        await cache.get([URL])
