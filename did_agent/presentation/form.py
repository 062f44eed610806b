"""The two forms of a presentation, read down to what was signed: JSON with a Data Integrity proof, and vp+jwt.

A vp+jwt carries Data Integrity credentials as they are, so that both forms show the same signed chain.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from did_agent.credential import closed
from did_agent.credential.chain import MAX_CHAIN
from did_agent.credential.context import PLAIN_PROFILE
from did_agent.credential.model import MAX_DELEGATION
from did_agent.did.resolve import method_key
from did_agent.encoding.strict_json import parse_object
from did_agent.encoding.timestamp import from_numeric_date, parse_timestamp
from did_agent.errors import BadPresentation, TooDeep, WrongAudience, WrongChallenge, WrongKey
from did_agent.keys.jwk import thumbprint
from did_agent.keys.public import PublicKey
from did_agent.presentation.model import Expected, SignedPresentation
from did_agent.proof.data_integrity import verify_proof
from did_agent.proof.jose import MAX_TOKEN, UnverifiedJWS
from did_agent.proof.jwt import SKEW, JWTProfile, VerifiedJWT, verify_jwt

PRESENTATION_TYPE: Final = ["VerifiablePresentation"]
TYP: Final = "vp+jwt"
MAX_AGE: Final = 300  # seconds after `created` or `iat`
MAX_CREDENTIALS: Final = MAX_DELEGATION + 1  # in one presentation
MAX_CHALLENGE: Final = 256  # characters

VP_JWT: Final = JWTProfile(
    name=TYP,
    types=frozenset({TYP}),
    required=frozenset({"iss", "aud", "jti", "exp"}),
    max_lifetime=MAX_AGE,
    single_audience=True,
    max_bytes=MAX_TOKEN,
)

_JSON_MEMBERS: Final = frozenset({"@context", "type", "holder", "proof"})
_JWT_MEMBERS: Final = frozenset({"@context", "type", "holder", "iss", "aud", "iat", "exp", "jti"})


Raw = str | bytes | UnverifiedJWS | Mapping[str, object]  # a text, one whose parts were read, or a document


def read_presentation(raw: Raw, expected: Expected) -> SignedPresentation:
    """Return what a presentation's key signed, whichever form it has.

    Raises: BadPresentation, WrongAudience, WrongChallenge and what strict JSON, `verify_proof` and `verify_jwt` raise.
    """
    if isinstance(raw, UnverifiedJWS):
        return _read_jwt(raw, expected)
    if isinstance(raw, (str, bytes)) and raw.lstrip()[:1] not in {"{", b"{"}:
        return _read_jwt(raw if isinstance(raw, str) else raw.decode("latin-1"), expected)
    return _read_json(
        parse_object(raw if isinstance(raw, (str, bytes)) else _as_text(raw), max_bytes=MAX_CHAIN), expected
    )


def _read_json(document: dict[str, object], expected: Expected) -> SignedPresentation:
    verified = verify_proof(document, expected_purpose="authentication", now=expected.now)
    signed, proof = verified.document, verified.proof
    optional = frozenset({"id", "verifiableCredential"})
    closed.members(document, "presentation", required=_JSON_MEMBERS, optional=optional, error=BadPresentation)
    # Contexts appended after signing keep the proof valid; a profile refuses them (VCX-07).
    closed.constant(document["@context"], "presentation @context", PLAIN_PROFILE, error=BadPresentation)
    if "created" not in proof:
        raise BadPresentation("the proof of a presentation says when it was made")
    issued = parse_timestamp(proof["created"])
    latest = issued + timedelta(seconds=MAX_AGE)
    expires = parse_timestamp(proof["expires"]) if "expires" in proof else latest
    return SignedPresentation(
        form="json",
        holder=_holder(signed),
        signer=verified.controller,
        audience=_one_string(proof.get("domain")),
        challenge=_challenge(proof.get("challenge")),
        id=None,
        is_bound=False,
        issued=issued,
        lifetime=(expires - issued).total_seconds(),
        ends=min(expires, latest),
        credentials=_credentials(signed),
    )


def _read_jwt(token: str | UnverifiedJWS, expected: Expected) -> SignedPresentation:
    verified = verify_jwt(
        token,
        VP_JWT,
        find_key=_holder_key,
        expected_issuer=None,
        expected_audience=expected.audience,
        now=expected.now,
    )
    claims = verified.claims
    optional = frozenset({"id", "nonce", "nbf", "cnf", "verifiableCredential"})
    closed.members(claims, "presentation", required=_JWT_MEMBERS, optional=optional, error=BadPresentation)
    issued, expires = _moment(claims["iat"]), _moment(claims["exp"])
    return SignedPresentation(
        form="jwt",
        holder=_holder(claims),
        signer=verified.text("iss"),
        audience=_one_string(claims["aud"]),
        challenge=_challenge(claims["nonce"]) if "nonce" in claims else None,
        id=closed.text(claims["jti"], "jti", max_chars=MAX_CHALLENGE, error=BadPresentation),
        is_bound=_is_bound(verified),
        issued=from_numeric_date(issued),
        lifetime=expires - issued,
        ends=from_numeric_date(expires + SKEW),
        credentials=_credentials(claims),
    )


def _holder_key(header: Mapping[str, object], claims: Mapping[str, object]) -> PublicKey:
    """Return the `authentication` key of the DID that `iss` names; `kid` must be its absolute DID URL."""
    controller, key = method_key(header.get("kid"), relationship="authentication")
    if controller != claims["iss"]:
        raise WrongKey("kid is a key of somebody other than iss")
    return key


def _is_bound(verified: VerifiedJWT) -> bool:
    """Tell whether the holder says that each use takes a proof of its own key, the one key it can name here."""
    if "cnf" not in verified.claims:
        return False
    own = {"jkt": thumbprint(_holder_key(verified.header, verified.claims))}
    closed.constant(verified.claims["cnf"], "cnf", own, error=BadPresentation)
    return True


def _holder(document: Mapping[str, object]) -> str:
    closed.constant(document["@context"], "presentation @context", PLAIN_PROFILE, error=BadPresentation)
    closed.constant(document["type"], "presentation type", PRESENTATION_TYPE, error=BadPresentation)
    if "id" in document:
        closed.uri(document["id"], "presentation id", error=BadPresentation)
    return closed.uri(document["holder"], "holder", error=BadPresentation)


def _credentials(document: Mapping[str, object]) -> tuple[Mapping[str, object], ...]:
    if "verifiableCredential" not in document:
        return ()
    listed = closed.array(
        document["verifiableCredential"], "verifiableCredential", least=1, most=MAX_CREDENTIALS, error=BadPresentation
    )
    credentials = tuple(item for item in listed if isinstance(item, dict))
    if len(credentials) != len(listed):
        raise BadPresentation("a credential in the presentation is not an object")
    return credentials


def _challenge(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_CHALLENGE:
        raise WrongChallenge("the presentation carries no challenge that could be ours")
    return value


def _one_string(value: object) -> str:
    # Who signs for a set of domains signs for all of them: one presentation, one verifier.
    audience = value[0] if isinstance(value, list) and len(value) == 1 else value
    if not isinstance(audience, str):
        raise WrongAudience("the presentation does not name exactly one audience")
    return audience


def _moment(value: object) -> int:
    return closed.whole(value, "time claim", least=0, most=2**53 - 1, error=BadPresentation)


def _as_text(document: Mapping[str, object]) -> str:
    """Return a document that came as an object as text, so that it passes the same limits and cannot change later."""
    try:
        return json.dumps(document)
    except RecursionError as error:
        raise TooDeep("the presentation is nested too deeply") from error
    except (TypeError, ValueError) as error:
        raise BadPresentation("the presentation is not a JSON object") from error
