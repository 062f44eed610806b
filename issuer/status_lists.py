"""Status lists as bits: read from flips, signed as Bitstring Status Lists v1.0 and as a Token Status List."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from did_agent.credential.issuance import issue
from did_agent.credential.status import (
    MAX_LIST_BYTES,
    MIN_LIST_BYTES,
    Purpose,
    StatusEntry,
    build_status_list_credential,
)
from did_agent.credential.token_status import issue_status_list_token
from did_agent.did.key import did_key, verification_method
from did_agent.errors import Misconfigured
from did_agent.keys.ed25519 import SigningKey
from issuer.model.status import Flip, Place

LIST_SIZE: Final = MIN_LIST_BYTES * 8  # places: the least that Bitstring Status List allows, for privacy in the herd
MAX_LIST_SIZE: Final = min(MAX_LIST_BYTES * 8, 4_194_304)  # places; half a megabyte is what verifiers still fetch
HANDED_OUT: Final = 0.75  # of a list; nobody holds the others, so that no index is known to be anybody's
LIST_LIFE: Final = timedelta(minutes=5)  # validity of a signed list
LIST_TTL: Final = timedelta(seconds=30)  # how long others may keep it
PURPOSES: Final[tuple[Purpose, Purpose]] = ("revocation", "suspension")


def require_size(size: int) -> int:
    """Return how many places of a list of `size` are handed out.

    Raises: Misconfigured.
    """
    if not LIST_SIZE <= size <= MAX_LIST_SIZE or size % 8:
        raise Misconfigured(f"STATUS_LIST_SIZE: a multiple of 8 from {LIST_SIZE} to {MAX_LIST_SIZE}")
    return int(size * HANDED_OUT)


def list_url(issuer_url: str, purpose: str, number: int) -> str:
    """Return where a status list is served."""
    return f"{issuer_url}/status-lists/{purpose}/{number}"


def token_list_url(issuer_url: str, number: int) -> str:
    """Return where both lists of a number are served as one Token Status List, for SD-JWT credentials."""
    return f"{issuer_url}/token-status-lists/{number}"


def entries_of(place: Place, issuer_url: str) -> tuple[StatusEntry, ...]:
    """Return what a credential says of its place."""
    return tuple(
        StatusEntry(list_url=list_url(issuer_url, purpose, place.list_number), index=place.index, purpose=purpose)
        for purpose in PURPOSES
    )


@dataclass(slots=True)
class Bits:
    """The bits of one pair of lists, the first one left-most as Bitstring Status List has it."""

    revocation: bytearray
    suspension: bytearray

    @classmethod
    def clear(cls, size: int) -> Bits:
        """Return lists in which nothing is set."""
        return cls(bytearray(size // 8), bytearray(size // 8))

    def of(self, purpose: Purpose) -> bytearray:
        """Return the bits of one list."""
        return self.revocation if purpose == "revocation" else self.suspension

    def apply(self, flips: Iterable[Flip]) -> None:
        """Set and clear what was flipped; applying a flip twice changes nothing."""
        both = {"revocation": self.revocation, "suspension": self.suspension}
        for _, purpose, index, value in flips:
            bits, mask = both[purpose], 0x80 >> (index & 7)
            if value:
                bits[index >> 3] |= mask
            else:
                bits[index >> 3] &= ~mask & 0xFF


def window_of(now: datetime) -> datetime:
    """Return the moment from which a list that is built now says it is valid: the same for half a `LIST_TTL`."""
    # Otherwise its ETag would change with every second and every replica, and no cache were told "not modified".
    return now - timedelta(seconds=now.timestamp() % (LIST_TTL.total_seconds() / 2))


def sign_list(
    bits: bytes | bytearray, *, purpose: Purpose, number: int, key: SigningKey, issuer_url: str, now: datetime
) -> dict[str, object]:
    """Return the signed list credential; the same bytes whoever builds it within half a `LIST_TTL`."""
    begins = window_of(now)
    document = build_status_list_credential(
        url=list_url(issuer_url, purpose, number),
        issuer=did_key(key.public),
        purpose=purpose,
        bits=bytes(bits),
        valid_from=begins,
        valid_until=begins + LIST_LIFE,
        ttl_ms=int(LIST_TTL.total_seconds() * 1000),
    )
    return issue(document, key, now=begins)


def sign_token_list(bits: Bits, *, number: int, key: SigningKey, issuer_url: str, now: datetime) -> str:
    """Return both lists as one Token Status List of two bits: 1 is revoked, 2 is suspended, revoked counts first.

    Raises: TooLarge when no reader would take it.
    """
    begins, did = window_of(now), did_key(key.public)
    return issue_status_list_token(
        uri=token_list_url(issuer_url, number),
        statuses=_paired(bits),
        bits=2,
        key=key,
        kid=verification_method(did),
        issuer=did,
        issued_at=begins,
        expires=begins + LIST_LIFE,
        ttl=int(LIST_TTL.total_seconds()),
    )


def _paired(bits: Bits) -> bytes:
    # A byte of each list, first place left-most, becomes two bytes of pairs, first place in the lowest bits.
    out = bytearray(len(bits.revocation) * 2)
    for place, (revoked, suspended) in enumerate(zip(bits.revocation, bits.suspension, strict=True)):
        if revoked or suspended:
            both = _SPREAD[revoked] | (_SPREAD[suspended & ~revoked] << 1)
            out[place * 2], out[place * 2 + 1] = both & 0xFF, both >> 8
    return bytes(out)


def _spread(byte: int) -> int:
    return sum(1 << (2 * bit) for bit in range(8) if byte & (0x80 >> bit))


_SPREAD: Final = tuple(_spread(byte) for byte in range(256))
