"""The menu: where things are."""

from __future__ import annotations

from typing import Final

MENU: Final = (
    ("/", "Home"),
    ("/agents", "Agents"),
    ("/credentials", "Credentials"),
    ("/delegations", "Delegations"),
    ("/requests", "Requests"),
    ("/audit", "Audit"),
    ("/why", "Why?"),
    ("/policy", "Policy"),
    ("/consents", "Consents"),
    ("/trust", "Trust"),
    ("/keys", "Keys"),
    ("/people", "People"),
    ("/switches", "Kill switch"),
    ("/settings", "Settings"),
    ("/reference", "API"),
)
