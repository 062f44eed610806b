"""The forms a did:key document writes its keys in: Multikey, JSON Web Key and the suites of 2020 (did:key, 3.1.2).

They are for those who ask a resolver; whoever verifies uses the key itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from did_agent.encoding import base64url
from did_agent.keys.jwk import public_jwk
from did_agent.keys.multikey import is_x25519, parse_multikey, parse_x25519

PublicKeyFormat = Literal[
    "Multikey", "JsonWebKey", "JsonWebKey2020", "Ed25519VerificationKey2020", "X25519KeyAgreementKey2020"
]
FORMATS: Final[Mapping[str, PublicKeyFormat]] = {
    "Multikey": "Multikey",
    "JsonWebKey": "JsonWebKey",
    "JsonWebKey2020": "JsonWebKey2020",
    "Ed25519VerificationKey2020": "Ed25519VerificationKey2020",
    "X25519KeyAgreementKey2020": "X25519KeyAgreementKey2020",
}
# did:key calls these experimental; they are known by name and not made.
EXPERIMENTAL_FORMATS: Final = frozenset(
    {"Ed25519VerificationKey2018", "X25519KeyAgreementKey2019", "EcdsaSecp256k1VerificationKey2019"}
)

_CONTEXTS: Final[Mapping[str, str]] = {
    "JsonWebKey2020": "https://w3id.org/security/suites/jws-2020/v1",
    "Ed25519VerificationKey2020": "https://w3id.org/security/suites/ed25519-2020/v1",
    "X25519KeyAgreementKey2020": "https://w3id.org/security/suites/x25519-2020/v1",
}


def in_format(
    context: list[str], methods: list[dict[str, str]], chosen: PublicKeyFormat
) -> tuple[list[str], list[dict[str, object]]] | None:
    """Return a context and Multikey methods rewritten in the format chosen; None when the first key has no such form.

    A key derived for agreement follows in the format that belongs to the one chosen for signatures.
    Raises: BadKey.
    """
    written: list[dict[str, object]] = []
    for method in methods:
        text = method["publicKeyMultibase"]
        wanted = _fitting(chosen, text, derived=bool(written))
        if wanted is None:
            return None
        form: dict[str, object] = {"publicKeyMultibase": text}
        if wanted in ("JsonWebKey", "JsonWebKey2020"):
            form = {"publicKeyJwk": _jwk(text)}
        written.append({"id": method["id"], "type": wanted, "controller": method["controller"], **form})
    added = [_CONTEXTS[name] for name in dict.fromkeys(str(method["type"]) for method in written) if name in _CONTEXTS]
    return [*context, *added], written


def _fitting(chosen: PublicKeyFormat, text: str, *, derived: bool) -> PublicKeyFormat | None:
    if chosen == "Ed25519VerificationKey2020":
        if is_x25519(text):
            return "X25519KeyAgreementKey2020" if derived else None
        return chosen if parse_multikey(text).kind == "Ed25519" else None
    if chosen == "X25519KeyAgreementKey2020":
        return chosen if is_x25519(text) else None
    return chosen


def _jwk(text: str) -> dict[str, object]:
    if is_x25519(text):
        return {"kty": "OKP", "crv": "X25519", "x": base64url.encode(parse_x25519(text))}
    return public_jwk(parse_multikey(text))
