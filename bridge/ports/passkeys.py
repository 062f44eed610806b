"""Passkeys as the bridge stores them, and the judgement of what browsers answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from bridge.model.passkeys import Passkey, PasskeyAnswer


class NewKey(NamedTuple):
    """A key a device has made."""

    id: str
    public_key: str
    signatures: int


class Authenticator(Protocol):
    """Judges signatures for one relying party, with user verification always. Raises: BadSignature."""

    def registered(self, answer: PasskeyAnswer) -> NewKey: ...

    # The new signature count, which is above the old one where the device counts at all.
    def signed_in(self, answer: PasskeyAnswer, passkey: Passkey) -> int: ...


class Passkeys(Protocol):
    """The stored side, part of every transaction."""

    async def passkey(self, passkey_id: str) -> Passkey | None: ...
    async def passkeys(self, username: str) -> Sequence[Passkey]: ...
    async def add_passkey(self, passkey: Passkey) -> bool: ...  # False when the id is known already
    async def remove_passkey(self, username: str, passkey_id: str) -> bool: ...

    # True when `count` is still new: of two answers with the same count one is a copy's.
    async def use_passkey(self, passkey_id: str, *, count: int, now: datetime) -> bool: ...
