"""What a guard tells the server behind it: who calls, through whom, with which rights, and what was decided.

A JWT by the guard's own key, for one request, in the header `Did-Agent-Caller`.  It gives nobody any right: no door of
ours takes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from did_agent.clock import Clock, numeric_date
from did_agent.credential.capability import to_authorization_detail
from did_agent.did.document import split_method_id
from did_agent.did.key import did_key, verification_method
from did_agent.did.resolve import method_key
from did_agent.errors import UntrustedIssuer
from did_agent.keys.public import PublicKey, SigningKey
from did_agent.policy.caller import VerifiedCaller
from did_agent.policy.decide import Decision
from did_agent.proof.jwt import sign_jwt, unverified_jws, verify_jwt
from did_agent.tokens.actor import act_claim
from did_agent.tokens.profiles import CALLER_STATEMENT

HEADER: Final = b"did-agent-caller"
TYPE: Final = "caller+jwt"
LIFETIME: Final = 60  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """The pen of one guard."""

    resource: str
    audience: str  # URL of the server behind
    key: SigningKey = field(repr=False)
    clock: Clock

    def of(self, caller: VerifiedCaller, decision: Decision | None, *, request_id: str) -> str:
        """Return the signed statement; `decision` is None where none was needed."""
        now, issuer = numeric_date(self.clock()), did_key(self.key.public)
        claims = {
            "iss": issuer,
            "aud": self.audience,
            "iat": now,
            "exp": now + LIFETIME,
            "sub": caller.principal.id,
            "sub_profile": caller.principal.kind,
            "sub_iss": caller.principal.namespace,
            "act": act_claim(caller.actors, issuer=issuer),
            "client_id": caller.client_id,
            "resource": self.resource,
            "scope": " ".join(sorted(caller.scopes)),
            "authorization_details": [to_authorization_detail(held, self.resource) for held in caller.capabilities],
            "task": caller.task,
            "evidence": caller.evidence,
            "decision": None if decision is None else {"reason": decision.reason, "policy": decision.policy},
            "request_id": request_id,
        }
        told = {name: value for name, value in claims.items() if value is not None}
        return sign_jwt(told, typ=TYPE, key=self.key, kid=verification_method(issuer))


def verify_statement(text: str, *, guard: str, audience: str, now: datetime) -> Mapping[str, object]:
    """Return the claims that the guard whose DID is `guard` told the server at `audience`.

    Raises: UntrustedIssuer, and what `verify_jwt` raises.
    """
    jws, _ = unverified_jws(text, max_bytes=CALLER_STATEMENT.max_bytes)
    kid = jws.header.get("kid")
    if split_method_id(kid)[0] != guard:
        raise UntrustedIssuer("another guard signed it")

    def find_key(_header: Mapping[str, object], _claims: Mapping[str, object]) -> PublicKey:
        return method_key(kid, relationship="assertionMethod")[1]

    return verify_jwt(
        text,
        CALLER_STATEMENT,
        find_key=find_key,
        expected_issuer=guard,
        expected_audience=frozenset({audience}),
        now=now,
    ).claims
