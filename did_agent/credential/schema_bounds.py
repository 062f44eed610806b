"""What a schema of a stranger may cost: checked before it is used, and counted while it is.

A schema is a program.  It can call itself (`$ref`), call others (remote `$ref`), and hold regular expressions, which
here backtrack; a pin by digest says only that the expression is the one its author meant.  So patterns of strangers
have no groups, few repetitions, and are charged for the steps they can take.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from did_agent.errors import SchemaIndeterminate

MAX_SCHEMA_NODES: Final = 1_000  # values in a schema of a stranger
MAX_STEPS: Final = 10_000  # of one validation; a keyword is one, and what it looks at is charged too
MAX_PATTERN: Final = 256  # characters
MAX_REPETITIONS: Final = 3  # of variable length in one pattern; n of them take n nested loops over the text
STEP: Final = 20_000  # moves of a regular expression that cost as much as one keyword

_ATOM: Final = r"(?:[^\\\[\](){}.*+?^$|]|\\[^A-Za-z0-9]|\\[dwsDWS]|\.|\[\^?(?:[^\\\[\]]|\\[^A-Za-z0-9]|\\[dwsDWS])+\])"
_PLAIN: Final = re.compile(rf"\^?(?:{_ATOM}(?:[*+?]|\{{[0-9]{{1,3}}(?:,(?:[0-9]{{1,3}})?)?\}})?)*\$?")
_PIECE: Final = re.compile(rf"{_ATOM}([*+?]|\{{[0-9]{{1,3}},[0-9]*\}}|\{{[0-9]{{1,3}}\}})?")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")


class StepsExceededError(Exception):
    """A validation took more steps than it may; never leaves the module that validates."""


def require_bounded(schema: Mapping[str, object], *, pinned: bool) -> None:
    """Return when a stranger's schema refers to itself alone, is small, and holds no pattern that could run for long.

    `pinned` says that a digest in the credential fixes its bytes; without that no pattern is taken at all.
    Raises: SchemaIndeterminate.
    """
    own = schema.get("$id")
    for count, (node, is_root) in enumerate(_nodes(schema)):
        if count >= MAX_SCHEMA_NODES:
            raise SchemaIndeterminate(f"the schema holds more than {MAX_SCHEMA_NODES} values")
        if isinstance(node, dict):
            if not is_root and (isinstance(node.get("$schema"), str) or isinstance(node.get("$id"), str)):
                # A part of another dialect, or under another name, would be judged by other code than ours.
                raise SchemaIndeterminate("the schema holds another schema with a name or dialect of its own")
            _require_local(node, own)
            for pattern in _patterns(node):
                _require_plain(pattern, pinned=pinned)


def cost(keyword: str, value: object, instance: object, schema: Mapping[str, object]) -> int:
    """Return the steps that judging one keyword takes, its parts not counted."""
    steps = 1 + _size(value) + _size(instance)
    if keyword == "pattern" and isinstance(instance, str):
        return steps + pattern_cost(str(value), instance)
    if keyword == "uniqueItems" and isinstance(instance, list):
        return steps + len(instance) ** 2
    if keyword in ("patternProperties", "additionalProperties", "unevaluatedProperties") and isinstance(instance, dict):
        patterns = schema.get("patternProperties")
        listed = patterns if isinstance(patterns, dict) else {}
        return steps + sum(1 + pattern_cost(pattern, name) for pattern in listed for name in instance)
    return steps


def pattern_cost(pattern: str, text: str) -> int:
    """Return the steps that searching a plain pattern in `text` can take at worst."""
    return int(len(text) ** _repetitions(pattern) // STEP)


def _nodes(schema: Mapping[str, object]) -> Iterator[tuple[object, bool]]:
    waiting: list[object] = [schema]
    first = True
    while waiting:
        node = waiting.pop()
        yield node, first
        first = False
        if isinstance(node, dict):
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _require_local(node: Mapping[str, object], own: object) -> None:
    for name in _REFERENCES:
        reference = node.get(name)
        if isinstance(reference, str) and not reference.startswith("#"):
            base, _, _ = reference.partition("#")
            if base != own:
                raise SchemaIndeterminate("the schema refers to another one, and nothing is fetched for it")


def _patterns(node: Mapping[str, object]) -> Iterator[str]:
    # A property that happens to have such a name is taken for one too: too strict, never too lax.
    if isinstance(node.get("pattern"), str):
        yield str(node["pattern"])
    named = node.get("patternProperties")
    if isinstance(named, dict):
        yield from named


def _require_plain(pattern: str, *, pinned: bool) -> None:
    if not pinned:
        raise SchemaIndeterminate("a pattern in a schema that is neither ours nor pinned by a digest")
    if len(pattern) > MAX_PATTERN or not _PLAIN.fullmatch(pattern) or _repetitions(pattern) > MAX_REPETITIONS:
        raise SchemaIndeterminate("a pattern that could run for long")


def _repetitions(pattern: str) -> int:
    variable = [found for found in _PIECE.findall(pattern) if found and (found in "*+?" or "," in found)]
    return len(variable) + (not pattern.startswith("^"))


def _size(value: object) -> int:
    return len(value) if isinstance(value, dict | list) else 0
