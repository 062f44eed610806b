"""The profile of every kind of JWT this project signs or accepts, side by side (RFC 8725, section 3.11)."""

from __future__ import annotations

from typing import Final

from did_agent.proof.jwt import JWTProfile

ACCESS_TOKEN_LIFETIME: Final = 300  # seconds
MAX_ASSERTION_LIFETIME: Final = 300  # seconds

# RFC 9068, section 2; `client_id` and `jti` are required there too.
ACCESS_TOKEN: Final = JWTProfile(
    name="access token",
    types=frozenset({"at+jwt"}),
    required=frozenset({"iss", "exp", "aud", "sub", "client_id", "jti"}),
    max_lifetime=600,
)
# RFC 7523bis: `aud` is the issuer alone.  Stock clients send `typ: JWT` or none.
CLIENT_ASSERTION: Final = JWTProfile(
    name="client assertion",
    types=frozenset({"", "jwt", "client-authentication+jwt"}),
    required=frozenset({"iss", "sub", "aud", "exp", "jti"}),
    max_lifetime=MAX_ASSERTION_LIFETIME,
)
# RFC 8417, section 2.2: no `exp`, an event does not stop having happened.
SECURITY_EVENT: Final = JWTProfile(
    name="security event token",
    types=frozenset({"secevent+jwt"}),
    required=frozenset({"iss", "aud", "jti", "sub_id", "events"}),
)
# Ours: a policy of the bridge for its verifiers, addressed to where it is fetched.
POLICY_BUNDLE: Final = JWTProfile(
    name="policy bundle",
    types=frozenset({"policy-bundle+jwt"}),
    required=frozenset({"iss", "aud", "exp", "version", "digest", "policy"}),
    max_lifetime=86_400,
    max_bytes=524_288,
)
# Ours: authenticates one batch of audit events by the digest of the body it travels with.
AUDIT_BATCH: Final = JWTProfile(
    name="audit batch",
    types=frozenset({"audit-batch+jwt"}),
    required=frozenset({"iss", "aud", "exp", "jti", "digest"}),
    max_lifetime=60,
)
# Identity Assertion Authorization Grant: an identity provider vouches for a user to one authorization server.
ID_JAG: Final = JWTProfile(
    name="identity assertion grant",
    types=frozenset({"oauth-id-jag+jwt"}),
    required=frozenset({"iss", "sub", "aud", "client_id", "jti", "exp"}),
    max_lifetime=600,
)
# A platform's own token for a workload: Kubernetes service accounts, SPIFFE JWT-SVIDs, CI jobs.  They say `JWT` or
# nothing, may name several audiences, and not every platform numbers them.
WORKLOAD: Final = JWTProfile(
    name="workload token",
    types=frozenset({"", "jwt"}),
    required=frozenset({"iss", "sub", "aud", "exp"}),
    max_lifetime=86_400,
    single_audience=False,
)
# Ours: what a person allowed, for that person.  No `aud`, since it is for whoever they show it to, and no longest life.
CONSENT_RECEIPT: Final = JWTProfile(
    name="consent receipt",
    types=frozenset({"consent-receipt+jwt"}),
    required=frozenset({"iss", "sub", "exp", "jti", "client_id", "resource", "scopes"}),
    max_bytes=65_536,
)
# Ours: a guard's word on one tool call and its result, for whoever asked.  It stays true, so it has no `exp`.
TOOL_RECEIPT: Final = JWTProfile(
    name="tool receipt",
    types=frozenset({"tool-receipt+jwt"}),
    required=frozenset(
        {"iss", "aud", "jti", "sub", "resource", "tool", "argument_digest", "result_digest", "decision", "request_id"}
    ),
)
# OpenID for Verifiable Credential Issuance 1.0, F.1: fresh by its nonce, so it needs no `exp`.
KEY_PROOF: Final = JWTProfile(
    name="key proof",
    types=frozenset({"openid4vci-proof+jwt"}),
    required=frozenset({"aud", "nonce"}),
    max_bytes=8_192,
)
# Ours: an operator's approval of tools, read from a file; it counts until the next one.
TOOL_PINS: Final = JWTProfile(
    name="tool pins",
    types=frozenset({"tool-pins+jwt"}),
    required=frozenset({"iss", "version", "servers"}),
    max_bytes=2_097_152,
)


def foreign_access_token(types: frozenset[str], max_lifetime: int, *, single_audience: bool) -> JWTProfile:
    """Return the profile of another issuer's access tokens; few say all that RFC 9068 demands."""
    return JWTProfile(
        name="access token",
        types=types,
        required=frozenset({"iss", "sub", "aud", "exp"}),
        max_lifetime=max_lifetime,
        single_audience=single_audience,
    )


# Ours: what a guard tells the server behind it of the caller of one request.
CALLER_STATEMENT: Final = JWTProfile(
    name="caller statement",
    types=frozenset({"caller+jwt"}),
    required=frozenset({"iss", "aud", "exp", "sub", "client_id", "request_id"}),
    max_lifetime=60,
    max_bytes=65_536,
)
# Ours: an agent's key names the one that comes after it, to the agent's issuer.
CONTINUITY: Final = JWTProfile(
    name="continuity statement",
    types=frozenset({"agent-continuity+jwt"}),
    required=frozenset({"iss", "sub", "aud", "successor", "exp", "jti"}),
    max_lifetime=300,
)
# Ours: whom an organisation believes, signed by its issuer for its guards and bridge; old ones say nothing any more.
TRUST_LIST: Final = JWTProfile(
    name="trust list",
    types=frozenset({"trust-list+jwt"}),
    required=frozenset({"iss", "exp", "ttl", "version", "own", "entries"}),
    max_lifetime=300,
    max_bytes=524_288,
)
