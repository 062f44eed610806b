"""Secrets sealed with age (age-encryption.org/v1), as text: for whoever asked for them, and our own (KEY-01)."""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

import pyrage

from did_agent.adapters.sealing import vault_of
from did_agent.errors import InvalidParameter, KeysUnavailable, Misconfigured


class AgeSealer:
    """Implements `issuer.ports.enrolment.Sealer`."""

    async def seal(self, secret: bytes, *, recipient: str | None, passphrase: str | None) -> str:
        """Return the sealed secret as text.  Raises: InvalidParameter for no recipient."""
        if passphrase is not None:
            # The passphrase is stretched for about a second; others are served meanwhile.
            sealed = await asyncio.to_thread(pyrage.passphrase.encrypt, secret, passphrase, armored=True)
        else:
            try:
                sealed = pyrage.encrypt(secret, [pyrage.x25519.Recipient.from_str(recipient or "")], armored=True)
            except pyrage.RecipientError as error:
                raise InvalidParameter("recipient: an age X25519 recipient, as `age-keygen` prints it") from error
        return str(bytes(sealed), "ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKeys:
    """Implements `issuer.ports.keys.KeySealer` by the identity of a folder of keys, which is made on first use."""

    folder: Path

    def seal(self, secret: bytes) -> str:
        """Return the sealed form.  Raises: KeysUnavailable."""
        try:
            return base64.b64encode(vault_of(self.folder, create=True).seal(secret)).decode()
        except Misconfigured as error:
            raise KeysUnavailable(error.detail) from error

    def open(self, sealed: str) -> bytes:
        """Return the secret.  Raises: KeysUnavailable."""
        try:
            return vault_of(self.folder).open(base64.b64decode(sealed, validate=True))
        except (Misconfigured, binascii.Error) as error:
            raise KeysUnavailable("a key was sealed for an identity that is not here") from error
