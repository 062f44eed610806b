"""What is measured: one agent's credential and presentation in every form, and our verification and issuing of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from did_agent.clock import format_timestamp
from did_agent.credential.context import AGENT_PROFILE, capability_context_document
from did_agent.credential.issuance import attenuate
from did_agent.credential.model import parse_capability_credential
from did_agent.did.key import did_key, verification_method
from did_agent.encoding import base64url
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present, present_jwt
from did_agent.proof.data_integrity import add_proof
from did_agent.proof.vc_jose import enveloped, secure

AUDIENCE = "https://verifier.example/mcp"
CHALLENGE = "n-0S6_WzA2Mj4kX9"
SUITES = {"jcs": "eddsa-jcs-2022", "rdfc": "eddsa-rdfc-2022"}
HOPS = 5  # signatures of the delegation chain

ISSUER, *AGENTS = (SigningKey.from_seed(bytes([number]) * 32) for number in range(1, HOPS + 2))
HOLDER = AGENTS[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The documents of one run: measured here, and handed to every peer that can read them."""

    now: datetime
    credential: dict[str, Any]  # unsigned
    presentations: Mapping[str, dict[str, Any]]  # by suite, each with its one credential
    jwt: str  # vp+jwt that carries the jcs credential
    enveloped_jwt: str  # vp+jwt that carries a vc+jwt: all the JOSE peers can read
    chain: Sequence[dict[str, Any]]

    def for_peers(self) -> str:
        """Return what a peer needs, as JSON."""
        return json.dumps(
            {
                "now": format_timestamp(self.now),
                "audience": AUDIENCE,
                "challenge": CHALLENGE,
                "issuerSeed": base64url.encode(ISSUER.seed()),
                "holderSeed": base64url.encode(HOLDER.seed()),
                "issuer": did_key(ISSUER.public),
                "holder": did_key(HOLDER.public),
                "credential": self.credential,
                "presentations": self.presentations,
                "envelopedJwt": self.enveloped_jwt,
                "hops": HOPS,
                "capabilityContext": capability_context_document(),
            }
        )


def make(now: datetime) -> Material:
    """Return the documents of a run that begins now."""
    credential = _credential(now)
    presentations = {name: _presentation(credential, suite, now) for name, suite in SUITES.items()}
    return Material(
        now=now,
        credential=credential,
        presentations=presentations,
        jwt=present_jwt([issued(credential, SUITES["jcs"], now)], key=HOLDER, audience=AUDIENCE, now=now),
        enveloped_jwt=_enveloped_jwt(credential, now),
        chain=_chain(credential, now),
    )


def large(name: str, now: datetime, size: int) -> str:
    """Return a presentation of about so many bytes and no more, one credential with many tools in it."""
    credential = _credential(now)
    tools = credential["credentialSubject"]["capability"][0]["tools"]
    tools.clear()
    filling = {"constraint_type": "one_of", "values": [f"/folder/of/some/length/{number:03}" for number in range(32)]}
    spare = size - len(text_of(_presentation(credential, SUITES[name], now)))
    for number in range(spare // (len(text_of({"path": filling})) + len('"tool_000":,'))):
        tools[f"tool_{number:03}"] = {"path": filling}
    return text_of(_presentation(credential, SUITES[name], now))


def text_of(document: Mapping[str, Any]) -> str:
    """Return the text that is sent."""
    # As HTTP clients and JSON.stringify write it.
    return json.dumps(document, separators=(",", ":"))


def _credential(now: datetime) -> dict[str, Any]:
    return {
        "@context": list(AGENT_PROFILE),
        "id": "urn:uuid:00000000-0000-4000-8000-000000000001",
        "type": ["VerifiableCredential", "AgentCapabilityCredential"],
        "issuer": did_key(ISSUER.public),
        "validFrom": format_timestamp(now - timedelta(minutes=1)),
        "validUntil": format_timestamp(now + timedelta(minutes=55)),
        "credentialSubject": {
            "id": did_key(HOLDER.public),
            "type": "AIAgent",
            "onBehalfOf": "https://users.example/4711",
            "capability": [
                {
                    "type": "AgentCapability",
                    "resource": [AUDIENCE],
                    "tools": {
                        "read_file": {"path": {"constraint_type": "one_of", "values": ["/a", "/b"]}},
                        "search": {
                            "query": {"constraint_type": "wildcard"},
                            "limit": {"constraint_type": "range", "min": 1, "max": 50},
                        },
                        "list_menu": {},
                    },
                    "limits": {"maxCalls": 200, "windowSeconds": 3600},
                }
            ],
            "delegation": {"type": "DelegationPolicy", "depth": 0, "maxDepth": HOPS},
        },
    }


def issued(document: Mapping[str, Any], suite: str, now: datetime) -> dict[str, Any]:
    """Return the credential with its issuer's proof."""
    method = verification_method(str(document["issuer"]))
    return add_proof(
        document, ISSUER, purpose="assertionMethod", created=now, verification_method=method, cryptosuite=suite
    )


def _presentation(credential: Mapping[str, Any], suite: str, now: datetime) -> dict[str, Any]:
    plain = present([issued(credential, suite, now)], key=HOLDER, audience=AUDIENCE, challenge=CHALLENGE, now=now)
    return add_proof(
        {name: value for name, value in plain.items() if name != "proof"},
        HOLDER,
        purpose="authentication",
        created=now,
        verification_method=verification_method(did_key(HOLDER.public)),
        cryptosuite=suite,
        challenge=CHALLENGE,
        domain=AUDIENCE,
    )


def _enveloped_jwt(credential: Mapping[str, Any], now: datetime) -> str:
    inner = secure(
        credential, ISSUER, envelope="vc+jwt", verification_method=verification_method(did_key(ISSUER.public))
    )
    holder = did_key(HOLDER.public)
    document = {
        "@context": [AGENT_PROFILE[0]],
        "type": ["VerifiablePresentation"],
        "holder": holder,
        "verifiableCredential": [enveloped(inner, "vc+jwt")],
    }
    claims = {"aud": AUDIENCE, "nonce": CHALLENGE, "iat": int(now.timestamp())}
    return secure(document, HOLDER, envelope="vp+jwt", verification_method=verification_method(holder), claims=claims)


def _chain(credential: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    links = [issued(credential, SUITES["jcs"], now)]
    for holder, subject in pairwise(AGENTS[:HOPS]):
        parent = parse_capability_credential(links[0])
        child = attenuate(
            links[0],
            key=holder,
            subject=did_key(subject.public),
            capabilities=parent.capabilities,
            valid_until=parent.valid_until,
            now=now,
        )
        links.insert(0, child)
    return links
