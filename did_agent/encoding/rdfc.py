"""RDF Dataset Canonicalization (RDFC-1.0): one text for one graph, whatever its blank nodes are called.

Naming blank nodes can cost factorial time for graphs made to be alike.  Size and likeness are bounded before the work
begins and the work itself is counted, so that a poisoned graph ends in `TooComplex` after milliseconds (VCX-09).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Final

from did_agent.encoding.rdf import Quad, line
from did_agent.errors import BadEncoding, TooComplex

_POSITIONS: Final = ((0, "s"), (2, "o"), (3, "g"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much a dataset may cost; the defaults leave room for any credential (VCX-09)."""

    quads: int = 2_000
    blank_nodes: int = 32
    alike: int = 3  # blank nodes with one first-degree hash
    work: int = 2_000  # calls of hash-n-degree-quads and permutations looked at


DEFAULT: Final = Bounds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Canonical:
    """A dataset in canonical form."""

    lines: tuple[str, ...]  # sorted, each with its newline
    labels: Mapping[str, str]  # blank node of the input to canonical label, both with `_:`

    @property
    def text(self) -> bytes:
        """The canonical N-Quads.

        Raises: BadEncoding for lone surrogates.
        """
        try:
            return "".join(self.lines).encode("utf-8")
        except UnicodeEncodeError as error:
            raise BadEncoding("a lone surrogate in a literal") from error


def canonicalize(quads: Sequence[Quad], hash_name: str = "sha256", bounds: Bounds = DEFAULT) -> Canonical:
    """Return the canonical form of a dataset (RDFC-1.0, 4.4).

    Raises: TooComplex.
    """
    if len(quads) > bounds.quads:
        raise TooComplex(f"more than {bounds.quads} quads")
    mentions = _mentions(quads)
    if not mentions:
        return Canonical(lines=tuple(sorted({line(quad) for quad in quads})), labels={})
    if len(mentions) > bounds.blank_nodes:
        raise TooComplex(f"more than {bounds.blank_nodes} blank nodes")
    # One blank node alone has no choice of names, so nothing about it need be hashed.
    only = next(iter(mentions))
    labels = {only: "_:c14n0"} if len(mentions) == 1 else _Naming(mentions, hash_name, bounds).run()
    name = labels.get
    renamed = {
        f"{name(s, s)} {p} {name(o, o)} {name(g, g)} .\n" if g else f"{name(s, s)} {p} {name(o, o)} .\n"
        for s, p, o, g in quads
    }
    return Canonical(lines=tuple(sorted(renamed)), labels=labels)


def _mentions(quads: Sequence[Quad]) -> dict[str, list[Quad]]:
    """Return the quads each blank node is part of, without repetitions."""
    found: dict[str, list[Quad]] = {}
    for quad in dict.fromkeys(quads):
        subject, _, value, graph = quad
        if subject[0] == "_":
            found.setdefault(subject, []).append(quad)
        if value[0] == "_" and value != subject:
            found.setdefault(value, []).append(quad)
        if graph and graph[0] == "_" and graph not in (subject, value):
            found.setdefault(graph, []).append(quad)
    return found


class _Issuer:
    """Gives labels in the order they are asked for (4.5)."""

    def __init__(self, prefix: str, issued: dict[str, str] | None = None) -> None:
        self._prefix = prefix
        self.issued: dict[str, str] = issued or {}

    def issue(self, label: str) -> str:
        return self.issued.setdefault(label, f"_:{self._prefix}{len(self.issued)}")

    def copy(self) -> _Issuer:
        return _Issuer(self._prefix, dict(self.issued))


