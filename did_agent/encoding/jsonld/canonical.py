"""Documents as canonical N-Quads: what the RDFC cryptosuites sign (VC Data Integrity 1.0; RDFC-1.0)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from did_agent.encoding.jsonld import compiled
from did_agent.encoding.jsonld.active import UnsupportedError
from did_agent.encoding.rdf import Quad
from did_agent.encoding.rdfc import canonicalize
from did_agent.errors import DataLoss


def canonical_nquads(document: Mapping[str, object], hash_name: str = "sha256") -> bytes:
    """Return the canonical N-Quads of a document; every member is in them, or it is refused (VCX-08).

    Raises: UnknownContext, DataLoss, BadEncoding, TooComplex.
    """
    return canonicalize(dataset(document), hash_name).text


def dataset(document: Mapping[str, object]) -> Sequence[Quad]:
    """Return the RDF dataset of a document, by the compiled path where it covers it, else by the reference.

    Raises: UnknownContext, DataLoss, BadEncoding, TooComplex.
    """
    try:
        return compiled.to_quads(document)
    except UnsupportedError:
        return reference_dataset(document)


def reference_dataset(document: Mapping[str, object]) -> Sequence[Quad]:
    """Return the same by PyLD alone.

    Raises: UnknownContext, DataLoss, BadEncoding, TooComplex.
    """
    # Loaded when needed: verifying needs it for documents out of the ordinary only.
    from did_agent.encoding.jsonld import reference

    quads = reference.to_quads(reference.expand(document))
    if not quads:
        raise DataLoss("the document says nothing that could be signed")
    return quads
