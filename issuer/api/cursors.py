"""Opaque cursors of lists: where a page ended, for one organisation and one question, authenticated (WEB-07)."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from did_agent.encoding import base64url
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import InvalidParameter, Malformed
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import private_jwk

_MAC: Final = 16  # bytes
_MAX: Final = 1_024  # characters of a cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursors:
    """Makes and reads cursors; one made for another tenant or question is refused like one made up."""

    key: bytes = field(repr=False)

    @classmethod
    def of(cls, key: SigningKey) -> Cursors:
        """Return the cursors of an issuer; replicas with its key read each other's (KEY-04: derived, used for this)."""
        secret = str(private_jwk(key)["d"]).encode()
        return cls(key=hmac.digest(secret, b"did-agent issuer cursors v1", sha256))

    def make(self, position: Sequence[str | int], *, organisation: str, query: Mapping[str, str | None]) -> str:
        """Return the cursor for what comes after `position`, the sort keys of the last row shown."""
        body = json.dumps({"p": list(position)}, separators=(",", ":")).encode()
        return base64url.encode(self._mac(body, organisation, query) + body)

    def read(self, cursor: str, *, organisation: str, query: Mapping[str, str | None]) -> list[str | int]:
        """Return the position a cursor stands for.

        Raises: InvalidParameter.
        """
        try:
            if len(cursor) > _MAX:
                raise InvalidParameter("after: no cursor of this list")
            raw = base64url.decode(cursor)
            mac, body = raw[:_MAC], raw[_MAC:]
            if not hmac.compare_digest(mac, self._mac(body, organisation, query)):
                raise InvalidParameter("after: no cursor of this list")
            position = parse_object(body)["p"]
        except (Malformed, KeyError) as error:
            raise InvalidParameter("after: no cursor of this list") from error
        if not isinstance(position, list):
            raise InvalidParameter("after: no cursor of this list")
        return position

    def _mac(self, body: bytes, organisation: str, query: Mapping[str, str | None]) -> bytes:
        asked = {name: value for name, value in query.items() if value is not None}
        bound = json.dumps([organisation, sorted(asked.items())], separators=(",", ":")).encode()
        return hmac.digest(self.key, sha256(bound).digest() + body, sha256)[:_MAC]
