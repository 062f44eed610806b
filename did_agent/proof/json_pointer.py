"""JSON Pointer (RFC 6901): which parts of a document are meant, and the document that has these parts alone.

Selection as VC-DI-ECDSA 1.0 defines it (3.4.10 to 3.4.13): whatever stands above a selected value keeps its context,
`id` and `type`, an array keeps the selected elements in their order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, cast

from did_agent.errors import BadProof

MAX_POINTERS: Final = 256
MAX_POINTER: Final = 1_024  # characters

_POINTER: Final = re.compile(r"(?:/(?:[^/~]|~[01])*)*")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,5}")
_KEPT: Final = frozenset({"@context", "id", "type", "@id", "@type"})

Tree = dict[str, "Tree | None"]  # None: everything below


def has_value(document: Mapping[str, object], pointer: str) -> bool:
    """Return whether the pointer leads to a value.

    Raises: BadProof for a text that is no pointer.
    """
    value: object = document
    for token in parse_pointer(pointer):
        if isinstance(value, Mapping) and token in value:
            value = value[token]
        elif isinstance(value, list) and _INDEX.fullmatch(token) and int(token) < len(value):
            value = value[int(token)]
        else:
            return False
    return True


def parse_pointer(pointer: object) -> tuple[str, ...]:
    """Return the reference tokens of a JSON pointer.

    Raises: BadProof.
    """
    if not isinstance(pointer, str) or len(pointer) > MAX_POINTER or not _POINTER.fullmatch(pointer):
        raise BadProof("not a JSON pointer")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def select(document: Mapping[str, object], pointers: Iterable[str]) -> dict[str, object]:
    """Return the document that the pointers leave of `document`, empty without any pointer.

    Raises: BadProof for a text that is no pointer, or one that leads nowhere.
    """
    root: Tree = {}
    for count, pointer in enumerate(pointers):
        if count >= MAX_POINTERS:
            raise BadProof(f"more than {MAX_POINTERS} JSON pointers")
        if not has_value(document, pointer):
            raise BadProof(f"the document has no member {pointer[:80]!r}")
        tokens = parse_pointer(pointer)
        if not tokens:
            return dict(document)
        _add(root, tokens)
    if not root:
        return {}
    return _members(document, root)


def _add(tree: Tree, tokens: tuple[str, ...]) -> None:
    for token in tokens[:-1]:
        below = tree.setdefault(token, {})
        if below is None:  # chosen as a whole already
            return
        tree = below
    tree[tokens[-1]] = None


def _members(value: Mapping[str, object], tree: Tree) -> dict[str, object]:
    return {
        name: member if name in _KEPT else _below(member, tree[name])
        for name, member in value.items()
        if name in tree or name in _KEPT
    }


def _below(value: object, tree: Tree | None) -> object:
    if tree is None:
        return value
    if isinstance(value, list):
        return [_below(value[index], tree[str(index)]) for index in sorted(map(int, tree))]
    return _members(cast("Mapping[str, object]", value), tree)
