"""Policy bundles: one version of the bridge's policy, signed for its verifiers, with a hard end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadJOSE, Replayed
from did_agent.keys.public import SigningKey
from did_agent.proof.jwt import FindKey, sign_jwt, verify_jwt
from did_agent.tokens.profiles import POLICY_BUNDLE

TYPE: Final = "policy-bundle+jwt"
PATH: Final = "/policy/bundle"  # under the issuer; the address is the audience


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyBundle:
    """One published version; after `expires` it says nothing any more."""

    issuer: str
    version: int
    digest: str
    policy: Mapping[str, object]
    issued_at: datetime
    expires: datetime
    approvers: tuple[str, ...] = ()


def sign_bundle(bundle: PolicyBundle, *, key: SigningKey, kid: str) -> str:
    """Return the signed bundle; the same bundle gives the same bytes under a deterministic signature."""
    claims = {
        "iss": bundle.issuer,
        "aud": bundle.issuer + PATH,
        "iat": numeric_date(bundle.issued_at),
        "exp": numeric_date(bundle.expires),
        "version": bundle.version,
        "digest": bundle.digest,
        "policy": dict(bundle.policy),
        "approvers": list(bundle.approvers),
    }
    return sign_jwt(claims, typ=TYPE, key=key, kid=kid)


def verify_bundle(
    text: str, *, find_key: FindKey, expected_issuer: str, known_version: int, now: datetime
) -> PolicyBundle:
    """Return the bundle of `expected_issuer`; a version older than the one already known is refused.

    Raises: what `verify_jwt` raises, BadJOSE, Replayed.
    """
    verified = verify_jwt(
        text,
        POLICY_BUNDLE,
        find_key=find_key,
        expected_issuer=expected_issuer,
        expected_audience=frozenset({expected_issuer + PATH}),
        now=now,
    )
    claims = verified.claims
    version, policy, approvers = claims["version"], claims["policy"], claims.get("approvers", [])
    if type(version) is not int or version < 0 or not isinstance(policy, dict) or not isinstance(approvers, list):
        raise BadJOSE("version, policy or approvers does not have its form")
    # A bundle from before would bring back what was taken away since.
    if version < known_version:
        raise Replayed(f"policy {version} is older than {known_version}, which is known")
    return PolicyBundle(
        issuer=expected_issuer,
        version=version,
        digest=verified.text("digest"),
        policy=policy,
        issued_at=from_numeric_date(cast("int", claims["iat"])),
        expires=from_numeric_date(cast("int", claims["exp"])),
        approvers=tuple(map(str, approvers)),
    )