class _Naming:
    """One run of the algorithm: its graph, its canonical labels, and what it has cost."""

    def __init__(self, mentions: Mapping[str, list[Quad]], hash_name: str, bounds: Bounds) -> None:
        self._mentions = mentions
        self._digest = getattr(hashlib, hash_name)
        self._bounds = bounds
        self._left = bounds.work
        self._canonical = _Issuer("c14n")
        self._first: dict[str, str] = {}

    def run(self) -> Mapping[str, str]:
        alike: dict[str, list[str]] = {}
        for label in self._mentions:
            self._first[label] = self._hash_first_degree(label)
            alike.setdefault(self._first[label], []).append(label)
        if max(map(len, alike.values())) > self._bounds.alike:
            raise TooComplex(f"more than {self._bounds.alike} blank nodes are alike")
        ordered = sorted(alike)
        for digest in ordered:
            if len(alike[digest]) == 1:
                self._canonical.issue(alike[digest][0])
        for digest in ordered:
            if len(alike[digest]) > 1:
                self._name_alike(alike[digest])
        return self._canonical.issued

    def _name_alike(self, labels: Sequence[str]) -> None:
        results: list[tuple[str, _Issuer]] = []
        for label in labels:
            if label not in self._canonical.issued:
                issuer = _Issuer("b")
                issuer.issue(label)
                results.append(self._hash_n_degree(label, issuer))
        for _, issuer in sorted(results, key=lambda result: result[0]):
            for label in issuer.issued:
                self._canonical.issue(label)

    def _hash(self, text: str) -> str:
        digest: str = self._digest(text.encode("utf-8", "surrogatepass")).hexdigest()
        return digest

    def _hash_first_degree(self, label: str) -> str:
        """4.6: what is said about a node, its own name and those of others left out."""
        rows = []
        for s, p, o, g in self._mentions[label]:
            subject = s if s[0] != "_" else "_:a" if s == label else "_:z"
            value = o if o[0] != "_" else "_:a" if o == label else "_:z"
            if not g:
                rows.append(f"{subject} {p} {value} .\n")
            elif g[0] != "_":
                rows.append(f"{subject} {p} {value} {g} .\n")
            else:
                rows.append(f"{subject} {p} {value} {'_:a' if g == label else '_:z'} .\n")
        rows.sort()
        return self._hash("".join(rows))

    def _hash_related(self, related: str, quad: Quad, issuer: _Issuer, position: str) -> str:
        """4.7: one neighbour, by the best name it has so far."""
        name = self._canonical.issued.get(related) or issuer.issued.get(related) or self._first[related]
        return self._hash(position + (quad[1] if position != "g" else "") + name)

    def _hash_n_degree(self, label: str, issuer: _Issuer) -> tuple[str, _Issuer]:
        """4.8: a node by the paths that lead away from it; of all orders of its neighbours the smallest text counts."""
        self._spend()
        related: dict[str, list[str]] = {}
        for quad in self._mentions[label]:
            for index, position in _POSITIONS:
                term = quad[index]
                if term.startswith("_:") and term != label:
                    related.setdefault(self._hash_related(term, quad, issuer, position), []).append(term)
        data = ""
        for digest in sorted(related):
            path, issuer = self._shortest_path(related[digest], issuer)
            data += digest + path
        return self._hash(data), issuer

    def _shortest_path(self, labels: Sequence[str], issuer: _Issuer) -> tuple[str, _Issuer]:
        best, chosen = "", issuer
        for order in permutations(labels):
            self._spend()
            path, tried = "", issuer.copy()
            waiting: list[str] = []
            for label in order:
                canonical = self._canonical.issued.get(label)
                if canonical is None and label not in tried.issued:
                    waiting.append(label)
                path += canonical or tried.issue(label)
                if _is_beaten(path, best):
                    break
            else:
                path, tried = self._follow(path, waiting, tried, best)
            if not _is_beaten(path, best) and (not best or path < best):
                best, chosen = path, tried
        return best, chosen

    def _follow(self, path: str, waiting: Sequence[str], issuer: _Issuer, best: str) -> tuple[str, _Issuer]:
        for label in waiting:
            digest, after = self._hash_n_degree(label, issuer)
            path += issuer.issue(label) + f"<{digest}>"
            issuer = after
            if _is_beaten(path, best):
                break
        return path, issuer

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise TooComplex(f"canonicalization costs more than {self._bounds.work} steps")


def _is_beaten(path: str, best: str) -> bool:
    return bool(best) and len(path) >= len(best) and path > best
