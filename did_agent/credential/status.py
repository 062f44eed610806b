"""Bitstring Status List v1.0 as this product uses it: revocation and suspension, one bit each, closed schemas.

Whatever cannot be read counts as not valid.  The whole standard, for credentials of others, is in `bitstring`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from did_agent.clock import format_timestamp
from did_agent.credential import bitstring, closed
from did_agent.credential.bitstring import MAX_LIST_BYTES, MAX_LIST_TEXT, MAX_TTL_MS, MIN_LIST_BYTES, parse_index
from did_agent.credential.context import PLAIN_PROFILE
from did_agent.credential.trust import TrustedIssuers
from did_agent.credential.validity import parse_period
from did_agent.errors import BadCredential, StatusIndexOutOfRange, WrongIssuer
from did_agent.proof.data_integrity import verify_proof

Purpose = Literal["revocation", "suspension"]

PURPOSES: Final[frozenset[str]] = frozenset({"revocation", "suspension"})
MAX_ENTRIES: Final = 4  # status entries of one credential
MAX_INDEX: Final = 9_999_999_999  # ten digits; no list is that long

__all__ = [
    "MAX_ENTRIES",
    "MAX_INDEX",
    "MAX_LIST_BYTES",
    "MAX_LIST_TEXT",
    "MAX_TTL_MS",
    "MIN_LIST_BYTES",
    "PURPOSES",
    "Purpose",
    "StatusEntry",
    "VerifiedStatusList",
    "build_status_list_credential",
    "decode_list",
    "encode_list",
    "is_set",
    "parse_status_entries",
    "verify_status_list",
    "with_bit",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusEntry:
    """Where the status of one credential is to be found."""

    list_url: str
    index: int
    purpose: Purpose

    def to_json(self) -> dict[str, object]:
        """Return the member of `credentialStatus`."""
        return {
            "type": "BitstringStatusListEntry",
            "statusPurpose": self.purpose,
            "statusListIndex": str(self.index),
            "statusListCredential": self.list_url,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedStatusList:
    """A status list whose proof, issuer, address and time were checked."""

    url: str
    issuer: str
    purpose: Purpose
    bits: bytes
    valid_until: datetime
    ttl: timedelta


def parse_status_entries(value: object) -> tuple[StatusEntry, ...]:
    """Return the entries of a `credentialStatus` member, one object or an array of them (closed schema).

    A purpose that this version cannot judge is refused: it might end the credential.
    Raises: BadCredential.
    """
    listed = closed.array(value if isinstance(value, list) else [value], "credentialStatus", least=1, most=MAX_ENTRIES)
    entries = tuple(_parse_entry(item) for item in listed)
    if len({entry.purpose for entry in entries}) != len(entries):
        raise BadCredential("two status entries have one purpose")
    return entries


def encode_list(bits: bytes) -> str:
    """Return `encodedList`: multibase base64url of the gzipped bitstring.

    Raises: BadCredential when no reader would take it.
    """
    return bitstring.encode(bits)


def decode_list(text: object) -> bytes:
    """Return the bitstring behind `encodedList`: bounded, one gzip member, nothing after it.

    Raises: BadCredential.
    """
    bits = bitstring.decode(text)
    if len(bits) < MIN_LIST_BYTES:
        raise BadCredential(f"the status list has fewer than {MIN_LIST_BYTES * 8} entries")
    return bits


def is_set(bits: bytes, index: int) -> bool:
    """Tell whether the bit at `index` is 1; index 0 is the left-most bit of the first byte.

    Raises: BadCredential when the list has no such index.
    """
    try:
        return bitstring.value_at(bits, index) == 1
    except StatusIndexOutOfRange as error:
        raise BadCredential(f"status list index {index} is outside the list") from error


def with_bit(bits: bytes, index: int, *, value: bool) -> bytes:
    """Return `bits` with the bit at `index` set to `value`.

    Raises: BadCredential when the list has no such index.
    """
    return bits if is_set(bits, index) == value else bitstring.with_value(bits, index, int(value))


def build_status_list_credential(
    *, url: str, issuer: str, purpose: Purpose, bits: bytes, valid_from: datetime, valid_until: datetime, ttl_ms: int
) -> dict[str, object]:
    """Return the unsigned BitstringStatusListCredential (BSL 1.0, section 2.2) to be served at `url`."""
    return {
        "@context": list(PLAIN_PROFILE),
        "id": url,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": issuer,
        "validFrom": format_timestamp(valid_from),
        "validUntil": format_timestamp(valid_until),
        "credentialSubject": {
            "id": f"{url}#list",
            "type": "BitstringStatusList",
            "statusPurpose": purpose,
            "encodedList": encode_list(bits),
            "ttl": ttl_ms,
        },
    }


def verify_status_list(
    document: Mapping[str, object], *, expected_url: str, trusted_issuers: TrustedIssuers, now: datetime
) -> VerifiedStatusList:
    """Return the believed list: right address, trusted issuer, its own proof, current (BSL 1.0, section 3.2; VCX-10).

    Raises: BadCredential, UntrustedIssuer, WrongIssuer, Expired, NotYetValid and what `verify_proof` raises.
    """
    names = frozenset({"@context", "id", "type", "issuer", "validFrom", "validUntil", "credentialSubject", "proof"})
    closed.members(document, "status list credential", required=names)
    closed.constant(document["@context"], "@context", PLAIN_PROFILE)
    closed.constant(document["type"], "type", ["VerifiableCredential", "BitstringStatusListCredential"])
    closed.constant(document["id"], "status list id", expected_url)
    issuer = closed.uri(document["issuer"], "issuer")
    trusted_issuers.require_status(issuer, expected_url)
    verified = verify_proof(document, expected_purpose="assertionMethod", now=now, documents=trusted_issuers.documents)
    closed.constant(verified.document["@context"], "signed @context", PLAIN_PROFILE)
    if verified.controller != issuer:
        raise WrongIssuer(f"the list of {issuer} is signed by {verified.controller}")
    return _read_list(verified.document, expected_url, issuer, now)


def _read_list(document: Mapping[str, object], url: str, issuer: str, now: datetime) -> VerifiedStatusList:
    period = parse_period(document)
    period.require_current(now, "the status list")
    names = frozenset({"type", "statusPurpose", "encodedList"})
    subject = closed.members(
        document["credentialSubject"], "status list", required=names, optional=frozenset({"id", "ttl"})
    )
    closed.constant(subject["type"], "status list type", "BitstringStatusList")
    ttl = closed.whole(subject.get("ttl", MAX_TTL_MS), "ttl", least=0, most=2**53 - 1)
    return VerifiedStatusList(
        url=url,
        issuer=issuer,
        purpose=_purpose(subject["statusPurpose"]),
        bits=decode_list(subject["encodedList"]),
        valid_until=period.end,
        ttl=timedelta(milliseconds=min(ttl, MAX_TTL_MS)),
    )


def _parse_entry(value: object) -> StatusEntry:
    names = frozenset({"type", "statusPurpose", "statusListIndex", "statusListCredential"})
    entry = closed.members(value, "status entry", required=names, optional=frozenset({"id"}))
    closed.constant(entry["type"], "status entry type", "BitstringStatusListEntry")
    url = closed.uri(entry["statusListCredential"], "statusListCredential")
    if "id" in entry and closed.uri(entry["id"], "status entry id") == url:
        raise BadCredential("a status entry has the id of its list")
    index = parse_index(entry["statusListIndex"])
    if index > MAX_INDEX:
        raise BadCredential("statusListIndex is larger than any list")
    return StatusEntry(list_url=url, index=index, purpose=_purpose(entry["statusPurpose"]))


def _purpose(value: object) -> Purpose:
    if value == "revocation":
        return "revocation"
    if value == "suspension":
        return "suspension"
    raise BadCredential(f"status purpose {str(value)[:40]!r} is not one of {', '.join(sorted(PURPOSES))}")
