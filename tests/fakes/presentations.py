"""Builders of valid presentations at a fixed instant; a test spoils one thing of what they return."""

from __future__ import annotations

from typing import Any

from did_agent.clock import numeric_date
from did_agent.did.key import verification_method
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present, present_jwt
from did_agent.proof.data_integrity import add_proof
from did_agent.proof.jwt import sign_jwt
from tests.fakes.credentials import (
    AUDIENCE,
    BOB,
    BOB_DID,
    NOW,
    Document,
    chain_of_two,
    expected,
)

CHALLENGE = "n-0S6_WzA2Mj4kX9"
JTI = expected(challenge="jti")


def shown(**changes: Any) -> Document:
    """Bob's honest JSON presentation."""
    arguments: dict[str, Any] = {"key": BOB, "audience": AUDIENCE, "challenge": CHALLENGE, "now": NOW}
    return present(chain_of_two(), **(arguments | changes))


def shown_jwt(**changes: Any) -> str:
    """Bob's honest vp+jwt."""
    return present_jwt(chain_of_two(), **({"key": BOB, "audience": AUDIENCE, "now": NOW} | changes))


def resigned(edit: Any, *, key: SigningKey = BOB, did: str = BOB_DID, **proof: Any) -> Document:
    """Return a presentation that was edited before `key` signed it."""
    document = {name: value for name, value in shown().items() if name != "proof"}
    edit(document)
    options: dict[str, Any] = {
        "purpose": "authentication",
        "created": NOW,
        "verification_method": verification_method(did),
        "challenge": CHALLENGE,
        "domain": AUDIENCE,
    }
    return add_proof(document, key, **(options | proof))


def nothing(_document: Document) -> None:
    pass


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of an honest vp+jwt with changes; None removes a claim."""
    body = {name: value for name, value in shown().items() if name != "proof"}
    issued = numeric_date(NOW)
    everything = body | {"iss": BOB_DID, "aud": AUDIENCE, "iat": issued, "exp": issued + 60, "jti": "j1"} | changes
    return {name: value for name, value in everything.items() if value is not None}


def signed_jwt(
    *, key: SigningKey = BOB, typ: str = "vp+jwt", kid: str | None = verification_method(BOB_DID), **c: Any
) -> str:
    return sign_jwt(claims(**c), typ=typ, key=key, kid=kid)
