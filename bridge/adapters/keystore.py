"""Private signing keys sealed with age (https://age-encryption.org/v1), the default provider (KEY-01).

What a database backup, a replica or a reader of the tables gets is sealed.  The identity that opens it is a file beside
the data, of mode 0600, or the same file sealed by a passphrase that the operator gives at every start.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pyrage

from bridge.model.keys import SigningAlgorithm
from did_agent.adapters.keystore import write_private
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import DidAgentError, KeysUnavailable, Misconfigured, WrongKey
from did_agent.keys import ecdsa, ed25519, rsa
from did_agent.keys.jwk import parse_private_jwk, private_jwk, public_jwk
from did_agent.keys.public import SigningKey

FILE: Final = "keystore.age-identity"
_SEALED: Final = b"age-encryption.org/v1"
_MAX_FILE: Final = 8_192  # bytes


class AgeKeystore:
    """Implements `bridge.ports.keys.KeyProvider`."""

    name = "age"

    def __init__(self, identity: pyrage.x25519.Identity) -> None:
        self._identity = identity

    @classmethod
    def at(cls, folder: Path, *, passphrase: str | None) -> AgeKeystore:
        """Return the keystore whose identity lies in `folder`, made on first use.

        Raises: Misconfigured for a file that others can read, a wrong passphrase, or one that is missing.
        """
        path = folder / FILE
        if not path.exists():
            _write(path, pyrage.x25519.Identity.generate(), passphrase)
        if path.stat().st_mode & 0o077:
            raise Misconfigured(f"{path} is readable by others; run: chmod 600 {path}")
        content = path.read_bytes()[:_MAX_FILE]
        if (passphrase is not None) != content.startswith(_SEALED):
            state = (
                "has no passphrase yet: seal it with `age -p`" if passphrase else "is sealed: its passphrase is needed"
            )
            raise Misconfigured(f"{path} {state}")
        try:
            opened = content if passphrase is None else pyrage.passphrase.decrypt(content, passphrase)
            return cls(pyrage.x25519.Identity.from_str(opened.decode("ascii").strip()))
        except (pyrage.DecryptError, pyrage.IdentityError, UnicodeDecodeError) as error:
            raise Misconfigured(f"{path} cannot be opened: wrong passphrase, or not an age identity") from error

    def create(self, algorithm: SigningAlgorithm) -> tuple[SigningKey, str]:
        """Return a fresh key and its sealed form."""
        key: SigningKey
        if algorithm == "EdDSA":
            key = ed25519.SigningKey.generate()
        else:
            key = rsa.SigningKey.generate() if algorithm == "RS256" else ecdsa.SigningKey.generate("P-256")
        return key, self.seal(key)

    def seal(self, key: SigningKey) -> str:
        """Return the sealed form of a key."""
        if isinstance(key, rsa.SigningKey):
            secret: Mapping[str, object] = {"kty": "RSA", "pkcs8": base64.b64encode(key.secret()).decode()}
        else:
            secret = private_jwk(key)
        return base64.b64encode(pyrage.encrypt(json.dumps(secret).encode(), [self._identity.to_public()])).decode()

    def open(self, sealed: str, public: Mapping[str, object]) -> SigningKey:
        """Return the key behind its sealed form.

        Raises: KeysUnavailable when it was sealed for another identity, WrongKey when it is not the half of `public`.
        """
        try:
            secret = parse_object(pyrage.decrypt(base64.b64decode(sealed, validate=True), [self._identity]))
            key = _key(secret)
        except (pyrage.DecryptError, binascii.Error, DidAgentError) as error:
            raise KeysUnavailable("a signing key was sealed for another keystore") from error
        if public_jwk(key.public) != {name: public.get(name) for name in public_jwk(key.public)}:
            raise WrongKey("what is sealed is not the private half of the recorded key")
        return key


def _key(secret: Mapping[str, object]) -> SigningKey:
    if secret.get("kty") == "RSA":
        return rsa.SigningKey.from_secret(base64.b64decode(str(secret.get("pkcs8")), validate=True))
    return parse_private_jwk(secret)


def _write(path: Path, identity: pyrage.x25519.Identity, passphrase: str | None) -> None:
    content = str(identity).encode() + b"\n"
    try:
        sealed = content if passphrase is None else pyrage.passphrase.encrypt(content, passphrase)
        write_private(path, sealed, replace=False)
    except FileExistsError:
        return  # another process was first
    except OSError as error:
        raise Misconfigured(f"cannot write {path}: {error.strerror}") from error
