"""Proofs over a tree that is kept elsewhere: which nodes to read, and what follows from them (RFC 9162, section 2.1).

Kept are the leaf hashes and the roots of complete subtrees of 2^8, 2^16, … leaves, as the tiles of C2SP tlog-tiles have
them.  Everything else is worked out from at most 256 of these for each of them, so a proof is a few reads whatever the
size of the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from did_agent.audit.merkle import EMPTY_ROOT, TILE_HEIGHT, Frontier, Node, node_hash

Nodes = Mapping[Node, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Kept nodes of one level that stand beside each other."""

    level: int
    first: int
    last: int  # included


@dataclass(frozen=True, slots=True)
class Span:
    """The leaves from `first` to before `end`; `first` is a place where the tree of them begins."""

    first: int
    end: int


def inclusion_spans(index: int, size: int) -> list[Span]:
    """Return the subtrees whose roots lead from a leaf to the root, the lowest first (RFC 9162, 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError("no such leaf")
    spans: list[Span] = []
    first, end = 0, size
    while end - first > 1:
        split = first + _split(end - first)
        if index < split:
            spans.append(Span(split, end))
            end = split
        else:
            spans.append(Span(first, split))
            first = split
    return spans[::-1]


def consistency_spans(old: int, new: int) -> list[Span]:
    """Return the subtrees whose roots show that a tree grew out of an earlier one (RFC 9162, 2.1.4.1)."""
    if not 0 < old <= new:
        raise ValueError("no such earlier tree")
    spans: list[Span] = []
    first, end, whole = 0, new, True
    while end != old:
        split = first + _split(end - first)
        if old <= split:
            spans.append(Span(split, end))
            end = split
        else:
            spans.append(Span(first, split))
            first, whole = split, False
    if not whole:
        spans.append(Span(first, end))
    return spans[::-1]


def runs_for(spans: Sequence[Span]) -> list[Run]:
    """Return which kept nodes the roots of `spans` follow from; what lies in one tile is one run."""
    tiles: dict[Node, tuple[int, int]] = {}
    for span in spans:
        for level, number in _subtrees(span):
            kept = level - level % TILE_HEIGHT
            first, last = number << (level - kept), ((number + 1) << (level - kept)) - 1
            before = tiles.get((kept, first >> TILE_HEIGHT), (first, last))
            tiles[kept, first >> TILE_HEIGHT] = (min(first, before[0]), max(last, before[1]))
    return [Run(level=level, first=first, last=last) for (level, _), (first, last) in tiles.items()]


def roots_of(spans: Sequence[Span], nodes: Nodes) -> list[bytes]:
    """Return the root of each span.

    Raises: KeyError when a node that `runs_for` named is missing.
    """
    return [_root(span, nodes) for span in spans]


def edge_at(size: int, nodes: Nodes) -> Frontier:
    """Return the frontier that the log had at a size; `runs_for([Span(0, size)])` names what it follows from.

    Raises: KeyError.
    """
    return Frontier(size, [_complete(level, number, nodes) for level, number in _subtrees(Span(0, size))])


def _root(span: Span, nodes: Nodes) -> bytes:
    root = b""
    for level, number in reversed(list(_subtrees(span))):
        found = _complete(level, number, nodes)
        root = node_hash(found, root) if root else found
    return root or EMPTY_ROOT


def _complete(level: int, number: int, nodes: Nodes) -> bytes:
    """Return the root of a complete subtree from the kept nodes below it."""
    height = level % TILE_HEIGHT
    first = number << height
    row = [nodes[level - height, place] for place in range(first, first + (1 << height))]
    while len(row) > 1:
        row = [node_hash(row[place], row[place + 1]) for place in range(0, len(row), 2)]
    return row[0]


def _subtrees(span: Span) -> Iterator[Node]:
    """Yield the complete subtrees of a span, from the left."""
    first = span.first
    while first < span.end:
        level = (span.end - first).bit_length() - 1
        yield level, first >> level
        first += 1 << level


def _split(size: int) -> int:
    """Return the largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)
