"""The JSON-LD contexts of our credentials: exact profiles, and the document behind our own URL (VCDM 2.0, 4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CONTEXT_V2: Final = "https://www.w3.org/ns/credentials/v2"
CAPABILITY_CONTEXT: Final = "https://w3id.org/did-agent/capability/v1"
VOCABULARY: Final = "https://w3id.org/did-agent#"

# A profile is the whole array, in order.  Anything else could give a known term another meaning (VCX-07).
AGENT_PROFILE: Final = [CONTEXT_V2, CAPABILITY_CONTEXT]
PLAIN_PROFILE: Final = [CONTEXT_V2]

_COUNT: Final = "http://www.w3.org/2001/XMLSchema#nonNegativeInteger"


def capability_context_document() -> dict[str, object]:
    """Return the context that issuers serve at CAPABILITY_CONTEXT; every term is protected and scoped to its type.

    `tools` and `limits` are `@json`: their keys are free, as RDF they would be dropped or merged.
    """
    agent = {
        "onBehalfOf": _link("onBehalfOf"),
        "capability": {**_link("capability"), "@container": "@set"},
        "delegation": _link("delegation"),
        "name": "https://schema.org/name",
        "description": "https://schema.org/description",
        "sponsor": _term("sponsor"),
        "software": _json("software"),
        "agentId": _link("agentId"),
    }
    capability = {
        "resource": {**_link("resource"), "@container": "@set"},
        "tools": _json("tools"),
        "limits": _json("limits"),
    }
    policy = {
        "depth": {"@id": VOCABULARY + "depth", "@type": _COUNT},
        "maxDepth": {"@id": VOCABULARY + "maxDepth", "@type": _COUNT},
        "parent": _link("parent"),
    }
    return {
        "@context": _scope(
            {
                "AgentCapabilityCredential": _term("AgentCapabilityCredential"),
                "AgentIdentityCredential": _term("AgentIdentityCredential"),
                "AIAgent": _type("AIAgent", agent),
                "AgentCapability": _type("AgentCapability", capability),
                "DelegationPolicy": _type("DelegationPolicy", policy),
            }
        )
    }


def _term(name: str) -> str:
    return VOCABULARY + name


def _link(name: str) -> dict[str, object]:
    return {"@id": VOCABULARY + name, "@type": "@id"}


def _json(name: str) -> dict[str, object]:
    return {"@id": VOCABULARY + name, "@type": "@json"}


def _type(name: str, terms: Mapping[str, object]) -> dict[str, object]:
    return {"@id": VOCABULARY + name, "@context": _scope(terms)}


def _scope(terms: Mapping[str, object]) -> dict[str, object]:
    return {"@protected": True, "id": "@id", "type": "@type", **terms}
