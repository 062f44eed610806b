"""Attested workloads: what a platform signed about a program, and the rule that says which agent that is.

Believed are plain JWTs (RFC 7523; SPIFFE JWT-SVID; Kubernetes service accounts; CI jobs) of an issuer a rule names,
for this issuer's URL alone, once, for the one key that answered to exactly this token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from did_agent.did.key import parse_did_key
from did_agent.encoding.digest import digest_uri
from did_agent.errors import (
    BadGrant,
    BadKey,
    InvalidParameter,
    UntrustedIssuer,
    WrongAudience,
    WrongKey,
    WrongType,
)
from did_agent.keys.jwk import parse_public_jwk, thumbprint
from did_agent.keys.public import PublicKey
from did_agent.proof.jwt import SKEW, unverified_jws
from did_agent.tokens.confirmation import Confirmation
from did_agent.tokens.workload import WorkloadToken, claim_of, fits, verify_workload_token
from issuer.description import MAX_LABELS, MAX_METADATA, require_label
from issuer.model.enrolment import AttestationRule
from issuer.naming import require_text

MAX_CONDITIONS: Final = 16
MAX_PINNED: Final = 16  # keys of one rule
MAX_VALUE: Final = 512  # characters of a condition, and of a claim that is copied
MAX_STARS: Final = 4  # of one condition; more would be slow to compare
_PLACE: Final = re.compile(r"\{([^{}]{1,128})\}")
# What only ID tokens, logout tokens and security events carry: none of them is a workload (TOK-08).
_OTHER_KINDS: Final = frozenset({"nonce", "at_hash", "c_hash", "s_hash", "events", "sub_jwk", "vp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """A platform's token before it is believed."""

    text: str
    issuer: str  # as claimed
    kid: object
    claims: Mapping[str, object]  # as claimed
    signed: str  # what the signature is over: another signature on the same is no other token


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """A workload that a rule knows."""

    rule: AttestationRule
    token: WorkloadToken
    name: str
    workload: str  # who it is under the rule: digest of issuer, subject and name
    spend: str
    spend_until: datetime


def parse_attestation(text: str) -> Attestation:
    """Return what a token says of itself, for routing alone.

    Raises: BadJOSE, TooLarge, WrongAlgorithm.
    """
    jws, claims = unverified_jws(text)
    signed = text.rpartition(".")[0]
    return Attestation(
        text=text, issuer=str(claims.get("iss")), kid=jws.header.get("kid"), claims=claims, signed=signed
    )


def choose_rule(attestation: Attestation, rules: Sequence[AttestationRule]) -> AttestationRule:
    """Return the first rule, by name, whose conditions are met by what a token claims; its keys must then prove it.

    Raises: UntrustedIssuer, BadGrant.
    """
    own = [rule for rule in rules if rule.issuer == attestation.issuer]
    if not own:
        raise UntrustedIssuer("no rule names this issuer")
    for rule in own:
        if all(_is(claim_of(attestation.claims, name), wanted) for name, wanted in rule.claims.items()):
            return rule
    raise BadGrant("no rule says which agent this workload is")


def pinned_key(rule: AttestationRule, kid: object) -> PublicKey:
    """Return the key of a rule's own key set.

    Raises: WrongKey.
    """
    members = (rule.jwks or {}).get("keys")
    keys = [member for member in members if isinstance(member, Mapping)] if isinstance(members, list) else []
    chosen = [key for key in keys if key.get("kid") == kid] if kid is not None else keys
    if len(chosen) != 1:
        raise WrongKey("the rule pins no such key, or several and the token names none")
    try:
        return parse_public_jwk(chosen[0], rsa_too=True)
    except BadKey as error:
        raise WrongKey("the pinned key is of a kind not used here") from error


