"""Secrets sealed for whoever asked for them (age-encryption.org/v1), as text."""

from __future__ import annotations

import asyncio

import pyrage

from did_agent.errors import InvalidParameter


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
