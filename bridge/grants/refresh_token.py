"""`refresh_token`: the same consent again, judged anew, and a new token in place of the one shown (OAuth 2.1, 4.3).

A refresh token is a number in its family under a MAC: nothing that could be used is stored, and the successor of a
token is the same however often it is worked out.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime
from typing import Final, Literal, NamedTuple

from bridge.model import OAuthRequest
from bridge.model.refresh import GRACE, RefreshFamily
from did_agent.encoding import base64url
from did_agent.errors import BadGrant, MissingParameter
from did_agent.tokens.confirmation import Confirmation

_FORM: Final = re.compile(r"drt_([A-Za-z0-9_-]{24})\.([0-9]{1,9})\.([A-Za-z0-9_-]{43})")

Standing = Literal["newest", "repeated", "reused"]


class RefreshToken(NamedTuple):
    """What a refresh token names, its MAC checked."""

    family: str
    generation: int


def parse(request: OAuthRequest, key: bytes) -> RefreshToken:
    """Return the refresh token of a request.

    Raises: MissingParameter, BadGrant.
    """
    text = request.get("refresh_token")
    if text is None:
        raise MissingParameter("refresh_token is required")
    found = read(text, key)
    if found is None:
        raise BadGrant("not a refresh token of ours")
    return found


def read(text: str, key: bytes) -> RefreshToken | None:
    """Return what a text names if it is a refresh token of ours, of whatever generation."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    family, generation = found[1], int(found[2])
    return RefreshToken(family, generation) if hmac.compare_digest(write(family, generation, key), text) else None


def write(family: str, generation: int, key: bytes) -> str:
    """Return the refresh token of one generation of a family."""
    mac = hmac.digest(key, f"{family}.{generation}".encode(), hashlib.sha256)
    return f"drt_{family}.{generation}.{base64url.encode(mac)}"


def standing(token: RefreshToken, family: RefreshFamily, *, now: datetime) -> Standing:
    """Tell whether a token is the newest, the one before whose answer may have been lost, or an old one (TOK-11)."""
    if token.generation == family.generation:
        return "newest"
    if token.generation == family.generation - 1 and now <= family.rotated + GRACE:
        return "repeated"
    return "reused"


def require_holder(family: RefreshFamily, *, client_id: str, confirmation: Confirmation | None, now: datetime) -> None:
    """Return when the family is live and shown by its client, with its key.

    Raises: BadGrant.
    """
    if client_id != family.code.request.client_id:
        raise BadGrant("the refresh token belongs to another client")
    if family.confirmation is not None and confirmation != family.confirmation:
        raise BadGrant("the refresh token is bound to a key that was not proven")
    if not family.is_live(now):
        raise BadGrant("the refresh token has expired")
