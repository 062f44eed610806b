"""What agents can and cannot do, as their credentials and the known tools say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

EVERY_TOOL: Final = "*"
_PREFIX: Final = "tool:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ability:
    """Whether one tool is open, and by which credential."""

    resource: str
    tool: str
    about: str
    credential: str | None
    limits: str  # what its arguments are bound to; empty without bounds

    @property
    def can(self) -> bool:
        """Tell whether a credential opens it."""
        return self.credential is not None


def capabilities_of(credential: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield resource, tool and limits for everything a listed credential grants."""
    document = credential.get("credential") or {}
    subject = document.get("credentialSubject") if isinstance(document, Mapping) else None
    stated = subject.get("capability") if isinstance(subject, Mapping) else None
    for one in stated if isinstance(stated, list) else [stated] if stated else []:
        if not isinstance(one, Mapping):
            continue
        resources = one.get("resource") or []
        tools = one.get("tools") or {}
        for resource in [resources] if isinstance(resources, str) else resources:
            for tool, bounds in tools.items() if isinstance(tools, Mapping) else ():
                yield str(resource), str(tool), _limits(bounds)


def abilities(credentials: Iterable[Mapping[str, Any]], resources: Iterable[Mapping[str, Any]]) -> list[Ability]:
    """Return every known tool of every resource that one of the credentials names, and whether it is open."""
    granted: dict[str, dict[str, tuple[str, str]]] = {}
    for one in credentials:
        if one.get("state") == "active":
            for resource, tool, limits in capabilities_of(one):
                granted.setdefault(resource, {}).setdefault(tool, (str(one.get("id")), limits))
    known = {str(one.get("resource")): _tools(one) for one in resources}
    found = []
    for resource in sorted(granted):
        open_here, tools = granted[resource], known.get(resource, {})
        for tool in sorted({*tools, *open_here} - {EVERY_TOOL}):
            by = open_here.get(tool) or open_here.get(EVERY_TOOL)
            found.append(
                Ability(
                    resource=resource,
                    tool=tool,
                    about=tools.get(tool, ""),
                    credential=None if by is None else by[0],
                    limits="" if by is None else by[1],
                )
            )
    return found


def _tools(resource: Mapping[str, Any]) -> dict[str, str]:
    scopes = resource.get("scopes")
    pairs = scopes.items() if isinstance(scopes, Mapping) else ()
    return {str(name).removeprefix(_PREFIX): str(about) for name, about in pairs if str(name).startswith(_PREFIX)}


def _limits(bounds: object) -> str:
    if not isinstance(bounds, Mapping) or not bounds:
        return ""
    return ", ".join(f"{name} {value}" for name, value in bounds.items())
