"""Counting logins: whom a wrong password counts against, so that guessing is slow and nobody is locked out (OAU-16).

A browser that has signed in before carries a mark of that account and is counted by itself.  Strangers may use up what
strangers have; they cannot keep a person away from their own browser.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from datetime import timedelta
from typing import Final, NamedTuple

from did_agent.encoding import base64url

WINDOW: Final = timedelta(minutes=15)
PER_ACCOUNT_AND_SOURCE: Final = 10  # wrong passwords for one account from one place within the window
PER_ACCOUNT: Final = 100  # for one account from all strange browsers together
PER_SOURCE: Final = 100  # from one place, for whatever accounts
MARK_LIFE: Final = timedelta(days=90)
MARK_BYTES: Final = 16  # random bytes of a mark
_LONGEST: Final = 200  # characters of a mark that is looked at


class Bucket(NamedTuple):
    """Wrong passwords that are counted together, and how many there may be."""

    name: str
    most: int


def source_of(address: str) -> str:
    """Return the place an address stands for: itself, or the network of /64 that one IPv6 subscriber has."""
    try:
        parsed = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


def make_mark(key: bytes, username: str, *, random: bytes) -> str:
    """Return the mark of a browser that has just signed in as `username`."""
    return f"{base64url.encode(random)}.{_mac(key, username, base64url.encode(random))}"


def is_marked(mark: str | None, key: bytes, username: str) -> bool:
    """Tell whether a browser has signed in as `username` before."""
    if mark is None or len(mark) > _LONGEST:
        return False
    random, _, mac = mark.partition(".")
    return hmac.compare_digest(mac.encode(), _mac(key, username, random).encode())


def buckets(username: str, *, source: str, mark: str | None) -> tuple[Bucket, ...]:
    """Return what a wrong password counts against; `mark` is that of a browser known to be the account's."""
    if mark is not None:
        return (Bucket(f"browser {mark}", PER_ACCOUNT_AND_SOURCE), Bucket(f"source {source}", PER_SOURCE))
    return (
        Bucket(f"account {username} from {source}", PER_ACCOUNT_AND_SOURCE),
        Bucket(f"account {username}", PER_ACCOUNT),
        Bucket(f"source {source}", PER_SOURCE),
    )


def _mac(key: bytes, username: str, random: str) -> str:
    return base64url.encode(hmac.digest(key, f"{random}\n{username}".encode(), hashlib.sha256))
