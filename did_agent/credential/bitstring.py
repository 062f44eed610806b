"""Bitstring Status List v1.0: every purpose and entry size, judged on a list credential that was verified before."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from did_agent.credential import closed
from did_agent.credential.validity import FUTURE_SKEW
from did_agent.encoding import base64url
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import (
    BadCredential,
    BadEncoding,
    DidAgentError,
    Expired,
    Malformed,
    NotYetValid,
    Revoked,
    StatusIndexOutOfRange,
    StatusListTooShort,
    StatusNotVerified,
    StatusUnavailable,
    Suspended,
    Unavailable,
    UntrustedIssuer,
    VerificationError,
    WrongIssuer,
)

MIN_ENTRIES: Final = 131_072  # so that one index says little about its holder (BSL 1.0, 6.1)
MIN_LIST_BYTES: Final = MIN_ENTRIES // 8  # with one bit for each entry
MAX_LIST_BYTES: Final = 16_777_216  # after decompression; 348 KB of text can claim 256 MiB
MAX_LIST_TEXT: Final = 2_097_152  # characters of `encodedList`
MAX_STATUS_SIZE: Final = 8  # bits of one entry; 256 messages fill a credential already
MAX_PURPOSES: Final = 8  # of one list
MAX_REFERENCES: Final = 8  # URLs of `statusReference`
MAX_WORDS: Final = 256  # characters of a purpose or a message
MAX_TTL_MS: Final = 300_000  # a cached list is never believed longer than this (VCX-10)
IN_HAND: Final = timedelta(seconds=5)  # between fetching and judging; a list with `ttl` 0 is used once, not never

GZIP_LEVEL: Final = 6  # the highest takes up to sixteen times as long and saves a tenth at most
GZIP: Final = 31  # `wbits` of zlib: one member with header and checksum (RFC 1952)
ZLIB: Final = 15  # the same for the ZLIB format (RFC 1950)

# The error types of BSL 1.0, 3.5, and VCDM 2.0, 7.1.  The first class that fits wins, so leaves stand before families.
ERROR_TYPES: Final[Mapping[type[DidAgentError], str]] = {
    StatusListTooShort: "https://www.w3.org/ns/credentials/status-list#STATUS_LIST_LENGTH_ERROR",
    StatusIndexOutOfRange: "https://www.w3.org/TR/vc-data-model#RANGE_ERROR",
    Malformed: "https://www.w3.org/TR/vc-data-model#MALFORMED_VALUE_ERROR",
    VerificationError: "https://www.w3.org/ns/credentials/status-list#STATUS_VERIFICATION_ERROR",
    Unavailable: "https://www.w3.org/ns/credentials/status-list#STATUS_RETRIEVAL_ERROR",
}

# ASCII digits alone and one text for each number.  A number beyond every list is out of range, not malformed.
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,63}")
_HEXADECIMAL: Final = re.compile(r"0x[0-9A-Fa-f]{1,4}")
_UNSET_AND_SET: Final = ("unset", "set")  # what 0 and 1 mean where the entry does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class BitstringEntry:
    """Where one status of a credential is to be found, and what its values mean (BSL 1.0, 2.1)."""

    list_url: str
    index: int
    purpose: str
    size: int  # bits
    messages: tuple[str, ...]  # by value; 2 to the power of `size`
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BitstringList:
    """What a verified list credential says (BSL 1.0, 2.2); nobody has asked yet whether its issuer may say it."""

    url: str
    issuer: str
    purposes: tuple[str, ...]
    bits: bytes
    size: int | None  # bits of an entry, where the list states it
    valid_from: datetime | None
    valid_until: datetime | None
    fetched_at: datetime
    ttl: timedelta

    def require_current(self, now: datetime) -> None:
        """Return when the list is in its validity period and was fetched recently enough.

        Raises: NotYetValid, Expired, StatusUnavailable when the copy is older than its `ttl` or five minutes.
        """
        if self.valid_until is not None and now >= self.valid_until:
            raise Expired(f"the status list ended {self.valid_until:%FT%TZ}")
        if self.valid_from is not None and now + FUTURE_SKEW < self.valid_from:
            raise NotYetValid(f"the status list starts {self.valid_from:%FT%TZ}")
        # A copy from the future is as unknown as an old one.
        if not -FUTURE_SKEW <= now - self.fetched_at <= max(self.ttl, IN_HAND):
            raise StatusUnavailable(f"the copy of {self.url} is stale")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusResult:
    """The answer of the algorithm in BSL 1.0, 3.2."""

    purpose: str
    status: int
    valid: bool
    message: str | None = None  # for developers; of the purpose `message` alone

    def require_valid(self) -> None:
        """Return when this status does not end the credential; `refresh` never does, an unknown purpose does.

        Raises: Revoked, Suspended, StatusNotVerified.
        """
        if self.valid or self.purpose == "refresh":
            return
        if self.purpose == "revocation":
            raise Revoked("the credential is revoked")
        if self.purpose == "suspension":
            raise Suspended("the credential is suspended")
        raise StatusNotVerified(f"the status of purpose {self.purpose[:40]!r} is set")


def error_type(error: DidAgentError) -> str:
    """Return the URL of the standards' error type for whatever a check of a status raised."""
    return next((name for kind, name in ERROR_TYPES.items() if isinstance(error, kind)), ERROR_TYPES[VerificationError])


