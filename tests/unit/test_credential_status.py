"""Bitstring Status List v1.0: bit order, bounds, and which lists are believed."""

from __future__ import annotations

import gzip
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from did_agent.credential.status import (
    MAX_LIST_BYTES,
    MIN_LIST_BYTES,
    StatusEntry,
    decode_list,
    encode_list,
    is_set,
    parse_status_entries,
    verify_status_list,
    with_bit,
)
from did_agent.credential.trust import TrustedIssuers
from did_agent.encoding import base64url
from did_agent.errors import (
    BadCredential,
    BadSignature,
    DidAgentError,
    Expired,
    NotYetValid,
    UntrustedIssuer,
    WrongIssuer,
    WrongPurpose,
)
from tests.fakes.credentials import (
    ISSUER,
    ISSUER_DID,
    MALLORY,
    MALLORY_DID,
    NOW,
    REVOCATION_URL,
    TRUSTED,
    Document,
    secure,
    stamp,
    status_list,
)

SHARED = Path(os.environ.get("DID_AGENT_SHARED", Path(__file__).parents[3] / "shared"))
VECTORS = SHARED / "vectors" / "bitstring-status-list"
EMPTY = bytes(MIN_LIST_BYTES)


def vectors(name: str) -> list[dict[str, Any]]:
    path = VECTORS / name
    if not path.is_file():
        pytest.skip(f"no official vectors at {path}; set DID_AGENT_SHARED to the folder that holds them")
    loaded: list[dict[str, Any]] = json.loads(path.read_text())
    return loaded


def test_official_lists_decode_to_their_bits() -> None:
    for vector in vectors("positive.json"):
        bits = decode_list(vector["encodedList"])
        assert len(bits) * 8 == vector["length"], vector["name"]
        listed = set(vector["set"])
        assert {index for index in range(vector["length"]) if is_set(bits, index)} == listed, vector["name"]
        assert decode_list(encode_list(bits)) == bits


@pytest.mark.req("VCX-10")
def test_official_bad_lists_are_refused() -> None:
    for vector in vectors("negative.json"):
        entry = {
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": vector.get("statusListIndex", "0"),
            "statusListCredential": REVOCATION_URL,
        }
        with pytest.raises(BadCredential):
            (parsed,) = parse_status_entries(entry)
            is_set(decode_list(vector["encodedList"]), parsed.index)


def test_index_0_is_the_leftmost_bit_of_the_first_byte() -> None:
    assert with_bit(EMPTY, 0, value=True)[0] == 0x80
    assert with_bit(EMPTY, 7, value=True)[0] == 0x01
    assert with_bit(EMPTY, 8, value=True)[1] == 0x80


@given(st.sets(st.integers(0, MIN_LIST_BYTES * 8 - 1), max_size=8))
def test_flipped_bits_survive_the_way_through_a_list_and_back(indexes: set[int]) -> None:
    bits = EMPTY
    for index in indexes:
        bits = with_bit(bits, index, value=True)
    read = decode_list(encode_list(bits))
    assert all(is_set(read, index) for index in indexes)
    assert sum(byte.bit_count() for byte in read) == len(indexes)
    for index in indexes:
        read = with_bit(read, index, value=False)
    assert read == EMPTY


@pytest.mark.parametrize("index", [-1, MIN_LIST_BYTES * 8])
def test_an_index_outside_the_list_is_refused(index: int) -> None:
    with pytest.raises(BadCredential):
        is_set(EMPTY, index)
    with pytest.raises(BadCredential):
        with_bit(EMPTY, index, value=True)


@pytest.mark.req("VCX-10")
def test_a_gzip_bomb_is_not_unpacked() -> None:
    decode_list(encode_list(bytes(MAX_LIST_BYTES)))
    with pytest.raises(BadCredential):
        decode_list(encode_list(bytes(MAX_LIST_BYTES + 1)))


@pytest.mark.req("VCX-10")
@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "zH4s",
        "u",
        "u!!!!",
        encode_list(EMPTY) + "=",
        encode_list(EMPTY)[:-8],
        "u" + base64url.encode(gzip.compress(EMPTY, mtime=0) + b"more"),
        "u" + base64url.encode(gzip.compress(EMPTY, mtime=0) * 2),
        "u" + base64url.encode(gzip.compress(bytes(MIN_LIST_BYTES - 1), mtime=0)),
        "u" + "A" * 2_097_152,
    ],
    ids=range(11),
)
def test_text_that_is_not_one_whole_list_is_refused(text: object) -> None:
    assert decode_list(encode_list(EMPTY)) == EMPTY
    with pytest.raises(BadCredential):
        decode_list(text)


ENTRY = StatusEntry(list_url=REVOCATION_URL, index=5, purpose="revocation")


def test_an_entry_is_read_as_it_was_written_alone_or_in_an_array() -> None:
    suspension = StatusEntry(list_url=REVOCATION_URL + "0", index=0, purpose="suspension")
    assert parse_status_entries(ENTRY.to_json()) == (ENTRY,)
    assert parse_status_entries([ENTRY.to_json(), suspension.to_json()]) == (ENTRY, suspension)
    assert parse_status_entries({**ENTRY.to_json(), "id": REVOCATION_URL + "#5"}) == (ENTRY,)


