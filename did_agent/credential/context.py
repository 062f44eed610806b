"""The JSON-LD contexts of our credentials: exact profiles, and the document behind our own URL (VCDM 2.0, 4.3)."""

from __future__ import annotations

from typing import Final

from did_agent.encoding.jsonld.table import context_document

CONTEXT_V2: Final = "https://www.w3.org/ns/credentials/v2"
CAPABILITY_CONTEXT: Final = "https://w3id.org/did-agent/capability/v1"
VOCABULARY: Final = "https://w3id.org/did-agent#"

# A profile is the whole array, in order.  Anything else could give a known term another meaning (VCX-07).
AGENT_PROFILE: Final = [CONTEXT_V2, CAPABILITY_CONTEXT]
PLAIN_PROFILE: Final = [CONTEXT_V2]


def capability_context_document() -> dict[str, object]:
    """Return the context that issuers serve at CAPABILITY_CONTEXT; every term is protected and scoped to its type.

    `tools` and `limits` are `@json`: their keys are free, as RDF they would be dropped or merged.
    """
    return dict(context_document(CAPABILITY_CONTEXT))
