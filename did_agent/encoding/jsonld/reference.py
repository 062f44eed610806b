"""JSON-LD 1.1 by PyLD over the pinned contexts: the reference, and the way for what the compiled path does not cover.

The only module that imports PyLD.  Nothing is fetched, and nothing may be lost: a member without meaning, a relative
name, a null or an empty array would not be signed, so each of them is refused (VCX-07, VCX-08).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from pyld import jsonld

from did_agent.encoding import rdf
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.jsonld.table import context_document
from did_agent.errors import BadEncoding, DataLoss, TooComplex, UnknownContext

_NATIVE: Final = frozenset({"@value", "@type", "@language", "@direction", "@index"})
_NULL: Final = "\x00null"  # no JSON text that was read strictly and means something holds it
_VALUE_TYPES: Final = (str, bool, int, float)


def expand(document: Mapping[str, object]) -> list[Any]:
    """Return the expanded form of a document (JSON-LD 1.1 API, 5.1).

    Raises: UnknownContext, DataLoss, BadEncoding, TooComplex.
    """

    def refuse(name: object) -> None:
        raise DataLoss(f"the member {str(name)[:80]!r} has no meaning under the document's context")

    expanded: list[Any] = _call(jsonld.expand, _marked(document), on_property_dropped=refuse)
    _require_signed(expanded)
    return expanded


def compact(document: object, context: object) -> dict[str, Any]:
    """Return a document compacted with a context (JSON-LD 1.1 API, 6.1).

    Raises: as `expand`.
    """
    compacted: dict[str, Any] = _call(jsonld.compact, document, context)
    return compacted


def to_quads(expanded: list[Any]) -> list[rdf.Quad]:
    """Return the RDF dataset of an expanded document (JSON-LD 1.1 API, 7.1).

    Raises: BadEncoding for a term that N-Quads cannot say, TooComplex.
    """
    dataset: dict[str, list[dict[str, Any]]] = _call(jsonld.to_rdf, expanded)
    return [
        (_term(triple["subject"]), _term(triple["predicate"]), _term(triple["object"]), _graph(name))
        for name, triples in dataset.items()
        for triple in triples
    ]


def _call(function: Any, document: object, *arguments: object, **options: object) -> Any:
    try:
        # PyLD may keep and change what it gets.
        return function(
            copy.deepcopy(document),
            *arguments,
            {"documentLoader": _load, "base": None, "extractAllScripts": False},
            **options,
        )
    except jsonld.JsonLdError as error:
        raise _translated(error) from error
    except RecursionError as error:
        raise TooComplex("the document is nested too deeply") from error
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BadEncoding("the document is not JSON-LD") from error


def _load(url: str, _options: object) -> dict[str, object]:
    return {
        "contentType": "application/ld+json",
        "contextUrl": None,
        "documentUrl": url,
        "document": copy.deepcopy(dict(context_document(url))),
    }


def _translated(error: jsonld.JsonLdError) -> Exception:
    cause: Any = error
    while cause is not None:
        if isinstance(cause, UnknownContext | DataLoss):
            return cause
        cause = getattr(cause, "cause", None) or cause.__cause__
    return BadEncoding(f"the document is not JSON-LD: {str(error.code or error.type)[:80]}")


def _term(term: Mapping[str, Any]) -> str:
    kind, value = term["type"], term["value"]
    if kind == "IRI":
        return rdf.iri(value)
    if kind == "blank node":
        return str(value)
    if "language" in term:
        return rdf.language_literal(value, term["language"])
    return rdf.literal(value, term["datatype"])


def _graph(name: str) -> str:
    return "" if name == "@default" else name if name.startswith("_:") else rdf.iri(name)


def _marked(value: object) -> Any:
    """Return a document with `_NULL` for each null, which expansion would drop without a word."""
    if isinstance(value, dict):
        return {
            name: member if member is not None and name == "@context" else _marked(member)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [_marked(member) for member in value]
    return _NULL if value is None else value


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unmarked(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_unmarked(member) for member in value]
    return None if value == _NULL else value


def _require_signed(node: Any) -> None:
    """Refuse what expansion keeps and RDF loses: relative names, nulls and empty arrays."""
    if isinstance(node, list):
        for item in node:
            _require_signed(item)
    elif isinstance(node, dict):
        if "@value" in node:
            _require_value(node)
            return
        types = node.get("@type", [])
        names = [*(types if isinstance(types, list) else [types]), *(name for name in node if not name.startswith("@"))]
        for name in [*names, *([node["@id"]] if "@id" in node else [])]:
            _require_absolute(name)
        for name, value in node.items():
            if value == [] and not name.startswith("@"):
                raise DataLoss("an empty array would not be signed")
            if name not in ("@id", "@type"):
                _require_signed(value)


def _require_absolute(name: object) -> None:
    # PyLD drops a triple whose names are not absolute, without a word.
    try:
        if not isinstance(name, str) or not name.startswith("_:"):
            rdf.iri(str(name))
    except BadEncoding as error:
        raise DataLoss(f"{str(name)[:80]!r} is a relative name, which would not be signed") from error


def _require_value(node: dict[str, Any]) -> None:
    if node.get("@type") == "@json":
        node["@value"] = _unmarked(node["@value"])
        canonicalize(node["@value"])
    elif node["@value"] == _NULL:
        raise DataLoss("a null would not be signed")
    elif not node.keys() <= _NATIVE or not isinstance(node["@value"], _VALUE_TYPES):
        raise DataLoss("a value object that would not be signed as it stands")
    elif "@direction" in node:
        # RDF has no place for a base direction, and the ways to give it one are not part of the cryptosuites.
        return
