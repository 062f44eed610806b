"""Delegations as a graph from left to right: user, agent, sub-agent, tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from console.drawing.text import fit

_BOX_WIDTH, _BOX_HEIGHT, _GAP_X, _GAP_Y = 170, 44, 60, 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A box: what it is called, what it is, and where it leads."""

    key: str
    name: str
    kind: str
    column: int
    href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """An arrow from one box to another."""

    start: str
    end: str
    title: str


def graph(nodes: Sequence[Node], edges: Sequence[Edge], *, title: str) -> Markup:
    """Return the picture; as many units as the columns need."""
    places = _places(nodes)
    width = max((x for x, _ in places.values()), default=0) + _BOX_WIDTH + 4
    height = max((y for _, y in places.values()), default=0) + _BOX_HEIGHT + 4
    parts = [
        Markup('<svg class="picture" viewBox="0 0 {0} {1}" role="group" aria-label="{2}">').format(
            max(width, 640), height, title
        )
    ]
    parts += [_arrow(edge, places) for edge in edges if edge.start in places and edge.end in places]
    parts += [_box(node, *places[node.key]) for node in nodes]
    return Markup("").join([*parts, Markup("</svg>")])


def _places(nodes: Sequence[Node]) -> Mapping[str, tuple[int, int]]:
    used: dict[int, int] = {}
    places = {}
    for node in nodes:
        row = used.get(node.column, 0)
        used[node.column] = row + 1
        places[node.key] = (2 + node.column * (_BOX_WIDTH + _GAP_X), 2 + row * (_BOX_HEIGHT + _GAP_Y))
    return places


def _box(node: Node, x: int, y: int) -> Markup:
    inside = Markup(
        '<title>{} ({})</title><rect class="box" x="{}" y="{}" width="{}" height="{}" rx="7"/>'
        '<text class="word" x="{}" y="{}">{}</text><text class="word faint" x="{}" y="{}">{}</text>'
    ).format(
        node.name, node.kind, x, y, _BOX_WIDTH, _BOX_HEIGHT,
        x + 10, y + 19, fit(node.name, 22), x + 10, y + 35, node.kind,
    )  # fmt: skip
    return inside if node.href is None else Markup('<a href="{}">{}</a>').format(node.href, inside)


def _arrow(edge: Edge, places: Mapping[str, tuple[int, int]]) -> Markup:
    (left, top), (right, below) = places[edge.start], places[edge.end]
    x1, y1 = left + _BOX_WIDTH, top + _BOX_HEIGHT // 2
    x2, y2 = right - 6, below + _BOX_HEIGHT // 2
    middle = (x1 + x2) // 2
    return Markup(
        '<g><title>{}</title><path class="edge" d="M{} {}C{} {} {} {} {} {}"/>'
        '<path class="tip" d="M{} {}l-7 -4v8z"/></g>'
    ).format(edge.title, x1, y1, middle, y1, middle, y2, x2, y2, x2 + 6, y2)
