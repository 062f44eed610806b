"""The official vectors of both status lists: every file is read, or left out with a reason."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from did_agent.credential import bitstring
from did_agent.credential.bitstring import ZLIB, inflate
from did_agent.credential.token_status import (
    EntryBits,
    TokenStatusReference,
    check_token_status,
    decode_statuses,
    encode_statuses,
    status_at,
    verify_status_list_token,
)
from did_agent.errors import DidAgentError
from did_agent.keys import ecdsa
from did_agent.proof.jwt import sign_jwt

SHARED = Path(os.environ.get("DID_AGENT_SHARED", Path(__file__).parents[3] / "shared")) / "vectors"
BITSTRING, TOKEN = SHARED / "bitstring-status-list", SHARED / "token-status-list"

pytestmark = pytest.mark.skipif(
    not BITSTRING.is_dir() or not TOKEN.is_dir(),
    reason=f"no official vectors at {SHARED}; set DID_AGENT_SHARED to the folder that holds them",
)

# A status list token in CBOR (CWT) is not part of this release.
LEFT_OUT = {
    "referenced_token_cwt.md": "a CWT",
    "referenced_token_cwt_diag.md": "a CWT in diagnostic notation",
    "status_list_cwt.md": "a CWT",
}
# Which entries of the long lists are not 0: printed beside the lists in the draft.
ONE = dict.fromkeys((0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345), 1)
TWO = ONE | {1993: 2, 159495: 3, 645645: 2, 934534: 2, 1000345: 3}
SHORT_ONE = dict.fromkeys((0, 3, 4, 5, 7, 8, 9, 13, 15), 1)
SHORT_TWO = {0: 1, 1: 2, 3: 3, 5: 1, 7: 1, 8: 1, 9: 2, 10: 3, 11: 3}
JSON_LISTS: dict[str, tuple[EntryBits, int, dict[int, int]]] = {
    "status_list_encoding_json.md": (1, 16, SHORT_ONE),
    "status_list_encoding1_long_json.md": (1, 1_048_576, ONE),
    "status_list_encoding2_json.md": (2, 12, SHORT_TWO),
    "status_list_encoding2_long_json.md": (2, 1_048_576, TWO),
}
# Of the lists in CBOR only the frame is left out: the compressed bytes in it are read.  How many entries are not 0.
CBOR_LISTS: dict[str, tuple[EntryBits, int, int]] = {
    "status_list_encoding_cbor.md": (1, 16, 9),
    "status_list_encoding1_long_cbor.md": (1, 1_048_576, 11),
    "status_list_encoding4_cbor.md": (4, 1_048_576, 15),
    "status_list_encoding8_cbor.md": (8, 1_048_576, 255),
}


def loaded(name: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads((BITSTRING / name).read_text(encoding="utf-8"))
    return vectors


def values(statuses: bytes, bits: int) -> dict[int, int]:
    per_byte = 8 // bits
    used = [place for place, byte in enumerate(statuses) if byte]
    indexes = (place * per_byte + offset for place in used for offset in range(per_byte))
    found = {index: status_at(statuses, index, bits=bits) for index in indexes}
    return {index: value for index, value in found.items() if value}


def test_every_file_is_read_or_left_out_with_a_reason() -> None:
    here = {path.name for path in TOKEN.iterdir()} - {"SOURCE.md", "status_list_jwt.md"}
    unknown = here - LEFT_OUT.keys() - JSON_LISTS.keys() - CBOR_LISTS.keys()
    # Lists in JSON that this table does not know are still read below.
    assert {name for name in unknown if not name.endswith("_json.md")} == set()
    assert all(LEFT_OUT.values())
    assert {path.name for path in BITSTRING.iterdir()} == {"SOURCE.md", "positive.json", "negative.json"}


def test_every_bitstring_has_its_bits_and_survives_the_way_back() -> None:
    vectors = loaded("positive.json")
    assert len(vectors) >= 7
    for vector in vectors:
        bits = bitstring.decode(vector["encodedList"])
        assert len(bits) * 8 == vector["length"]
        read = {index for index in range(vector["length"]) if bitstring.value_at(bits, index)}
        assert read == set(vector["set"]), vector["name"]
        assert bitstring.decode(bitstring.encode(bits)) == bits


@pytest.mark.req("VCX-10")
def test_every_bad_list_or_entry_is_refused_with_the_error_type_of_the_standard() -> None:
    vectors = loaded("negative.json")
    assert len(vectors) >= 8
    now = datetime(2026, 11, 23, 10, tzinfo=UTC)
    url, issuer = "https://issuer.example/status/1", "did:web:issuer.example"
    for vector in [*vectors, {"name": "good", "encodedList": bitstring.encode(bytes(16_384)), "error": None}]:
        entry = {
            "type": "BitstringStatusListEntry",
            "statusPurpose": vector.get("statusPurpose", "revocation"),
            "statusListIndex": vector.get("statusListIndex", "0"),
            "statusListCredential": url,
        }
        held = {
            "type": "BitstringStatusList",
            "statusPurpose": "revocation",
            "encodedList": vector["encodedList"],
        }
        document = {
            "id": url,
            "type": ["VerifiableCredential", "BitstringStatusListCredential"],
            "issuer": issuer,
            "credentialSubject": held,
        }
        found = None
        try:
            bitstring.check_entry(
                entry, document, list_controller=issuer, fetched_at=now, credential_issuer=issuer, now=now
            )
        except DidAgentError as error:
            found = bitstring.error_type(error).partition("#")[2]
        wanted = vector["error"]
        if wanted is not None and not wanted.endswith("_ERROR"):  # the bomb: "limit (any error, …)"
            assert found is not None
        else:
            assert found == wanted, vector["name"]


@pytest.mark.parametrize("name", JSON_LISTS)
def test_a_list_in_json_has_its_statuses_and_is_packed_the_same_way(name: str) -> None:
    path = TOKEN / name
    if not path.is_file():
        pytest.skip(f"{name} is not in this part of the vectors")
    bits, length, expected = JSON_LISTS[name]
    text = path.read_text(encoding="utf-8")
    members = json.loads(re.sub(r"\n\s*", "", text[text.index("{") :]))
    assert members["bits"] == bits
    statuses = decode_statuses(members["lst"])
    assert len(statuses) * 8 // bits == length
    assert values(statuses, bits) == expected
    stated = re.search(r"byte_array = \[(.*)\]", text)
    if stated:
        assert list(statuses) == [int(byte, 16) for byte in stated[1].split(",")]
    assert decode_statuses(encode_statuses(statuses)) == statuses


@pytest.mark.parametrize("name", CBOR_LISTS)
def test_the_compressed_bytes_of_a_list_in_cbor_are_read(name: str) -> None:
    path = TOKEN / name
    if not path.is_file():
        pytest.skip(f"{name} is not in this part of the vectors")
    bits, length, set_entries = CBOR_LISTS[name]
    raw = bytes.fromhex(re.sub(r"\s", "", path.read_text(encoding="utf-8").rpartition("encoded:")[2]))
    head = b"\xa2\x64bits" + bytes([bits]) + b"\x63lst"
    assert raw.startswith(head)
    statuses = inflate(raw[raw.index(b"\x78\xda") :], ZLIB)
    assert len(statuses) * 8 // bits == length
    found = values(statuses, bits)
    assert len(found) == set_entries
    if bits > 2:  # each value but 0 is there once, which no other bit order gives
        assert sorted(found.values()) == list(range(1, 1 << bits))


def test_the_status_list_token_of_the_draft_is_believed_once_it_is_signed() -> None:
    header, claims = (
        json.loads(part) for part in (TOKEN / "status_list_jwt.md").read_text(encoding="utf-8").split("\n.\n")
    )
    key = ecdsa.SigningKey.generate("P-256")
    assert header["alg"] == "ES256"
    token = sign_jwt(claims, typ=header["typ"], key=key, kid=header["kid"])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    found = verify_status_list_token(
        token,
        expected_uri=claims["sub"],
        expected_issuer=None,
        find_key=lambda _header, _claims: key.public,
        fetched_at=now,
        now=now,
    )
    for index in range(16):
        reference = TokenStatusReference(index=index, uri=claims["sub"])
        assert check_token_status(reference, found, now=now).value == SHORT_ONE.get(index, 0)
