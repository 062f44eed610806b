"""Operators of organisations: whom the deployment's own operators let administer a part of the issuer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal

OperatorRole = Literal["admin", "manager", "auditor", "sponsor"]

# What a role is at the issuer, which decides what it may; none of them opens any other party.
ROLE_SCOPES: Final[Mapping[OperatorRole, str]] = MappingProxyType(
    {
        "admin": "issuer:admin",
        "manager": "issuer:manage",
        "auditor": "issuer:audit",
        "sponsor": "issuer:sponsor",
    }
)
# What a role is beside that for a person, who reads the log of what was done with it.
LOG_READERS: Final[frozenset[OperatorRole]] = frozenset({"admin", "auditor"})
ISSUER_SCOPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "issuer:admin": "administer agents and credentials of an organisation",
        "issuer:manage": "manage agents and what they are granted",
        "issuer:audit": "read everything of an organisation",
        "issuer:sponsor": "manage one's own agents",
        "registry:read": "read the register of agents",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganisationOperator:
    """Somebody who administers agents of one organisation, known by the key that proves it."""

    did: str
    name: str
    organisation: str
    role: OperatorRole
    added: datetime
    removed: datetime | None = None  # kept, so that nobody is let in again by mistake
