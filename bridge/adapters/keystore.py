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

from bridge.model.keys import SigningAlgorithm
from did_agent.adapters.sealing import FILE, Vault, identity_file, open_vault
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import DidAgentError, KeysUnavailable, WrongKey
from did_agent.keys import ecdsa, ed25519, rsa
from did_agent.keys.jwk import parse_private_jwk, private_jwk, public_jwk
from did_agent.keys.public import SigningKey

__all__ = ["FILE", "AgeKeystore"]


class AgeKeystore:
    """Implements `bridge.ports.keys.KeyProvider`."""

    name = "age"

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    @classmethod
    def at(cls, folder: Path, *, passphrase: str | None) -> AgeKeystore:
        """Return the keystore whose identity lies in `folder`, or where the environment says; made on first use.

        Raises: Misconfigured for a file that others can read, a wrong passphrase, or one that is missing.
        """
        return cls(open_vault(identity_file(folder), passphrase=passphrase, create=True))

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
        return base64.b64encode(self._vault.seal(json.dumps(secret).encode())).decode()

    def open(self, sealed: str, public: Mapping[str, object]) -> SigningKey:
        """Return the key behind its sealed form.

        Raises: KeysUnavailable when it was sealed for another identity, WrongKey when it is not the half of `public`.
        """
        try:
            secret = parse_object(self._vault.open(base64.b64decode(sealed, validate=True)))
            key = _key(secret)
        except (binascii.Error, DidAgentError) as error:
            raise KeysUnavailable("a signing key was sealed for another keystore") from error
        if public_jwk(key.public) != {name: public.get(name) for name in public_jwk(key.public)}:
            raise WrongKey("what is sealed is not the private half of the recorded key")
        return key


def _key(secret: Mapping[str, object]) -> SigningKey:
    if secret.get("kty") == "RSA":
        return rsa.SigningKey.from_secret(base64.b64decode(str(secret.get("pkcs8")), validate=True))
    return parse_private_jwk(secret)
