"""Files that policies, saved decisions and recorded events are written in: JSON, or YAML read as strictly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from did_agent.encoding.strict_json import MAX_BODY, parse_json
from did_agent.errors import BadPolicy, Malformed, Misconfigured

MAX_EVENTS: Final = 67_108_864  # bytes of a file of recorded events
_YAML: Final = (".yaml", ".yml")
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"

policy_file: Final = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


def read_file(path: Path) -> Any:
    """Return what a file of JSON or YAML says, within the bounds of JSON.

    Raises: BadPolicy naming the file.
    """
    if path.stat().st_size > MAX_BODY:
        raise BadPolicy(f"{path} is larger than {MAX_BODY} bytes")
    raw = path.read_bytes()
    try:
        return parse_json(_json_of_yaml(raw) if path.suffix.lower() in _YAML else raw)
    except Malformed as error:
        raise BadPolicy(f"{path}: {error.detail}") from error


def read_events(path: Path) -> list[dict[str, Any]]:
    """Return the audit events of a file: one JSON per line, or what `did-agent audit tail --json` prints.

    Raises: BadPolicy.
    """
    if path.stat().st_size > MAX_EVENTS:
        raise BadPolicy(f"{path} is larger than {MAX_EVENTS} bytes")
    text = path.read_text(encoding="utf-8")
    try:
        whole = json.loads(text)
    except ValueError:
        try:
            whole = [parse_json(line) for line in text.splitlines() if line.strip()]
        except Malformed as error:
            raise BadPolicy(f"{path}: {error.detail}") from error
    listed = whole.get("events", [whole]) if isinstance(whole, dict) else whole
    rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    return [row["event"] if isinstance(row.get("event"), dict) else row for row in rows]


def _json_of_yaml(raw: bytes) -> str:
    try:
        import yaml
    except ImportError as error:
        raise Misconfigured("YAML needs the package pyyaml; write JSON, or install did-agent[policy]") from error

    class Strict(yaml.SafeLoader):
        """YAML that says what JSON can say: no member twice, no aliases, and times stay text."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise BadPolicy("the YAML has an alias")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT002  # as the library calls it
            names = [self.construct_object(name, deep=True) for name, _ in node.value]
            if len(set(map(str, names))) != len(names) or not all(isinstance(name, str) for name in names):
                raise BadPolicy("a member of the YAML is named twice, or is no text")
            return super().construct_mapping(node, deep=deep)

    Strict.yaml_implicit_resolvers = {
        first: [(tag, form) for tag, form in found if tag != _TIMESTAMP]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        return json.dumps(yaml.load(raw, Loader=Strict))  # noqa: S506  # a stricter SafeLoader
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise BadPolicy(f"not readable as YAML: {type(error).__name__}") from error
