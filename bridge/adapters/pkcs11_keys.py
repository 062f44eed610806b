"""Signing keys inside a hardware security module, by PKCS #11 (v3.0 names for EdDSA); they never leave it (KEY-01).

Needs `pip install 'did-agent[pkcs11]'`.  A module that does not answer means no new tokens, never a key from elsewhere
(KEY-05).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from bridge.model.keys import SigningAlgorithm
from did_agent.errors import KeysUnavailable, Misconfigured, StateConflict, WrongKey
from did_agent.keys import ecdsa, ed25519, rsa
from did_agent.keys.jwk import public_jwk
from did_agent.keys.public import PublicKey, SigningKey

_ED25519: Final = bytes.fromhex("06032b6570")  # OID 1.3.101.112 (RFC 8410)
_POINT: Final = {32 + 2: slice(2, None), 65 + 2: slice(3, None)}  # OCTET STRING in front; SEC1's 04 as well
_SECRET: Final = {
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.PRIVATE: True,
    Attribute.TOKEN: True,
    Attribute.SIGN: True,
}

Answer = TypeVar("Answer")


class PKCS11Keys:
    """Implements `bridge.ports.keys.KeyProvider` over one token of one module."""

    name = "pkcs11"

    def __init__(self, *, module: str, token: str, pin: str) -> None:
        self._module, self._token, self._pin = module, token, pin
        self._session: Any = None
        try:
            self._open()
        except (pkcs11.PKCS11Error, OSError, RuntimeError) as error:
            raise Misconfigured(f"PKCS #11 token {token} of {module}: {type(error).__name__}") from error

    def create(self, algorithm: SigningAlgorithm) -> tuple[SigningKey, str]:
        """Return a fresh key and the label it has in the module.

        Raises: KeysUnavailable.
        """
        label = f"did-agent-{secrets.token_hex(16)}"
        self._ask(lambda session: _generate(session, algorithm, label))
        return self._key(label), label

    def seal(self, key: SigningKey) -> str:
        """Refuse: a key that was outside once could still be there.

        Raises: StateConflict.
        """
        raise StateConflict(f"a key of {key.public.kind} from outside is not taken into the module")

    def open(self, sealed: str, public: Mapping[str, object]) -> SigningKey:
        """Return the key with that label.

        Raises: KeysUnavailable, WrongKey when it is not the half of `public`.
        """
        key = self._key(sealed)
        if public_jwk(key.public) != {name: public.get(name) for name in public_jwk(key.public)}:
            raise WrongKey("the module holds another key under this label")
        return key

    def _key(self, label: str) -> SigningKey:
        public = self._ask(lambda session: _public(session, label))
        return _ModuleKey(public, lambda message: self._ask(lambda session: _sign(session, label, public, message)))

    def _ask(self, question: Callable[[Any], Answer]) -> Answer:
        try:
            if self._session is None:
                self._open()
            return question(self._session)
        except (pkcs11.PKCS11Error, OSError, RuntimeError) as error:
            self._session = None  # the next question opens another
            raise KeysUnavailable(f"the PKCS #11 module: {type(error).__name__}") from error

    def _open(self) -> None:
        token = pkcs11.lib(self._module).get_token(token_label=self._token)
        try:
            self._session = token.open(user_pin=self._pin, rw=True)
        except pkcs11.UserAlreadyLoggedIn:  # a process logs in once, for all its sessions
            self._session = token.open(rw=True)


class _ModuleKey:
    def __init__(self, public: PublicKey, sign: Callable[[bytes], bytes]) -> None:
        self.public, self._sign = public, sign

    def sign(self, message: bytes) -> bytes:
        """Return the signature, made in the module.  Raises: KeysUnavailable."""
        return self._sign(message)

    def __repr__(self) -> str:
        return "SigningKey(…)"


def _generate(session: Any, algorithm: SigningAlgorithm, label: str) -> None:
    options = {"store": True, "label": label, "private_template": _SECRET}
    if algorithm == "RS256":
        session.generate_keypair(KeyType.RSA, rsa.BITS, **options)
        return
    edwards = algorithm == "EdDSA"
    curve = _ED25519 if edwards else encode_named_curve_parameters("secp256r1")
    parameters = session.create_domain_parameters(
        KeyType.EC_EDWARDS if edwards else KeyType.EC, {Attribute.EC_PARAMS: curve}, local=True
    )
    mechanism = Mechanism.EC_EDWARDS_KEY_PAIR_GEN if edwards else Mechanism.EC_KEY_PAIR_GEN
    parameters.generate_keypair(mechanism=mechanism, **options)


def _public(session: Any, label: str) -> PublicKey:
    key = session.get_key(object_class=ObjectClass.PUBLIC_KEY, label=label)
    if key.key_type == KeyType.RSA:
        return rsa.PublicKey.from_numbers(key[Attribute.MODULUS].lstrip(b"\0"), key[Attribute.PUBLIC_EXPONENT])
    encoded = key[Attribute.EC_POINT]
    point = encoded[_POINT[len(encoded)]]
    if key.key_type == KeyType.EC_EDWARDS:
        return ed25519.PublicKey.from_bytes(point)
    return ecdsa.PublicKey.from_point("P-256", point[:32], point[32:])


def _sign(session: Any, label: str, public: PublicKey, message: bytes) -> bytes:
    key = session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=label)
    if public.kind == "Ed25519":
        made = key.sign(message, mechanism=Mechanism.EDDSA)
    elif public.kind == "RSA":
        made = key.sign(message, mechanism=Mechanism.SHA256_RSA_PKCS)
    else:
        made = key.sign(hashlib.sha256(message).digest(), mechanism=Mechanism.ECDSA)
    return bytes(made)
