"""SD-JWTs that no honest issuer or holder would make, signed by the right keys."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from did_agent.clock import numeric_date
from did_agent.encoding import base64url
from did_agent.errors import DidAgentError
from did_agent.keys import ecdsa, ed25519
from did_agent.keys.public import ALGORITHMS, SigningKey
from did_agent.proof.sd_jwt import KeyBinding, VerifiedSDJWT, WithoutKeyBinding, confirmation, verify_sd_jwt

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECONDS = numeric_date(NOW)
ISSUER, HOLDER, THIEF = (ed25519.SigningKey.from_seed(bytes([number]) * 32) for number in (1, 2, 3))
P256 = ecdsa.SigningKey.generate("P-256")
TYPE = "test+sd-jwt"
AUDIENCE, NONCE = "https://verifier.example", "nonce-of-the-verifier"
BINDING = KeyBinding(audience=AUDIENCE, nonce=NONCE)
UNBOUND: WithoutKeyBinding = "insecure_without_key_binding"
CNF = confirmation(HOLDER.public)


def disclosure(*parts: Any) -> str:
    return base64url.encode(json.dumps(parts).encode())


def digest(text: str) -> str:
    return base64url.encode(hashlib.sha256(text.encode()).digest())


def jws(header: dict[str, Any], payload: Any, key: SigningKey) -> str:
    header = {"alg": ALGORITHMS[key.public.kind][0], **header}
    signing_input = ".".join(base64url.encode(json.dumps(part).encode()) for part in (header, payload))
    return f"{signing_input}.{base64url.encode(key.sign(signing_input.encode()))}"


def issued(payload: dict[str, Any], *disclosures: str, **header: Any) -> str:
    return "~".join([jws({"typ": TYPE, **header}, payload, ISSUER), *disclosures, ""])


def bound(sd_jwt: str, key: SigningKey = HOLDER, header: dict[str, Any] | None = None, **said: Any) -> str:
    claims = {"iat": SECONDS, "aud": AUDIENCE, "nonce": NONCE, "sd_hash": digest(sd_jwt), **said}
    claims = {name: value for name, value in claims.items() if value is not ...}
    return sd_jwt + jws({"typ": "kb+jwt", **(header or {})}, claims, key)


def verify(text: str, key_binding: KeyBinding | WithoutKeyBinding = UNBOUND, **more: Any) -> VerifiedSDJWT:
    return verify_sd_jwt(
        text,
        expected_types=frozenset({TYPE}),
        find_key=lambda _header, _claims: ISSUER.public,
        key_binding=key_binding,
        now=NOW,
        **more,
    )


def refused(error: type[DidAgentError], text: str, key_binding: KeyBinding | WithoutKeyBinding = UNBOUND) -> None:
    with pytest.raises(error) as raised:
        verify(text, key_binding)
    assert raised.value.code == error.code


NAME, ELEMENT = disclosure("salt-1", "name", "Buyer"), disclosure("salt-2", "order")
PAYLOAD: dict[str, Any] = {"cnf": CNF, "_sd": [digest(NAME)], "tools": ["search", {"...": digest(ELEMENT)}]}
HONEST = issued(PAYLOAD, NAME, ELEMENT)
SHOWN = bound(HONEST)
