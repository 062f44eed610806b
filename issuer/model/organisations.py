"""Organisations that share a deployment, and what in them takes two people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

Control = Literal["trust", "switch", "keys", "control"]  # trust list, own kill switch, keys, this setting itself

CONTROLS: Final[tuple[Control, ...]] = get_args(Control)


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """One tenant: its agents, credentials, lists and lines of trust are its own, and so is the key it signs with."""

    name: str  # in every key of every table, and claim `org` of its operators' tokens
    title: str
    resources: tuple[str, ...]  # what it may grant at; the deployment's own organisation may at all
    dual_control: frozenset[Control]  # what one admin proposes and another one approves
    by: str
    created: datetime
    suspended: bool = False  # by the deployment's own admins: its operators are refused, its agents stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A request that waits for a second admin, exactly as it was sent."""

    organisation: str
    id: str
    control: Control
    action: str
    method: str
    path: str  # as it was sent
    body: str
    by: str
    proposed: datetime
    expires: datetime
    verdict: Literal["open", "approved", "rejected"] = "open"
    decided_by: str | None = None
    decided: datetime | None = None
