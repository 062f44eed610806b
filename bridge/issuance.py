"""From a grant to the claims of an access token (RFC 9068), never longer-lived than what it was made from."""

from __future__ import annotations

import secrets
from datetime import datetime

from bridge.model import Grant, Identity, TokenRecord
from did_agent.errors import TooLarge
from did_agent.proof.jose import MAX_TOKEN
from did_agent.tokens.access_token import MAX_CREDENTIALS, AccessToken, encode_access_token


def new_token_id() -> str:
    """Return a fresh `jti`."""
    return secrets.token_urlsafe(18)


def access_token(grant: Grant, *, identity: Identity, token_id: str, now: datetime) -> AccessToken:
    """Return what the token of `grant` says."""
    digest = grant.authority.digest
    return AccessToken(
        issuer=identity.issuer,
        subject=grant.subject,
        subject_profile=grant.subject_profile,
        audience=grant.resource,
        client_id=grant.client_id,
        issued_at=now,
        expires=grant.expires,
        id=token_id,
        scopes=grant.scopes,
        actors=grant.actors,
        capabilities=grant.authority.capabilities,
        entitlements=grant.entitlements,
        evidence=digest,
        evidence_uri=None if digest is None else f"{identity.issuer}/evidence/{digest}",
        credential_ids=grant.credential_ids,
    )


def sign(token: AccessToken, *, identity: Identity) -> str:
    """Return the signed token.

    Raises: TooLarge when no resource could read it.
    """
    if len(token.credential_ids) > MAX_CREDENTIALS:
        raise TooLarge(f"the token would name more than {MAX_CREDENTIALS} credentials")
    text = encode_access_token(token, key=identity.token_key, kid=identity.kid)
    if len(text) > MAX_TOKEN:
        raise TooLarge(f"the token would have more than {MAX_TOKEN} bytes; ask for fewer tools")
    return text


def token_record(token: AccessToken, *, parent_id: str | None) -> TokenRecord:
    """Return what the bridge keeps of a token."""
    return TokenRecord(
        id=token.id,
        client_id=token.client_id,
        subject=token.subject,
        resource=token.audience,
        expires=token.expires,
        parent_id=parent_id,
    )