@pytest.mark.req("VCX-10")
@pytest.mark.parametrize(
    "changes",
    [
        {"statusListIndex": 5},
        {"statusListIndex": "05"},
        {"statusListIndex": "-1"},
        {"statusListIndex": "5.0"},
        {"statusListIndex": "٥"},
        {"statusPurpose": "message"},
        {"statusPurpose": "refresh"},
        {"statusPurpose": ["revocation"]},
        {"type": "StatusList2021Entry"},
        {"statusListCredential": "list"},
        {"id": REVOCATION_URL},
        {"statusSize": 2},
    ],
    ids=str,
)
def test_an_entry_that_cannot_be_judged_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BadCredential):
        parse_status_entries({**ENTRY.to_json(), **changes})


@pytest.mark.parametrize("entries", [[], [ENTRY.to_json()] * 2, [ENTRY.to_json()] * 5, None, "x"])
def test_entries_are_few_and_of_different_purposes(entries: object) -> None:
    with pytest.raises(BadCredential):
        parse_status_entries(entries)


def believed(document: Document, **changes: Any) -> Any:
    arguments: dict[str, Any] = {"expected_url": REVOCATION_URL, "trusted_issuers": TRUSTED, "now": NOW}
    return verify_status_list(document, **(arguments | changes))


def test_an_honest_list_is_believed() -> None:
    verified = believed(status_list("revocation", set_bits=[9]))
    assert (verified.url, verified.issuer, verified.purpose) == (REVOCATION_URL, ISSUER_DID, "revocation")
    assert (is_set(verified.bits, 9), is_set(verified.bits, 8)) == (True, False)
    assert verified.ttl == timedelta(seconds=30)
    assert verified.valid_until == NOW + timedelta(minutes=5)


@pytest.mark.req("VCX-10")
def test_a_list_from_another_address_is_refused() -> None:
    with pytest.raises(BadCredential):
        believed(status_list("revocation"), expected_url=REVOCATION_URL + "0")


@pytest.mark.req("VCX-10", "VCX-05")
def test_a_list_by_a_stranger_is_refused_even_when_well_signed() -> None:
    believed(status_list("revocation", issuer=MALLORY), trusted_issuers=TrustedIssuers.of(MALLORY_DID))
    with pytest.raises(UntrustedIssuer):
        believed(status_list("revocation", issuer=MALLORY))


def changed(edit: Any, *, key: Any = ISSUER, purpose: str = "assertionMethod") -> Document:
    document = {name: value for name, value in status_list("revocation").items() if name != "proof"}
    edit(document)
    return secure(document, key, purpose=purpose)


BAD_LISTS: list[tuple[str, Any, type[DidAgentError]]] = [
    ("has ended", lambda d: d.update(validUntil=stamp()), Expired),
    ("has not begun", lambda d: d.update(validFrom=stamp(seconds=31)), NotYetValid),
    ("never ends", lambda d: d.pop("validUntil"), BadCredential),
    ("is of another type", lambda d: d.update(type=["VerifiableCredential"]), BadCredential),
    ("has another context", lambda d: d["@context"].append("urn:x"), BadCredential),
    ("carries a status itself", lambda d: d.update(credentialStatus=ENTRY.to_json()), BadCredential),
    ("has another purpose", lambda d: d["credentialSubject"].update(statusPurpose="message"), BadCredential),
    ("has several purposes", lambda d: d["credentialSubject"].update(statusPurpose=["revocation"]), BadCredential),
    ("is of another subject type", lambda d: d["credentialSubject"].update(type="List"), BadCredential),
    ("has no list", lambda d: d["credentialSubject"].pop("encodedList"), BadCredential),
    ("has a strange ttl", lambda d: d["credentialSubject"].update(ttl="30000"), BadCredential),
]


@pytest.mark.req("VCX-10")
@pytest.mark.parametrize(("edit", "error"), [case[1:] for case in BAD_LISTS], ids=[case[0] for case in BAD_LISTS])
def test_a_list_that_is_not_what_it_should_be_is_refused(edit: Any, error: type[DidAgentError]) -> None:
    believed(changed(lambda _document: None))
    with pytest.raises(error):
        believed(changed(edit))


@pytest.mark.req("VCX-10", "VCX-04")
def test_a_list_signed_by_the_wrong_key_or_for_another_purpose_or_edited_is_refused() -> None:
    with pytest.raises(WrongIssuer):
        believed(changed(lambda _document: None, key=MALLORY))
    with pytest.raises(WrongPurpose):
        believed(changed(lambda _document: None, purpose="authentication"))
    edited = status_list("revocation", set_bits=[1])
    edited["credentialSubject"]["encodedList"] = encode_list(EMPTY)
    with pytest.raises(BadSignature):
        believed(edited)


def test_a_long_ttl_is_cut_to_what_we_believe() -> None:
    verified = believed(changed(lambda d: d["credentialSubject"].update(ttl=86_400_000)))
    assert verified.ttl == timedelta(minutes=5)
