"""Statements of a document that can be left out one by one: naming them, and finding those that pointers mean.

VC-DI-ECDSA 1.0, 3.4: blank nodes are named by an HMAC of their canonical label, so that a name tells nothing of what
was left out; a part of the document is matched to the statements of the whole.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from did_agent.encoding.jcs import canonicalize as canonical_json
from did_agent.encoding.jsonld import dataset
from did_agent.encoding.rdf import Quad, line
from did_agent.encoding.rdfc import canonicalize
from did_agent.errors import BadEncoding, BadProof, DataLoss
from did_agent.proof.json_pointer import select
from did_agent.proof.selective_value import signed_label

JSONObject = Mapping[str, object]

# Stand-ins for blank nodes while parts are cut out (3.4.8).  They never leave this module, and a document that
# already holds one is refused, since it then reads differently with them than without.
_STAND_IN: Final = "urn:bnid:"
_IDENTIFIERS: Final = ("id", "@id")
_NO_NODE: Final = frozenset({"@value", "@list", "@set", "@graph"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some statements of a document."""

    quads: tuple[Quad, ...]  # with the blank nodes of the whole
    indexes: tuple[int, ...]  # where they stand among the lines of the whole, ascending


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """All statements of a document, under the names they are signed by."""

    lines: tuple[str, ...]  # sorted N-Quads, each with its newline
    labels: Mapping[str, str]  # blank node to the label it is signed by
    _named: JSONObject  # the document with a stand-in for each blank node
    _positions: Mapping[str, int]

    def part(self, pointers: Iterable[str]) -> Part:
        """Return the statements that JSON pointers select (3.4.15).

        Raises: BadProof for a pointer that leads nowhere, or into a value that is signed as one piece.
        """
        chosen = select(self._named, pointers)
        quads = tuple(_with_blank_nodes(document_quads(chosen))) if chosen else ()
        try:
            indexes = {self._positions[relabelled(quad, self.labels)] for quad in quads}
        except KeyError as error:
            raise BadProof("a pointer leads into a value that can only be shown as a whole") from error
        return Part(quads=quads, indexes=tuple(sorted(indexes)))


def statements(document: JSONObject, hmac_key: bytes) -> Statements:
    """Return the statements of a document, its blank nodes named with the HMAC key (3.4.2, 3.4.4).

    Raises: BadProof for blank nodes without a place of their own in the document (lists, graphs, explicit labels),
    UnknownContext, DataLoss, TooComplex.
    """
    named, quads, canonical = _with_stand_ins(document)
    labels = {
        label: signed_label(hmac.digest(hmac_key, name.removeprefix("_:").encode("ascii"), "sha256"))
        for label, name in canonical.items()
    }
    lines = tuple(sorted({relabelled(quad, labels) for quad in quads}))
    return Statements(lines=lines, labels=labels, _named=named, _positions={text: at for at, text in enumerate(lines)})


def relabelled(quad: Quad, labels: Mapping[str, str]) -> str:
    """Return the N-Quads line of a quad under other names of its blank nodes.

    Raises: KeyError when one has no name.
    """
    subject, predicate, value, graph = (labels[term] if term[:1] == "_" else term for term in quad)
    return line((subject, predicate, value, graph))


def document_quads(document: JSONObject) -> Sequence[Quad]:
    """Return the RDF dataset of a document.

    Raises: BadProof when it has none, UnknownContext, DataLoss, TooComplex.
    """
    try:
        return dataset(document)
    except BadEncoding as error:
        raise BadProof("the document has no canonical form") from error


def _with_stand_ins(document: JSONObject) -> tuple[JSONObject, Sequence[Quad], Mapping[str, str]]:
    """Return the document with an identifier for each of its blank nodes, its quads, and their canonical labels.

    Which objects are nodes depends on the context.  So every object without an identifier gets one, and the result
    is held against the original; only then the contents of JSON literals are looked for and left alone.
    """
    expected = canonicalize(document_quads(document)).lines
    for literals in (_no_literals, _json_literals):
        named = _named(document, frozenset(literals(document)))
        try:
            quads = _stood_in(document_quads(named))
        except (BadProof, DataLoss):
            if literals is _json_literals:
                raise
            continue  # an identifier where none may stand
        canonical = canonicalize(quads)
        if canonical.lines == expected:
            return named, quads, canonical.labels
    raise BadProof("the document has parts that cannot be told apart for selective disclosure")


def _stood_in(quads: Sequence[Quad]) -> Sequence[Quad]:
    # Left without a stand-in: cells of lists, names of graphs.  They would be named anew in each part.
    if any(term[:1] == "_" for quad in quads for term in quad):
        raise BadProof("ordered lists and nested graphs cannot be disclosed selectively")
    return tuple(_with_blank_nodes(quads))


def _named(document: JSONObject, literals: frozenset[bytes]) -> dict[str, object]:
    numbers = count()

    def walk(value: object) -> object:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, dict) or (literals and canonical_json(value) in literals):
            return value
        return node(value)

    def node(value: JSONObject) -> dict[str, object]:
        found = {name: item if name == "@context" else walk(item) for name, item in value.items()}
        own = [value[name] for name in _IDENTIFIERS if name in value]
        if any(isinstance(name, str) and name.startswith("_:") for name in own):
            raise BadProof("labels of blank nodes cannot be disclosed selectively")
        return found if own or not _NO_NODE.isdisjoint(value) else {**found, "@id": f"{_STAND_IN}{next(numbers)}"}

    return node(document)


def _no_literals(_document: JSONObject) -> Iterator[bytes]:
    return iter(())


def _json_literals(document: JSONObject) -> Iterator[bytes]:
    """Yield what stands in the document as JSON literals, canonical."""
    from did_agent.encoding.jsonld.reference import expand

    waiting: list[object] = [expand(document)]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict) and item.get("@type") == "@json":
            yield from _inside(item.get("@value"))
        elif isinstance(item, dict):
            waiting += item.values()


def _inside(literal: object) -> Iterator[bytes]:
    if isinstance(literal, list):
        for item in literal:
            yield from _inside(item)
    elif isinstance(literal, dict):
        yield canonical_json(literal)


def _with_blank_nodes(quads: Iterable[Quad]) -> Iterator[Quad]:
    """Yield the quads with blank nodes in place of their stand-ins (3.4.6)."""
    prefix = f"<{_STAND_IN}"
    for quad in quads:
        subject, predicate, value, graph = (
            f"_:b{term[len(prefix) : -1]}" if term.startswith(prefix) else term for term in quad
        )
        yield subject, predicate, value, graph
