"""RDF datasets as N-Quads (RDF 1.1 N-Quads; canonical form of RDFC-1.0, section 5).

A term is its canonical text: `<iri>`, `_:label`, `"literal"` with `^^<datatype>` or `@language`.  A quad is four
terms, the last one empty in the default graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from did_agent.errors import BadEncoding

Quad = tuple[str, str, str, str]

XSD: Final = "http://www.w3.org/2001/XMLSchema#"
RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDF_TYPE: Final = f"<{RDF}type>"

# What an IRI in N-Quads may hold: no control characters, spaces or delimiters.
_IRI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|^`\\\ud800-\udfff]*")
_PLAIN: Final = re.compile(r'[^\x00-\x1f"\\\x7f]*')
_ESCAPES: Final = {
    **{code: f"\\u{code:04X}" for code in (*range(0x20), 0x7F)},
    **{ord(char): f"\\{letter}" for char, letter in zip('\b\t\n\f\r"\\', 'btnfr"\\', strict=True)},
}
_TERM: Final = re.compile(
    r"<(?P<iri>[^\x00-\x20<>\"{}|^`]*)>"
    r"|(?P<blank>_:[A-Za-z0-9_\u00c0-\U000effff][A-Za-z0-9_.\-\u00b7\u00c0-\U000effff]*)"
    r'|"(?P<literal>(?:[^"\\\n\r]|\\.)*)"(?:\^\^<(?P<type>[^\x00-\x20<>\"{}|^`]*)>|@(?P<language>[A-Za-z]+(?:-[A-Za-z0-9]+)*))?'
)
_ESCAPED: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_SHORT: Final = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f", '"': '"', "'": "'", "\\": "\\"}
_SUBJECT, _PREDICATE, _OBJECT, _GRAPH = range(4)


def iri(text: str) -> str:
    """Return the term of an absolute IRI.

    Raises: BadEncoding.
    """
    if not _IRI.fullmatch(text):
        raise BadEncoding(f"not an absolute IRI: {text[:80]!r}")
    return f"<{text}>"


def literal(text: str, datatype: str = "") -> str:
    """Return the term of a literal; an empty datatype is xsd:string, which has no mark."""
    escaped = text if _PLAIN.fullmatch(text) else text.translate(_ESCAPES)
    return f'"{escaped}"^^<{datatype}>' if datatype and datatype != XSD + "string" else f'"{escaped}"'


def language_literal(text: str, language: str) -> str:
    """Return the term of a literal in a language."""
    return f"{literal(text)}@{language}"


def line(quad: Quad) -> str:
    """Return the N-Quads line of a quad."""
    subject, predicate, value, graph = quad
    return f"{subject} {predicate} {value} {graph} .\n" if graph else f"{subject} {predicate} {value} .\n"


def serialize(quads: Iterable[Quad]) -> bytes:
    """Return sorted N-Quads without repetitions, UTF-8.

    Raises: BadEncoding for lone surrogates.
    """
    try:
        return "".join(sorted({line(quad) for quad in quads})).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadEncoding("a lone surrogate in a literal") from error


def parse_nquads(text: str) -> list[Quad]:
    """Return the quads of an N-Quads document, every term in its canonical text.

    Raises: BadEncoding.
    """
    return [_parse_line(row) for row in re.split(r"[\r\n]+", text) if row.strip(" \t") and row.lstrip(" \t")[0] != "#"]


def _parse_line(row: str) -> Quad:
    terms = list(_terms(row))
    if len(terms) not in (_GRAPH, _GRAPH + 1):
        raise BadEncoding("an N-Quads line has three or four terms")
    if terms[_SUBJECT][0] == '"' or terms[_PREDICATE][0] != "<" or terms[-1 if len(terms) > _GRAPH else 0][0] == '"':
        raise BadEncoding("a literal or blank node where none may stand")
    subject, predicate, value = terms[:_GRAPH]
    return subject, predicate, value, terms[_GRAPH] if len(terms) > _GRAPH else ""


def _terms(row: str) -> Iterator[str]:
    at, end = 0, len(row)
    while at < end:
        if row[at] in " \t":
            at += 1
        elif row[at] == ".":
            if row[at + 1 :].strip(" \t") and row[at + 1 :].strip(" \t")[0] != "#":
                raise BadEncoding("text after the end of an N-Quads statement")
            return
        else:
            match = _TERM.match(row, at)
            if match is None:
                raise BadEncoding("not a term of N-Quads")
            yield _term(match)
            at = match.end()
            # A blank node label may hold dots but not end in one: that one ends the statement.
            if match["blank"] is not None and match["blank"].endswith("."):
                at -= 1
    raise BadEncoding("an N-Quads statement ends in a dot")


def _term(match: re.Match[str]) -> str:
    if match["blank"] is not None:
        return match["blank"].rstrip(".")
    if match["iri"] is not None:
        return iri(_unescape(match["iri"]))
    text = _unescape(match["literal"])
    if match["language"] is not None:
        return language_literal(text, match["language"])
    return literal(text, _unescape(match["type"]) if match["type"] is not None else "")


def _unescape(text: str) -> str:
    return _ESCAPED.sub(_unescaped, text) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    if match[3] is not None:
        if match[3] not in _SHORT:
            raise BadEncoding("an unknown escape in N-Quads")
        return _SHORT[match[3]]
    code = int(match[1] or match[2], 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise BadEncoding("an escape that is no character")
    return chr(code)