def judge_attestation(  # every expectation by name
    attestation: Attestation,
    rule: AttestationRule,
    *,
    key: PublicKey,
    holder: str,
    expected_audience: str,
    now: datetime,
) -> Attested:
    """Return which workload a token is about, for the key that answered to it.

    `key` must be from where the rule says that its issuer's keys are.
    Raises: what `verify_jwt` raises, BadJOSE, WrongType, WrongAudience, WrongKey, BadGrant.
    """
    token = verify_workload_token(
        attestation.text,
        find_key=lambda _header, _claims: key,
        expected_issuer=rule.issuer,
        expected_audience=frozenset({expected_audience}),
        now=now,
    )
    if token.claims["aud"] not in (expected_audience, [expected_audience]):
        raise WrongAudience("the token is for others as well, who could show it here")
    if _OTHER_KINDS & token.claims.keys():
        raise WrongType("a plain JWT of another kind")
    if token.confirmation not in (None, Confirmation(jkt=thumbprint(parse_did_key(holder)))):
        raise WrongKey("the platform bound the token to another key")
    name = fill(rule.agent_name, token.claims)
    number = attestation.signed if token.id is None else f"{token.issuer} {token.id}"
    return Attested(
        rule=rule,
        token=token,
        name=name,
        workload=digest_uri(f"{token.issuer}\n{token.subject}\n{name}".encode()),
        spend=digest_uri(number.encode()),
        spend_until=token.expires + timedelta(seconds=SKEW),
    )


def fill(pattern: str, claims: Mapping[str, object]) -> str:
    """Return a pattern with each `{claim}` replaced by the claim.

    Raises: BadGrant when a claim is not there or no short text.
    """

    def value(found: re.Match[str]) -> str:
        claim = claim_of(claims, found[1])
        if not isinstance(claim, str) or not 0 < len(claim) <= MAX_VALUE:
            raise BadGrant(f"the token has no claim {found[1][:64]} to name the agent by")
        return claim

    return _PLACE.sub(value, pattern)


def require_rule(rule: AttestationRule) -> AttestationRule:
    """Return a rule that means what it says: bounded, with conditions that do not take in all of a platform.

    Raises: InvalidParameter.
    """
    require_label("name", rule.name)
    require_label("template", rule.template)
    _require_issuer(rule)
    if not 0 < len(rule.claims) <= MAX_CONDITIONS:
        raise InvalidParameter(f"claims: 1 to {MAX_CONDITIONS}")
    for name, wanted in rule.claims.items():
        if not 0 < len(name) <= MAX_VALUE or not 0 < len(wanted) <= MAX_VALUE or wanted.count("*") > MAX_STARS:
            raise InvalidParameter(
                f"claims: names and values of 1 to {MAX_VALUE} characters, at most {MAX_STARS} stars"
            )
    if not any(re.search(r"\w", wanted) for wanted in rule.claims.values()):
        raise InvalidParameter("claims: stars alone would let everyone in whom the platform knows")
    if not rule.agent_name or len(rule.agent_name) > MAX_VALUE:
        raise InvalidParameter(f"agent_name: 1 to {MAX_VALUE} characters")
    if len(rule.tags) > MAX_LABELS or len(rule.metadata) > MAX_METADATA:
        raise InvalidParameter(f"tags and metadata: at most {MAX_LABELS}")
    for tag in rule.tags:
        require_label("tags", tag)
    for text in (rule.sponsor or "", rule.owner, rule.agent_name, *rule.metadata, *rule.metadata.values()):
        require_text("rule", text)
    return rule


def _require_issuer(rule: AttestationRule) -> None:
    require_text("issuer", rule.issuer)
    if rule.jwks is not None:
        if rule.jwks_uri is not None:
            raise InvalidParameter("either jwks or jwks_uri")
        _require_pinned(rule.jwks)
        return  # a SPIFFE trust domain and a private cluster have no address to ask
    for url in (rule.issuer, rule.jwks_uri or rule.issuer):
        if urlsplit(url).scheme not in ("https", "http"):
            raise InvalidParameter("issuer: a URL to fetch keys from, or pin them with jwks")


def _require_pinned(jwks: Mapping[str, object]) -> None:
    members = jwks.get("keys")
    if not isinstance(members, list) or not 0 < len(members) <= MAX_PINNED:
        raise InvalidParameter(f"jwks: 1 to {MAX_PINNED} keys")
    for member in members:
        try:
            parse_public_jwk(member, rsa_too=True)
        except BadKey as error:
            raise InvalidParameter("jwks: public keys of a kind used here") from error
        if not isinstance(member, dict) or "d" in member:
            raise InvalidParameter("jwks: public halves of keys alone")


def _is(claim: object, wanted: str) -> bool:
    return isinstance(claim, str) and len(claim) <= MAX_VALUE and fits(wanted, claim)
