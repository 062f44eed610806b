"""Key proofs of OpenID for Verifiable Credential Issuance 1.0 (F.1): whose key a credential will be bound to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from did_agent.clock import numeric_date
from did_agent.did.key import did_key, verification_method
from did_agent.did.resolve import method_key, needs_fetching
from did_agent.errors import BadJOSE, Expired, WrongAlgorithm, WrongKey
from did_agent.keys.jwk import parse_public_jwk
from did_agent.keys.public import ALGORITHMS, PublicKey, SigningKey
from did_agent.proof.jose import parse_compact
from did_agent.proof.jwt import SKEW, sign_jwt, verify_jwt
from did_agent.tokens.profiles import KEY_PROOF

TYPE: Final = "openid4vci-proof+jwt"
SIGNING_ALGORITHMS: Final = (*ALGORITHMS["Ed25519"], *ALGORITHMS["P-256"])
MAX_AGE: Final = 300  # seconds since `iat`; the nonce in it ends sooner


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyProof:
    """A proof for us by the key it names; whoever asked for it still judges and spends `nonce`."""

    key: PublicKey
    nonce: str
    client_id: str | None  # `iss`; None for a client that is nobody in particular

    @property
    def did(self) -> str:
        """The did:key of the proven key, however the proof named it."""
        return did_key(self.key)


def make_key_proof(key: SigningKey, *, audience: str, nonce: str, now: datetime, client_id: str | None = None) -> str:
    """Return a proof of `key` for the credential issuer `audience`, in answer to its `nonce`."""
    claims: dict[str, object] = {"aud": audience, "iat": numeric_date(now), "nonce": nonce}
    if client_id is not None:
        claims["iss"] = client_id
    return sign_jwt(claims, typ=TYPE, key=key, kid=verification_method(did_key(key.public)))


def verify_key_proof(text: str, *, expected_audience: str, now: datetime) -> KeyProof:
    """Return the key that `text` proves to the credential issuer `expected_audience`.

    Raises: what `verify_jwt` raises, BadDID, BadKey, WrongKey.
    """
    jws = parse_compact(text, max_bytes=KEY_PROOF.max_bytes, names_did=True, carries_key=True)
    if jws.header.get("alg") not in SIGNING_ALGORITHMS:
        raise WrongAlgorithm("alg is not accepted here")
    verified = verify_jwt(
        jws,
        KEY_PROOF,
        find_key=lambda header, _claims: _named_key(header, now),
        expected_issuer=None,
        expected_audience=frozenset({expected_audience}),
        now=now,
    )
    _require_recent(verified.claims, numeric_date(now))
    return KeyProof(
        key=_named_key(jws.header, now),
        nonce=verified.text("nonce"),
        client_id=verified.text("iss") if "iss" in verified.claims else None,
    )


def _named_key(header: Mapping[str, object], now: datetime) -> PublicKey:
    """Return the key of `kid` or `jwk`; the proof carries exactly one of them (F.1)."""
    if ("kid" in header) == ("jwk" in header):
        raise BadJOSE("exactly one of kid and jwk is expected")
    if "jwk" in header:
        return parse_public_jwk(header["jwk"])  # refuses private members and weak keys (TOK-02, TOK-13)
    kid = header["kid"]
    if needs_fetching(kid) is not None:
        raise WrongKey("kid names a DID whose document would have to be fetched")
    return method_key(kid, relationship="authentication", now=now)[1]


def _require_recent(claims: Mapping[str, object], now: int) -> None:
    if not isinstance(claims["aud"], str):
        raise BadJOSE("aud is not one string")
    if now - cast("int", claims["iat"]) > MAX_AGE:
        raise Expired("the proof is too old")
    ends = claims.get("exp", now)
    if not isinstance(ends, int) or isinstance(ends, bool):
        raise BadJOSE("exp is not a NumericDate in whole seconds")
    if ends <= now - SKEW:
        raise Expired("exp has passed")