# ---- the algorithm


def check_entry(
    entry: object,
    list_document: Mapping[str, object] | None,
    *,
    list_controller: str,
    fetched_at: datetime,
    credential_issuer: str,
    publishers: frozenset[str] = frozenset(),
    now: datetime,
) -> StatusResult:
    """Return the status that one `credentialStatus` entry names (BSL 1.0, 3.2; VCX-10).

    `list_document` is what was secured in a list credential whose proof or signature has been verified, in whatever
    form; None says that it could not be had.  `list_controller` is the DID whose key secured it.  `publishers` are
    issuers that may keep the status of other issuers' credentials.
    Raises: StatusUnavailable, StatusNotVerified, UntrustedIssuer, WrongIssuer, Expired, NotYetValid,
    StatusListTooShort, StatusIndexOutOfRange, BadCredential, BadTimestamp; `error_type` gives their type.
    """
    wanted = parse_entry(entry)
    if list_document is None:
        raise StatusUnavailable(f"the status list {wanted.list_url} cannot be had")
    found = read_list(
        list_document, expected_url=wanted.list_url, list_controller=list_controller, fetched_at=fetched_at
    )
    return judge_entry(wanted, found, credential_issuer=credential_issuer, publishers=publishers, now=now)


def parse_entry(value: object) -> BitstringEntry:
    """Return one entry of `credentialStatus`; members of other vocabularies do not change its meaning.

    Raises: BadCredential.
    """
    if not isinstance(value, dict):
        raise BadCredential("a status entry is not an object")
    closed.constant(value.get("type"), "status entry type", "BitstringStatusListEntry")
    url = closed.uri(value.get("statusListCredential"), "statusListCredential")
    if "id" in value and closed.uri(value["id"], "status entry id") == url:
        raise BadCredential("a status entry has the id of its list")
    size = closed.whole(value.get("statusSize", 1), "statusSize", least=1, most=MAX_STATUS_SIZE)
    return BitstringEntry(
        list_url=url,
        index=parse_index(value.get("statusListIndex")),
        purpose=closed.text(value.get("statusPurpose"), "statusPurpose", max_chars=MAX_WORDS),
        size=size,
        messages=_messages(value.get("statusMessage"), size) if "statusMessage" in value else _unwritten(size),
        references=_strings(value["statusReference"], "statusReference") if "statusReference" in value else (),
    )


def parse_index(value: object) -> int:
    """Return the number that `statusListIndex` writes in base 10.

    Raises: BadCredential.
    """
    if not isinstance(value, str) or not _INDEX.fullmatch(value):
        raise BadCredential("statusListIndex is not a decimal string")
    return int(value)


