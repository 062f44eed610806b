"""Agents' credentials as SD-JWT VC (`dc+sd-jwt`), bound to the agent's key; the record keeps the same facts as VCDM."""

from __future__ import annotations

from datetime import datetime, timedelta

from did_agent.credential.issuance import new_id
from did_agent.credential.sd_jwt_vc import issue_sd_jwt_vc
from did_agent.credential.token_status import TokenStatusReference
from did_agent.did.key import did_key, parse_did_key, verification_method
from did_agent.keys.ed25519 import SigningKey
from issuer.configurations import vct_url
from issuer.granting import MAX_SECONDS
from issuer.model import Agent, Grant
from issuer.status_lists import token_list_url


def identity_sd_jwt(agent: Agent, *, key: SigningKey, issuer_url: str, now: datetime) -> tuple[str, str]:
    """Return the id and the SD-JWT VC that says who an agent is; beyond name and id the holder may keep all back."""
    identifier = new_id()
    claims: dict[str, object] = {"jti": identifier, "agent_id": agent.agent_id, "name": agent.name}
    hidden: dict[str, object] = {"sponsor": agent.sponsor}
    hidden |= {"description": agent.description} if agent.description else {}
    hidden |= {"software": dict(agent.metadata)} if agent.metadata else {}
    credential = issue_sd_jwt_vc(
        claims | hidden,
        vct=vct_url(issuer_url, "identity"),
        key=key,
        verification_method=verification_method(did_key(key.public)),
        holder=parse_did_key(agent.did),
        subject=agent.did,
        issued_at=now,
        expires=now + timedelta(seconds=MAX_SECONDS),
        disclosable=[f"/{name}" for name in hidden],
    )
    return identifier, credential


def capability_sd_jwt(grant: Grant, *, key: SigningKey, issuer_url: str) -> str:
    """Return the SD-JWT VC of a grant; its holder may keep single capabilities back, which is to show less."""
    subject = grant.document["credentialSubject"]
    assert isinstance(subject, dict)  # noqa: S101  # built by us a moment ago
    delegation = subject["delegation"]
    claims: dict[str, object] = {
        "jti": grant.id,
        "capability": subject["capability"],
        "delegation": {"depth": delegation["depth"], "max_depth": delegation["maxDepth"]},
    }
    if "onBehalfOf" in subject:
        claims["on_behalf_of"] = subject["onBehalfOf"]
    if "account" in subject:
        claims["account"] = subject["account"]
    return issue_sd_jwt_vc(
        claims,
        vct=vct_url(issuer_url, "capability"),
        key=key,
        verification_method=verification_method(did_key(key.public)),
        holder=parse_did_key(grant.did),
        subject=grant.did,
        issued_at=grant.issued,
        expires=grant.valid_until,
        disclosable=[f"/capability/{number}" for number in range(len(subject["capability"]))],
        status=TokenStatusReference(index=grant.list_index, uri=token_list_url(issuer_url, grant.list_number)),
    )
