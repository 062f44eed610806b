"""One delivery of audit events: a body, and a token that binds it to the party that sends it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from did_agent.clock import numeric_date
from did_agent.did.key import did_key, parse_did_key, verification_method
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.strict_json import MAX_BODY
from did_agent.errors import BadSignature, UntrustedIssuer
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.public import PublicKey
from did_agent.proof.jwt import sign_jwt, verify_jwt
from did_agent.tokens.profiles import AUDIT_BATCH

MAX_BATCH: Final = 300  # events of one delivery
MAX_DELIVERY: Final = MAX_BODY  # bytes
LIFETIME: Final = timedelta(seconds=30)
_WRAPPER: Final = b'{"events":[]}'


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedBatch:
    """Who sent a batch; the body it came with is theirs."""

    source: str


def fitting(events: Sequence[str]) -> int:
    """Return how many of `events`, from the first on, one delivery takes: a larger body would be refused for ever."""
    size, count = len(_WRAPPER), 0
    for event in events[:MAX_BATCH]:
        size += len(event.encode()) + 1
        if size > MAX_DELIVERY:
            break
        count += 1
    return count


def batch_request(
    events: Sequence[str], *, ledger_url: str, key: SigningKey, now: datetime
) -> tuple[str, dict[str, str], bytes]:
    """Return URL, headers and body that deliver canonical events to the ledger."""
    body = b'{"events":[' + ",".join(events).encode() + b"]}"
    did = did_key(key.public)
    claims = {
        "iss": did,
        "aud": ledger_url,
        "iat": numeric_date(now),
        "exp": numeric_date(now + LIFETIME),
        "jti": str(uuid.uuid4()),
        "digest": digest_uri(body),
    }
    token = sign_jwt(claims, typ="audit-batch+jwt", key=key, kid=verification_method(did))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return f"{ledger_url}/events", headers, body


def verify_batch(token: str, body: bytes, *, ledger_url: str, sources: frozenset[str], now: datetime) -> VerifiedBatch:
    """Return the party that signed for `body`.

    Replaying a batch is harmless: the ledger takes an event id once.
    Raises: what `verify_jwt` raises, UntrustedIssuer, BadSignature when the body is another.
    """

    def key_of_source(_header: Mapping[str, object], claims: Mapping[str, object]) -> PublicKey:
        source = claims.get("iss")
        if source not in sources:
            raise UntrustedIssuer("not a party of this deployment")
        return parse_did_key(source)

    verified = verify_jwt(
        token,
        AUDIT_BATCH,
        find_key=key_of_source,
        expected_issuer=None,
        expected_audience=frozenset({ledger_url}),
        now=now,
    )
    if verified.text("digest") != digest_uri(body):
        raise BadSignature("the batch token was made for another body")
    return VerifiedBatch(source=verified.text("iss"))
