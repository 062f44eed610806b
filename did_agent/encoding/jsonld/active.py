"""Active contexts (JSON-LD 1.1, 4.1) over the pinned tables, compiled once and then only looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from did_agent.encoding.jsonld.table import context_document
from did_agent.encoding.rdf import iri as iri_term

MAX_CONTEXTS: Final = 8  # of one document (LIM)
_MAX_KEPT: Final = 256  # combinations of contexts kept compiled; others are compiled again
_KEYWORDS: Final = frozenset({"@id", "@type"})
_MEMBERS: Final = frozenset({"@id", "@type", "@container", "@context"})


class UnsupportedError(Exception):
    """The compiled path does not cover this; the reference decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What one member name means in one context."""

    iri: str
    keyword: bool  # an alias of @id or @type
    predicate: str  # the IRI as a term of N-Quads, empty for keywords
    type: str  # "", "@id", "@vocab", "@json" or a datatype
    container: str  # "", "@set" or "@graph"; lists are left to the reference
    scope: object  # context of the values, or of nodes of this type; MISSING when there is none
    protected: bool
    raw: Mapping[str, object] = field(repr=False)  # as defined, for comparing redefinitions


MISSING: Final = object()


@dataclass(slots=True, eq=False)
class Active:
    """The meaning of every name at one place of a document; never changed once made."""

    terms: Mapping[str, Term]
    previous: Active | None = None  # where nested nodes go back to, after a type brought its own scope
    _entered: dict[object, Active] = field(default_factory=dict, repr=False)

    def enter(self, contexts: object) -> Active:
        """Return what holds under the `@context` of a document: an address or a list of them.

        Raises: UnsupportedError, UnknownContext.
        """
        urls = tuple(contexts) if isinstance(contexts, list) else (contexts,)
        if len(urls) > MAX_CONTEXTS or not all(isinstance(url, str) for url in urls):
            raise UnsupportedError
        return self._kept(urls) or self._keep(urls, self._enter_all(urls))

    def scoped(self, term: Term, name: str, *, by_type: bool) -> Active:
        """Return what holds inside the values of a property, or in a node of a type.

        Raises: UnsupportedError.
        """
        key = (by_type, name, id(term.scope))
        found = self._kept(key)
        if found is None:
            found = self._keep(key, _extend(self, term.scope, override=not by_type, propagate=not by_type))
        return found

    def _kept(self, key: object) -> Active | None:
        return self._entered.get(key)

    def _keep(self, key: object, made: Active) -> Active:
        if len(self._entered) < _MAX_KEPT:
            self._entered[key] = made
        return made

    def _enter_all(self, urls: tuple[Any, ...]) -> Active:
        active = self
        for url in urls:
            active = _extend(active, context_document(url)["@context"], override=False, propagate=True)
        return active


ROOT: Final = Active(terms={})


def _extend(active: Active, context: object, *, override: bool, propagate: bool) -> Active:
    """JSON-LD 1.1 API, 4.1, for the features that the pinned contexts use."""
    previous = active.previous if propagate or active.previous is not None else active
    if context is None:
        if not override and any(term.protected for term in active.terms.values()):
            raise UnsupportedError
        return Active(terms={}, previous=previous)
    if not isinstance(context, dict) or "@vocab" in context:
        raise UnsupportedError
    terms = dict(active.terms)
    protected = bool(context.get("@protected", False))
    for name, definition in context.items():
        if name.startswith("@"):
            continue
        made = _term(definition, context, active, protected=protected)
        old = active.terms.get(name)
        if old is not None and old.protected and not override:
            if old.raw != made.raw or old.iri != made.iri:
                raise UnsupportedError  # an attempt to redefine; the reference says so
            made = old
        terms[name] = made
    return Active(terms=terms, previous=previous)


def _term(definition: object, context: Mapping[str, object], active: Active, *, protected: bool) -> Term:
    raw: dict[str, Any] = {"@id": definition} if isinstance(definition, str) else dict(_object(definition))
    if not raw.keys() <= _MEMBERS or not isinstance(raw.get("@id"), str):
        raise UnsupportedError
    name = raw["@id"]
    keyword = name in _KEYWORDS
    full = name if keyword else _expand(name, context, active)
    value_type = raw.get("@type", "")
    if value_type and not value_type.startswith("@"):
        value_type = _expand(value_type, context, active)
    return Term(
        iri=full,
        keyword=keyword,
        predicate="" if keyword else iri_term(full),
        type=value_type,
        container=raw.get("@container", ""),
        scope=raw.get("@context", MISSING),
        protected=protected,
        raw=raw,
    )


def _expand(name: str, context: Mapping[str, object], active: Active) -> str:
    prefix, colon, suffix = name.partition(":")
    if not colon:
        raise UnsupportedError
    if suffix.startswith("//"):
        return name
    defined = context.get(prefix)
    if defined is None:
        if prefix in active.terms:
            raise UnsupportedError
        return name
    base = defined if isinstance(defined, str) else _object(defined).get("@id")
    if not isinstance(base, str) or "://" not in base:
        raise UnsupportedError
    return base + suffix


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UnsupportedError
    return value
