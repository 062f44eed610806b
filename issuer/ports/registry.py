"""What the issuer keeps of many agents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from issuer.model import Agent, Enrolment
from issuer.model.registry import Group, Happening, Impact, ImportRow, RowResult, Scope, Search, Switch, Template


class RegistryWork(Protocol):
    """The part of a transaction that is about the registry."""

    async def search(self, search: Search, *, after: str, limit: int) -> Sequence[Agent]:
        """Return agents that fit, in the order of their names where a prefix is asked for, else of their ids."""
        ...

    async def count(self, search: Search, *, most: int) -> int:
        """Return how many fit, counted up to `most`."""
        ...

    async def describe_agent(self, agent: Agent, *, skeleton: str) -> None:
        """Store all that is said of an agent, its owner included.

        Raises: StateConflict when another has a name like it, or a switch covers what it would become.
        """
        ...

    async def add_history(self, happening: Happening) -> None:
        """Keep what happened."""
        ...

    async def history(self, agent: Agent, *, after: int, limit: int) -> Sequence[Happening]:
        """Return what happened to an agent, the newest first, before the place `after` (0: from now)."""
        ...

    async def handed_over(self, agent: Agent) -> datetime | None:
        """Return when an agent was last given to another owner; None when it never was."""
        ...

    async def known_imports(self, organisation: str, keys: Sequence[str]) -> dict[str, str]:
        """Return the agents that rows were imported as before, by key."""
        ...

    async def import_agents(self, rows: Sequence[ImportRow], *, by: str) -> Sequence[RowResult]:
        """Add agents of one organisation under the caller's keys; a row that cannot be is refused alone."""
        ...

    async def add_agents(
        self, rows: Sequence[ImportRow], *, by: str, reason: str, invitations: Sequence[Enrolment] = ()
    ) -> Sequence[RowResult]:
        """Add agents of one organisation; a row that cannot be is refused alone."""
        ...


class BlueprintWork(Protocol):
    """The part of a transaction that is about blueprints and groups."""

    async def add_template(self, template: Template) -> bool:
        """Add a version and make it the current one; False when this version exists."""
        ...

    async def template(self, name: str, *, organisation: str, version: int | None = None) -> Template | None:
        """Return a version of a blueprint, without one the current."""
        ...

    async def templates(self, *, organisation: str, after: str, limit: int) -> Sequence[Template]:
        """Return the current versions, by name."""
        ...

    async def put_group(self, group: Group) -> None:
        """Create a group or say what it is for."""
        ...

    async def group(self, name: str, *, organisation: str) -> Group | None:
        """Return a group."""
        ...

    async def unknown_groups(self, names: Sequence[str], *, organisation: str) -> Sequence[str]:
        """Return those names that no group of the organisation has."""
        ...

    async def groups(self, *, organisation: str, after: str, limit: int) -> Sequence[Group]:
        """Return groups, by name."""
        ...

    async def remove_group(self, name: str, *, organisation: str) -> None:
        """Forget a group.  Raises: StateConflict while somebody is in it."""
        ...


class SwitchWork(Protocol):
    """The part of a transaction that is about kill switches and their reach."""

    async def turn_on(self, switch: Switch) -> Switch:
        """Stop all that a switch covers and keep it from starting again.

        Raises: StateConflict when there is one for the same already.
        """
        ...

    async def turn_off(self, switch: Switch, *, by: str, reason: str, now: datetime) -> tuple[Switch, int]:
        """Lift a switch and let act again what it alone stopped; say how many."""
        ...

    async def switch(self, identifier: str, *, organisation: str) -> Switch | None:
        """Return a switch, held until the transaction ends."""
        ...

    async def switches(self, *, organisation: str, on: bool | None, after: str, limit: int) -> Sequence[Switch]:
        """Return switches, by id."""
        ...

    async def impact_of_agent(self, agent: Agent, *, now: datetime) -> Impact:
        """Return what the end of an agent ends."""
        ...

    async def impact_of_switch(self, scope: Scope, target: str, *, organisation: str, now: datetime) -> Impact:
        """Return what a switch would end."""
        ...

    async def impact_of_credential(self, identifier: str, *, organisation: str, now: datetime) -> Impact:
        """Return what the end of a credential ends."""
        ...
