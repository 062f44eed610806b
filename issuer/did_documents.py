"""did:web documents of the issuer and of agents that want one, and the statement that ties DID and domain together.

What a document lists may be used now.  A suspended agent's document has no key: whoever resolves it finds that it
exists and can sign nothing.  A retired one has no document at all, which is how did:web is deactivated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from did_agent.clock import format_timestamp, numeric_date
from did_agent.did.key import did_key, parse_did_key
from did_agent.did.web import PREFIX, did_web_url
from did_agent.errors import BadDID, NotFound
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.multikey import encode_multikey
from did_agent.proof.jwt import sign_jwt
from issuer.model import Agent

LINKAGE_CONTEXT: Final = "https://identity.foundation/.well-known/did-configuration/v1"
LINKAGE_LIFE: Final = timedelta(days=1)
_CONTEXT: Final = ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"]
_CREDENTIALS: Final = "https://www.w3.org/2018/credentials/v1"
_AGENTS: Final = "agents"
_UUID: Final = "urn:uuid:"


def web_did(url: str, *segments: str) -> str:
    """Return the did:web of an issuer, or of something below it.

    Raises: NotFound where the issuer's address has none: did:web knows names at https, without a path.
    """
    parts = urlsplit(url)
    did = PREFIX + ":".join((parts.netloc.replace(":", "%3A"), *segments))
    try:
        did_web_url(did, allow_loopback=True)
    except BadDID as error:
        raise NotFound("the address of this issuer has no did:web") from error
    if parts.path:
        raise NotFound("the address of this issuer has no did:web")
    return did


def slug_of(agent_id: str) -> str:
    """Return how an agent is called in its did:web."""
    return agent_id.removeprefix(_UUID)


def agent_id_of(slug: str) -> str:
    """Return the agent id behind the name in a did:web."""
    return _UUID + slug


def issuer_document(url: str, dids: Sequence[str]) -> dict[str, object]:
    """Return the document of the issuer with its keys, by the did:keys they are.  Raises: NotFound."""
    return _document(web_did(url), *dids)


def agent_document(url: str, agent: Agent) -> dict[str, object]:
    """Return the document of an agent.

    Raises: NotFound for one that has no key, or is retired.
    """
    if agent.did is None or agent.state not in ("active", "suspended"):
        raise NotFound("there is no such agent")
    did = web_did(url, _AGENTS, slug_of(agent.agent_id))
    return {**_document(did, *([agent.did] if agent.state == "active" else [])), "controller": web_did(url)}


def domain_linkage(url: str, key: SigningKey, *, now: datetime) -> dict[str, object]:
    """Return the DID configuration of the issuer's domain (DIF Well Known DID Configuration)."""
    did, parts, until = did_key(key.public), urlsplit(url), now + LINKAGE_LIFE
    origin = f"{parts.scheme}://{parts.netloc}"
    claims: Mapping[str, object] = {
        "iss": did,
        "sub": did,
        "nbf": numeric_date(now),
        "exp": numeric_date(until),
        "vc": {
            "@context": [_CREDENTIALS, LINKAGE_CONTEXT],
            "type": ["VerifiableCredential", "DomainLinkageCredential"],
            "issuer": did,
            "issuanceDate": format_timestamp(now),
            "expirationDate": format_timestamp(until),
            "credentialSubject": {"id": did, "origin": origin},
        },
    }
    return {"@context": LINKAGE_CONTEXT, "linked_dids": [sign_jwt(claims, typ="JWT", key=key, kid=f"{did}#{_of(did)}")]}


def _document(did: str, *keys: str) -> dict[str, object]:
    if not keys:
        return {"@context": _CONTEXT, "id": did}
    methods = {f"{did}#{_of(key)}": key for key in keys}
    return {
        "@context": _CONTEXT,
        "id": did,
        "alsoKnownAs": [*keys],
        "verificationMethod": [
            {
                "id": method,
                "type": "Multikey",
                "controller": did,
                "publicKeyMultibase": encode_multikey(parse_did_key(key)),
            }
            for method, key in methods.items()
        ],
        "authentication": [*methods],
        "assertionMethod": [*methods],
    }


def _of(did: str) -> str:
    return did.rsplit(":", 1)[1]
