"""From a grant to the signed access token (RFC 9068)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime

from bridge.model import Grant, Identity
from bridge.model.keys import Signer
from did_agent.credential.limits import MAX_ACCOUNTS
from did_agent.errors import TooLarge
from did_agent.keys.public import PublicKey
from did_agent.proof.jose import MAX_TOKEN
from did_agent.proof.jwt import unverified_jws
from did_agent.tokens.access_token import MAX_CREDENTIALS, AccessToken, encode_access_token, verify_access_token
from did_agent.tokens.confirmation import Confirmation


def access_token(grant: Grant, *, identity: Identity, now: datetime) -> AccessToken:
    """Return what the token of `grant` says, under a fresh `jti`."""
    digest = grant.authority.digest
    return AccessToken(
        issuer=identity.issuer,
        subject=grant.subject,
        subject_profile=grant.subject_profile,
        audience=grant.resource,
        client_id=grant.client_id,
        issued_at=now,
        expires=grant.expires,
        id=secrets.token_urlsafe(18),
        scopes=grant.scopes,
        actors=grant.actors,
        capabilities=grant.authority.capabilities,
        entitlements=grant.entitlements,
        evidence=digest,
        evidence_uri=None if digest is None else f"{identity.issuer}/evidence/{digest}",
        credential_ids=grant.credential_ids,
        confirmation=grant.confirmation,
        groups=grant.groups,
        organisation=grant.organisation,
        task=grant.task,
    )


def sign(token: AccessToken, *, signer: Signer) -> str:
    """Return the signed token.

    Raises: TooLarge when no resource could read it.
    """
    text = encode_access_token(token, key=signer.key, kid=signer.kid)
    counted = max((len(held.accounts) for held in token.capabilities), default=0)
    if len(text) > MAX_TOKEN or len(token.credential_ids) > MAX_CREDENTIALS or counted > MAX_ACCOUNTS:
        raise TooLarge("the token would be larger than resources read; ask for fewer tools")
    return text


def verify_own(
    text: str, *, identity: Identity, audience: str | None, proven: frozenset[Confirmation] | None, now: datetime
) -> AccessToken:
    """Return a token that we issued, for `audience`, or for any when that is None; `proven` as in the core.

    Raises: what `verify_access_token` raises.
    """

    def find_key(header: Mapping[str, object], _claims: Mapping[str, object]) -> PublicKey:
        return identity.ring.find(header.get("kid"))

    unverified = unverified_jws(text)[1].get("aud") if audience is None else audience
    return verify_access_token(
        text,
        find_key=find_key,
        expected_issuer=identity.issuer,
        expected_audience=str(unverified),
        proven=proven,
        now=now,
    )
