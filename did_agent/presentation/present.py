"""Present credentials: to one audience, with proof of possession, for minutes (VCDM 2.0, 4.13; VC-JOSE-COSE, 3.2)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from did_agent.clock import numeric_date
from did_agent.credential.context import PLAIN_PROFILE
from did_agent.credential.issuance import new_id
from did_agent.did.key import did_key, verification_method
from did_agent.keys.jwk import thumbprint
from did_agent.keys.public import SigningKey
from did_agent.presentation.form import PRESENTATION_TYPE, TYP
from did_agent.proof.cryptosuite import default_suite
from did_agent.proof.data_integrity import add_proof
from did_agent.proof.jwt import sign_jwt

JSON_LIFETIME: Final = 300  # seconds
JWT_LIFETIME: Final = 60  # seconds; longer ones need a challenge as `nonce`, or are bound


def present(
    credentials: Sequence[Mapping[str, object]],
    *,
    key: SigningKey,
    audience: str,
    challenge: str,
    now: datetime,
    lifetime: int = JSON_LIFETIME,
) -> dict[str, object]:
    """Return a JSON presentation for `audience`, answering `challenge`.

    `audience` must come from the connection to the verifier, never from what it asks for: otherwise it could
    pass the presentation on as ours.
    """
    holder = did_key(key.public)
    return add_proof(
        _presentation(credentials, holder),
        key,
        purpose="authentication",
        created=now,
        verification_method=verification_method(holder),
        cryptosuite=default_suite(key.public),
        challenge=challenge,
        domain=audience,
        expires=now + timedelta(seconds=lifetime),
    )


def present_jwt(
    credentials: Sequence[Mapping[str, object]],
    *,
    key: SigningKey,
    audience: str,
    now: datetime,
    nonce: str | None = None,
    lifetime: int = JWT_LIFETIME,
    bound: bool = False,
) -> str:
    """Return a vp+jwt for `audience`; whoever sees it can use it until it is spent or a minute has passed.

    A `bound` one counts only beside a DPoP proof by the same key, so it may live longer and be shown often.
    """
    holder = did_key(key.public)
    issued = numeric_date(now)
    claims = _presentation(credentials, holder) | {
        "iss": holder,
        "aud": audience,
        "iat": issued,
        "exp": issued + lifetime,
        "jti": secrets.token_urlsafe(16),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    if bound:
        claims["cnf"] = {"jkt": thumbprint(key.public)}
    return sign_jwt(claims, typ=TYP, key=key, kid=verification_method(holder))


def _presentation(credentials: Sequence[Mapping[str, object]], holder: str) -> dict[str, object]:
    document: dict[str, object] = {
        "@context": list(PLAIN_PROFILE),
        "id": new_id(),
        "type": list(PRESENTATION_TYPE),
        "holder": holder,
    }
    if credentials:
        document["verifiableCredential"] = [dict(credential) for credential in credentials]
    return document