def read_list(
    document: Mapping[str, object], *, expected_url: str, list_controller: str, fetched_at: datetime
) -> BitstringList:
    """Return what a verified list credential says; read it once, judge many entries on it.

    Raises: BadCredential, BadTimestamp, StatusNotVerified, WrongIssuer.
    """
    _require_type(document)
    # Otherwise another list of the same issuer, served here, could un-revoke (VCX-10).
    if closed.uri(document.get("id"), "status list id") != expected_url:
        raise StatusNotVerified("the status list has another id than the URL it was asked from")
    # A list that could be revoked would have to be asked for in turn, without end.
    if "credentialStatus" in document:
        raise StatusNotVerified("the status list names a status itself")
    issuer = _issuer(document.get("issuer"))
    if issuer != list_controller:
        raise WrongIssuer(f"the list of {issuer} is secured by {list_controller}")
    subject = document.get("credentialSubject")
    if not isinstance(subject, dict):
        raise BadCredential("the status list is not one object")
    closed.constant(subject.get("type"), "status list type", "BitstringStatusList")
    ttl = closed.whole(subject.get("ttl", MAX_TTL_MS), "ttl", least=0, most=2**53 - 1)
    size = subject.get("statusSize")
    return BitstringList(
        url=expected_url,
        issuer=issuer,
        purposes=_strings(subject.get("statusPurpose"), "statusPurpose", most=MAX_PURPOSES, uris=False),
        bits=decode(subject.get("encodedList")),
        size=None if size is None else closed.whole(size, "statusSize", least=1, most=MAX_STATUS_SIZE),
        valid_from=parse_timestamp(document["validFrom"]) if "validFrom" in document else None,
        valid_until=parse_timestamp(document["validUntil"]) if "validUntil" in document else None,
        fetched_at=fetched_at,
        ttl=timedelta(milliseconds=min(ttl, MAX_TTL_MS)),
    )


def judge_entry(
    entry: BitstringEntry,
    found: BitstringList,
    *,
    credential_issuer: str,
    publishers: frozenset[str] = frozenset(),
    now: datetime,
) -> StatusResult:
    """Return the status of `entry` in the list it names.

    Raises: StatusNotVerified, UntrustedIssuer, Expired, NotYetValid, StatusUnavailable, StatusListTooShort,
    StatusIndexOutOfRange.
    """
    if entry.list_url != found.url:
        raise StatusNotVerified("the entry names another list")
    # A stranger's list could un-revoke whatever it likes.
    if found.issuer != credential_issuer and found.issuer not in publishers:
        raise UntrustedIssuer(f"{found.issuer} may not keep the status of what {credential_issuer} issued")
    found.require_current(now)
    if entry.purpose not in found.purposes:
        raise StatusNotVerified("the list has another purpose than the entry")
    if found.size is not None and found.size != entry.size:
        raise StatusNotVerified("the list has entries of another size")
    if len(found.bits) * 8 // entry.size < MIN_ENTRIES:
        raise StatusListTooShort(f"the status list has fewer than {MIN_ENTRIES} entries")
    status = value_at(found.bits, entry.index, size=entry.size)
    message = entry.messages[status] if entry.purpose == "message" else None
    return StatusResult(purpose=entry.purpose, status=status, valid=status == 0, message=message)


# ---- the bits


def encode(bits: bytes) -> str:
    """Return `encodedList`: multibase base64url of the gzipped bitstring.

    Raises: BadCredential when no reader would take it.
    """
    if len(bits) > MAX_LIST_BYTES:
        raise BadCredential(f"a status list of more than {MAX_LIST_BYTES} bytes")
    text = "u" + base64url.encode(gzip.compress(bits, GZIP_LEVEL, mtime=0))
    if len(text) > MAX_LIST_TEXT:
        raise BadCredential(f"encodedList is longer than {MAX_LIST_TEXT} characters")
    return text


