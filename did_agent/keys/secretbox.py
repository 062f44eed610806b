"""Small secrets sealed with a key of 32 bytes: XSalsa20-Poly1305 as libsodium's secretbox has it."""

from __future__ import annotations

from typing import Final

from nacl.bindings import crypto_secretbox, crypto_secretbox_NONCEBYTES, crypto_secretbox_open, randombytes
from nacl.exceptions import CryptoError

from did_agent.errors import BadKey

KEY_BYTES: Final = 32


def seal_box(key: bytes, plain: bytes) -> bytes:
    """Return `plain` encrypted and authenticated under a random nonce of 24 bytes, which comes first; 40 bytes longer.

    Raises: BadKey for a key of another length.
    """
    nonce = randombytes(crypto_secretbox_NONCEBYTES)
    return nonce + crypto_secretbox(plain, nonce, _whole(key))


def open_box(key: bytes, sealed: bytes) -> bytes:
    """Return what was sealed with the key.

    Raises: BadKey for another key, and for anything that was changed.
    """
    nonce, box = sealed[:crypto_secretbox_NONCEBYTES], sealed[crypto_secretbox_NONCEBYTES:]
    try:
        return crypto_secretbox_open(box, nonce, _whole(key))
    except (CryptoError, ValueError) as error:
        raise BadKey("what was sealed does not open with this key") from error


def _whole(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise BadKey(f"a key of {len(key)} bytes, not {KEY_BYTES}")
    return key
