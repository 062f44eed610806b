"""JSON-LD for credentials: pinned contexts as term tables, a compiled path to canonical N-Quads, PyLD as reference."""

from did_agent.encoding.jsonld.canonical import canonical_nquads, dataset

__all__ = ["canonical_nquads", "dataset"]
