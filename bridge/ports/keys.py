"""Where signing keys lie, and the records of them, part of every transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from bridge.model.keys import SigningAlgorithm, SigningKeyRecord
from did_agent.keys.public import SigningKey


class KeyProvider(Protocol):
    """Makes private keys and keeps them from everybody else. Raises: KeysUnavailable."""

    @property
    def name(self) -> str: ...

    # A fresh key and its sealed form.
    def create(self, algorithm: SigningAlgorithm) -> tuple[SigningKey, str]: ...

    # A key that was made elsewhere; StateConflict where keys never come in from outside.
    def seal(self, key: SigningKey) -> str: ...

    # WrongKey when what is sealed is not the private half of `public`.
    def open(self, sealed: str, public: Mapping[str, object]) -> SigningKey: ...


class SigningKeys(Protocol):
    """Records of signing keys; they are never deleted."""

    async def signing_keys(self) -> Sequence[SigningKeyRecord]: ...

    # False when the key, or one of its algorithm and generation, is there already.
    async def add_signing_key(self, record: SigningKeyRecord) -> bool: ...

    # False when the record is no longer as it was `before`.
    async def move_signing_key(self, before: SigningKeyRecord, after: SigningKeyRecord) -> bool: ...
