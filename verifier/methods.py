"""The names of MCP's methods: no tool may have one, since a right to the one would be a right to the other."""

from __future__ import annotations

from typing import Final

FAMILIES: Final = (
    "completion/",
    "elicitation/",
    "logging/",
    "notifications/",
    "prompts/",
    "resources/",
    "roots/",
    "sampling/",
    "server/",
    "subscriptions/",
    "tasks/",
    "tools/",
)


def is_method(name: str) -> bool:
    """Tell whether a name means a method and never a tool."""
    return name.startswith(FAMILIES)
