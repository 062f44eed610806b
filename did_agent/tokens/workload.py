"""Workload tokens: a platform's word about a program that it runs (RFC 7523; SPIFFE JWT-SVID; Kubernetes; CI jobs)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadJOSE
from did_agent.proof.jwt import FindKey, verify_jwt
from did_agent.tokens.confirmation import Confirmation, parse_confirmation
from did_agent.tokens.id_jag import MAX_ID
from did_agent.tokens.profiles import WORKLOAD


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadToken:
    """Whom a platform vouches for."""

    issuer: str
    subject: str
    id: str | None  # jti, if the platform numbers its tokens
    expires: datetime
    claims: Mapping[str, object]
    confirmation: Confirmation | None


def verify_workload_token(
    text: str, *, find_key: FindKey, expected_issuer: str, expected_audience: frozenset[str], now: datetime
) -> WorkloadToken:
    """Return whom `expected_issuer` vouches for to one of `expected_audience`.

    Raises: what `verify_jwt` raises, BadJOSE.
    """
    verified = verify_jwt(
        text,
        WORKLOAD,
        find_key=find_key,
        expected_issuer=expected_issuer,
        expected_audience=expected_audience,
        now=now,
    )
    claims = verified.claims
    jti = verified.text("jti") if "jti" in claims else None
    if jti is not None and len(jti) > MAX_ID:
        raise BadJOSE("jti is too long")
    return WorkloadToken(
        issuer=verified.text("iss"),
        subject=verified.text("sub"),
        id=jti,
        expires=from_numeric_date(cast("int", claims["exp"])),
        claims=claims,
        confirmation=parse_confirmation(claims.get("cnf")),
    )


def claim_of(claims: Mapping[str, object], name: str) -> object:
    """Return a claim by its name, where `a.b` looks into objects; None where there is none."""
    if name in claims:  # Kubernetes writes `kubernetes.io`, a name with a dot
        return claims[name]
    head, dot, rest = name.rpartition(".")
    inner = claim_of(claims, head) if dot else None
    return inner.get(rest) if isinstance(inner, Mapping) else None


def fits(pattern: str, value: str) -> bool:
    """Tell whether a value is what a rule says, whole.

    A star stays inside one part of a name: `ns/*/sa/shop` cannot be stretched over further parts.
    """
    return re.fullmatch("[^/:]+".join(re.escape(part) for part in pattern.split("*")), value) is not None
