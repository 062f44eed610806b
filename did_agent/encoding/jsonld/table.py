"""Term tables: JSON-LD contexts in our own compact notation, read once when first needed.

A table is lines of `term IRI flags`; deeper lines are the scope of the term above them.  `= c https://…#` names a base
that `{c}` stands for, and a bare `{c}` is the base with the term's own name.  Flags: `@id`, `@vocab`, `@json` or
`type=IRI` for the type of values, `@set`, `@list` or `@graph` for their container.  `@protected` and `@vocab IRI` are
lines of their own, `@null` says that a term's scope forgets everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from did_agent.errors import UnknownContext

_BASE: Final = re.compile(r"\{(\w+)\}")
_INDENT: Final = 2  # spaces a level
_TYPES: Final = frozenset({"@id", "@vocab", "@json"})
_CONTAINERS: Final = frozenset({"@set", "@list", "@graph"})


@cache
def pinned() -> Mapping[str, tuple[str, str]]:
    """Return, for each context address, its table and the SHA-256 of the published original it was made from."""
    rows = (line.split() for line in _read("index").splitlines())
    return MappingProxyType({url: (table, digest) for url, table, digest in rows})


@cache
def context_document(url: str) -> Mapping[str, object]:
    """Return `{"@context": …}` of a pinned context; never fetched (VCX-07).

    Raises: UnknownContext.
    """
    found = pinned().get(url)
    if found is None:
        raise UnknownContext(f"the context {url[:200]!r} is not one of the pinned ones")
    return {"@context": parse_table(_read(found[0]))}


def _read(name: str) -> str:
    return files("did_agent.encoding.jsonld").joinpath("terms", name).read_text("utf-8")


def parse_table(text: str) -> dict[str, object]:
    """Return the context that a table stands for, as a JSON-LD context object."""
    rows = [(len(line) - len(line.lstrip(" "))) // _INDENT for line in text.splitlines() if line.strip()]
    lines = [line.split() for line in text.splitlines() if line.strip()]
    bases = {words[1]: words[2] for words in lines if words[0] == "="}
    scope, _ = _scope(lines, rows, 0, 0, bases)
    return scope


def _scope(
    lines: list[list[str]], rows: list[int], at: int, level: int, bases: Mapping[str, str]
) -> tuple[dict[str, object], int]:
    scope: dict[str, object] = {}
    while at < len(lines) and rows[at] >= level:
        words = lines[at]
        at += 1
        if words[0] == "=":
            continue
        if words[0] == "@protected":
            scope["@protected"] = True
        elif words[0] == "@vocab":
            scope["@vocab"] = words[1]
        else:
            definition = dict(_definition(words, bases))
            if at < len(lines) and rows[at] > level:
                if lines[at] == ["@null"]:
                    definition["@context"], at = None, at + 1
                else:
                    definition["@context"], at = _scope(lines, rows, at, level + 1, bases)
            scope[words[0]] = definition["@id"] if len(definition) == 1 else definition
    return scope, at


def _definition(words: list[str], bases: Mapping[str, str]) -> Iterator[tuple[str, object]]:
    term, iri, *flags = words
    expanded = _BASE.sub(lambda match: bases[match[1]], iri)
    yield "@id", expanded + term if _BASE.fullmatch(iri) else expanded
    for flag in flags:
        if flag in _TYPES:
            yield "@type", flag
        elif flag in _CONTAINERS:
            yield "@container", flag
        else:
            yield "@type", _BASE.sub(lambda match: bases[match[1]], flag.removeprefix("type="))
