"""From a document straight to quads: expansion and RDF conversion of JSON-LD 1.1 in one walk over compiled contexts.

It covers what credentials are made of: nodes, identifiers, typed strings, whole numbers, booleans, `@json` and nested
graphs.  Whatever else it meets it leaves to the reference, so that it can only be faster, never different; what it
would have to drop it refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.jsonld.active import MISSING, ROOT, Active, Term, UnsupportedError
from did_agent.encoding.rdf import RDF, RDF_TYPE, XSD, Quad, iri, literal

MAX_QUADS: Final = 2_000  # the same bound as before canonicalization, met while walking (VCX-09)

_JSON: Final = RDF + "JSON"
_BOOLEAN: Final = XSD + "boolean"
_INTEGER: Final = XSD + "integer"
_DOUBLE: Final = XSD + "double"
_MAX_INTEGER: Final = 2**53 - 1


def to_quads(document: Mapping[str, object]) -> list[Quad]:
    """Return the RDF dataset of a document.

    Raises: UnsupportedError where the reference must decide, UnknownContext, BadEncoding.
    """
    walk = _Walk()
    walk.node(document, ROOT, None, "")
    if not walk.quads:
        raise UnsupportedError
    return walk.quads


class _Walk:
    __slots__ = ("_blank", "quads")

    def __init__(self) -> None:
        self.quads: list[Quad] = []
        self._blank = 0

    def node(self, element: Mapping[str, object], active: Active, term: tuple[str, Term] | None, graph: str) -> str:
        """Add the quads of a node object and return its subject."""
        types_of = _context_of(element, active, term)
        subject, types = _identity(element, types_of)
        active = types_of
        for name in sorted(types):
            defined = types_of.terms.get(name)
            if defined is not None and defined.scope is not MISSING:
                active = active.scoped(defined, name, by_type=True)
        subject = subject or self.blank()
        quads = self.quads
        if len(quads) > MAX_QUADS:
            raise UnsupportedError
        quads += [(subject, RDF_TYPE, _vocabulary(name, types_of), graph) for name in types]
        terms = active.terms
        for name, value in element.items():
            found = terms.get(name)
            if found is None:
                if name not in ("@context", "@id", "@type"):
                    raise UnsupportedError
            elif not found.keyword:
                self._property(subject, name, found, value, active, graph)
        return subject

    def blank(self) -> str:
        self._blank += 1
        return f"_:b{self._blank}"

    def _property(self, subject: str, name: str, term: Term, value: object, active: Active, graph: str) -> None:
        quads, predicate = self.quads, term.predicate
        if term.type == "@json":
            if term.container:
                raise UnsupportedError
            quads.append((subject, predicate, literal(canonicalize(value).decode("utf-8"), _JSON), graph))
            return
        values = value if isinstance(value, list) else (value,)
        if not values or term.container == "@list":
            raise UnsupportedError
        for item in values:
            if isinstance(item, dict):
                if term.container == "@graph":
                    inner = self.blank()
                    quads.append((subject, predicate, inner, graph))
                    before = len(quads)
                    self.node(item, active, (name, term), inner)
                    if len(quads) == before:
                        raise UnsupportedError
                else:
                    quads.append((subject, predicate, self.node(item, active, (name, term), graph), graph))
            elif term.container == "@graph":
                raise UnsupportedError
            else:
                inside = active if term.scope is MISSING else active.scoped(term, name, by_type=False)
                quads.append((subject, predicate, _scalar(item, term.type, inside), graph))


def _context_of(element: Mapping[str, object], active: Active, term: tuple[str, Term] | None) -> Active:
    """JSON-LD 1.1 API, 5.1.2, steps 7 to 9: leave a type's scope, enter the property's, then the element's own."""
    if "@value" in element:
        raise UnsupportedError
    if active.previous is not None and not (len(element) == 1 and _keyword(next(iter(element)), active) == "@id"):
        active = active.previous
    if term is not None and term[1].scope is not MISSING:
        active = active.scoped(term[1], term[0], by_type=False)
    return active.enter(element["@context"]) if "@context" in element else active


def _identity(element: Mapping[str, object], active: Active) -> tuple[str, tuple[str, ...]]:
    """Return the subject of a node, empty when it has no identifier, and the names of its types."""
    subject: str = ""
    types: tuple[str, ...] = ()
    for name, value in element.items():
        keyword = _keyword(name, active)
        if not keyword or keyword == "@context":
            continue
        if subject if keyword == "@id" else types:
            raise UnsupportedError
        if keyword == "@id":
            subject = _identifier(value, active)
        else:
            types = _names(value)
    return subject, types


def _keyword(name: str, active: Active) -> str:
    if name.startswith("@"):
        if name not in ("@id", "@type", "@context"):
            raise UnsupportedError
        return name
    found = active.terms.get(name)
    return found.iri if found is not None and found.keyword else ""


def _names(value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(name, str) for name in listed):
        raise UnsupportedError
    return tuple(listed)


def _identifier(value: object, active: Active) -> str:
    """Return the term of an absolute IRI; a prefix of the context could make it another one."""
    if not isinstance(value, str):
        raise UnsupportedError
    prefix, colon, suffix = value.partition(":")
    if not colon or prefix == "_" or (prefix in active.terms and not suffix.startswith("//")):
        raise UnsupportedError
    return iri(value)


def _vocabulary(name: str, active: Active) -> str:
    found = active.terms.get(name)
    if found is None:
        return _identifier(name, active)
    if found.keyword:
        raise UnsupportedError
    return found.predicate


def _scalar(value: object, value_type: str, active: Active) -> str:
    if isinstance(value, str):
        if value_type == "@id":
            return _identifier(value, active)
        if value_type == "@vocab":
            return _vocabulary(value, active)
        return literal(value, value_type)
    if value_type in ("@id", "@vocab", _DOUBLE):
        raise UnsupportedError
    if isinstance(value, bool):
        return literal("true" if value else "false", value_type or _BOOLEAN)
    if isinstance(value, int) and abs(value) <= _MAX_INTEGER:
        return literal(str(value), value_type or _INTEGER)
    raise UnsupportedError
