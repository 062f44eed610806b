"""Passkey challenges, bound to one browser and one purpose and used once, and reading what browsers answer."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import struct
from datetime import datetime
from typing import Final

from bridge.model.passkeys import CEREMONY_SECONDS, PasskeyAnswer
from did_agent.clock import numeric_date
from did_agent.encoding import base64url
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import BadEncoding, BadJOSE, Malformed, WrongChallenge

RANDOM: Final = 16  # bytes
MAX_ANSWER: Final = 16_384  # characters
SIGN_IN: Final = "sign in"
ADD: Final = "add"
_TIME: Final = struct.Struct(">Q")
_MAC: Final = 32  # bytes


def can_have_passkeys(host: str) -> bool:
    """Tell whether browsers bind passkeys to a host: to names, never to addresses (WebAuthn, 5.1.3)."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(host)
    return False


def make_challenge(key: bytes, *, purpose: str, cookie: str, random: bytes, now: datetime) -> bytes:
    """Return a challenge that needs no row until it is answered."""
    body = _TIME.pack(numeric_date(now)) + random
    return body + _mac(key, body, purpose, cookie)


def require_challenge(challenge: bytes, key: bytes, *, purpose: str, cookie: str, now: datetime) -> None:
    """Return when we made the challenge for this browser and this purpose, a short while ago.

    Raises: WrongChallenge.
    """
    body = challenge[:-_MAC]
    expected = _mac(key, body, purpose, cookie)
    if len(body) != _TIME.size + RANDOM or not hmac.compare_digest(challenge[-_MAC:], expected):
        raise WrongChallenge("the challenge is not ours for this browser")
    (made,) = _TIME.unpack_from(body)
    if not 0 <= numeric_date(now) - made < CEREMONY_SECONDS:
        raise WrongChallenge("the challenge is too old")


def user_handle(key: bytes, username: str) -> str:
    """Return what devices know an account by: it tells nothing about the person (WebAuthn, 14.6.1)."""
    return base64url.encode(hmac.digest(key, f"user\n{username}".encode(), hashlib.sha256))


def read_answer(text: str) -> PasskeyAnswer:
    """Return what a browser answered, as far as it can be read.

    Raises: BadJOSE.
    """
    try:
        members = parse_object(text, max_bytes=MAX_ANSWER)
        response = members["response"]
        if not isinstance(response, dict):
            raise BadJOSE("the answer of the passkey holds no response")
        client = parse_object(base64url.decode(_text(response.get("clientDataJSON"))))
        challenge = base64url.decode(_text(client.get("challenge")))
    except (Malformed, BadEncoding, KeyError) as error:
        raise BadJOSE("the answer of the passkey cannot be read") from error
    handle = response.get("userHandle")
    return PasskeyAnswer(
        members=members,
        id=_text(members.get("id")),
        challenge=challenge,
        user_handle=None if handle is None else _text(handle),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise BadJOSE("a part of the passkey's answer is no text")
    return value


def _mac(key: bytes, body: bytes, purpose: str, cookie: str) -> bytes:
    return hmac.digest(key, f"{purpose}\n{cookie}\n".encode() + body, hashlib.sha256)