def decode(text: object) -> bytes:
    """Return the bitstring behind `encodedList`: bounded, one gzip member, nothing after it.

    Raises: BadCredential.
    """
    if not isinstance(text, str) or not text.startswith("u") or len(text) > MAX_LIST_TEXT:
        raise BadCredential("encodedList is not multibase base64url, or too long")
    try:
        return inflate(base64url.decode(text[1:]), GZIP)
    except BadEncoding as error:
        raise BadCredential("encodedList is not canonical base64url of one whole gzip member") from error


def inflate(raw: bytes, wbits: int) -> bytes:
    """Return what `raw` expands to, at most MAX_LIST_BYTES; a bomb costs no more than that.

    Raises: BadEncoding when it is larger, cut off, damaged or followed by anything.
    """
    unzip = zlib.decompressobj(wbits=wbits)
    try:
        bits = unzip.decompress(raw, MAX_LIST_BYTES + 1)
    except zlib.error as error:
        raise BadEncoding("not compressed as it should be") from error
    if len(bits) > MAX_LIST_BYTES or not unzip.eof or unzip.unused_data:
        raise BadEncoding("too large, cut off or followed by other bytes")
    return bits


def value_at(bits: bytes, index: int, *, size: int = 1) -> int:
    """Return the value of the entry at `index`; its first bit is the most significant one (BSL 1.0, 2.2).

    Raises: StatusIndexOutOfRange.
    """
    first = index * size
    if index < 0 or first + size > len(bits) * 8:
        raise StatusIndexOutOfRange("the status list index is outside the list")
    last = first + size - 1
    window = int.from_bytes(bits[first >> 3 : (last >> 3) + 1], "big")
    return (window >> (7 - (last & 7))) & ((1 << size) - 1)


def with_value(bits: bytes, index: int, value: int, *, size: int = 1) -> bytes:
    """Return `bits` with the entry at `index` set to `value`.

    Raises: StatusIndexOutOfRange, BadCredential when the entry is too small for the value.
    """
    if not 0 <= value < 1 << size:
        raise BadCredential(f"an entry of {size} bits cannot hold {value}")
    difference = value_at(bits, index, size=size) ^ value
    changed = bytearray(bits)
    for place in range(size):
        position = index * size + place
        changed[position >> 3] ^= ((difference >> (size - 1 - place)) & 1) << (7 - (position & 7))
    return bytes(changed)


# ---- members


def _require_type(document: Mapping[str, object]) -> None:
    types = document.get("type")
    wanted = ("VerifiableCredential", "BitstringStatusListCredential")
    if not isinstance(types, list) or not all(name in types for name in wanted):
        raise BadCredential("the document is not a BitstringStatusListCredential")


def _issuer(value: object) -> str:
    return closed.uri(value.get("id") if isinstance(value, dict) else value, "issuer of the status list")


def _strings(value: object, where: str, *, most: int = MAX_REFERENCES, uris: bool = True) -> tuple[str, ...]:
    listed = closed.array(value if isinstance(value, list) else [value], where, least=1, most=most)
    if uris:
        return tuple(closed.uri(item, where) for item in listed)
    return tuple(closed.text(item, where, max_chars=MAX_WORDS) for item in listed)


def _unwritten(size: int) -> tuple[str, ...]:
    if size > 1:
        raise BadCredential("statusMessage is required when statusSize is more than 1")
    return _UNSET_AND_SET


def _messages(value: object, size: int) -> tuple[str, ...]:
    listed = closed.array(value, "statusMessage", least=1 << size, most=1 << size)
    found: dict[int, str] = {}
    for item in listed:
        status = item.get("status") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(status, str) or not _HEXADECIMAL.fullmatch(status):
            raise BadCredential("a status message has no hexadecimal status")
        found[int(status, 16)] = closed.text(item.get("message"), "status message", max_chars=MAX_WORDS)
    # As many as there are values, each different and none too large: then every value has its message.
    if len(found) != len(listed) or max(found) >= 1 << size:
        raise BadCredential("statusMessage does not give each value one message")
    return tuple(found[status] for status in range(1 << size))
