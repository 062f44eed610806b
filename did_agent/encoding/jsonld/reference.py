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
_VALUE_TYPES: Final = (str, bool, int, float)


def expand(document: Mapping[str, object]) -> list[Any]:
    """Return the expanded form of a document (JSON-LD 1.1 API, 5.1).

    Raises: UnknownContext, DataLoss, BadEncoding, TooComplex.
    """

    def refuse(name: object) -> None:
        raise DataLoss(f"the member {str(name)[:80]!r} has no meaning under the document's context")

    _require_no_holes(document)
    expanded: list[Any] = _call(jsonld.expand, document, on_property_dropped=refuse)
    _require_absolute(expanded)
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


def _require_no_holes(value: object) -> None:
    """Refuse nulls and empty arrays: they say nothing in RDF, so a signature would not notice them."""
    waiting: list[tuple[object, bool]] = [(value, False)]
    while waiting:
        item, _ = waiting.pop()
        if item is None or item == []:
            raise DataLoss("a null or an empty array would not be signed")
        if isinstance(item, dict):
            waiting += [(member, False) for name, member in item.items() if name != "@context"]
        elif isinstance(item, list):
            waiting += [(member, False) for member in item]


def _require_absolute(node: Any) -> None:
    """Refuse relative `@id` and `@type`, which expansion keeps and RDF loses."""
    if isinstance(node, list):
        for item in node:
            _require_absolute(item)
    elif isinstance(node, dict):
        if "@value" in node:
            _require_value(node)
            return
        names = node.get("@type", [])
        for name in [*(names if isinstance(names, list) else [names]), *([node["@id"]] if "@id" in node else [])]:
            if not isinstance(name, str) or ":" not in name:
                raise DataLoss(f"{str(name)[:80]!r} is a relative name, which would not be signed")
        for name, value in node.items():
            if name not in ("@id", "@type"):
                _require_absolute(value)


def _require_value(node: Mapping[str, Any]) -> None:
    if node.get("@type") == "@json":
        canonicalize(node["@value"])
    elif not node.keys() <= _NATIVE or not isinstance(node["@value"], _VALUE_TYPES):
        raise DataLoss("a value object that would not be signed as it stands")
    elif "@direction" in node:
        # RDF has no place for a base direction, and the ways to give it one are not part of the cryptosuites.
        return
