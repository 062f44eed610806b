"""Who may ask the issuer for what: roles, tenants and owners (WEB-01, WEB-02, WEB-04)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from did_agent.errors import InsufficientScope, NotFound
from issuer.model import Agent, Operator, Role

# What an access token must carry for a role (RFC 6749, 3.3); the deployment's own parties read with the last one.
SCOPES: Final[Mapping[str, Role]] = MappingProxyType(
    {
        "issuer:admin": "admin",
        "issuer:manage": "manager",
        "issuer:audit": "auditor",
        "issuer:sponsor": "sponsor",
        "registry:read": "service",
    }
)

Access = frozenset[str]
PUBLIC: Final[Access] = frozenset({"public"})  # anyone may read it, or the request proves itself
SERVICE: Final[Access] = frozenset({"service"})  # the deployment's own parties
AGENT: Final[Access] = frozenset({"agent"})  # an agent, for itself
ADMINS: Final[Access] = frozenset({"admin"})
MANAGERS: Final[Access] = ADMINS | {"manager"}
OWNERS: Final[Access] = MANAGERS | {"sponsor"}  # a sponsor reaches its own agents alone
READERS: Final[Access] = OWNERS | {"auditor"}
KNOWN: Final[Access] = READERS | SERVICE | AGENT | PUBLIC


def roles_of(scopes: Iterable[str]) -> frozenset[Role]:
    """Return the roles that scopes stand for."""
    roles = frozenset(SCOPES[scope] for scope in scopes if scope in SCOPES)
    # Parties see all organisations; whoever operates one is no party, whatever else its token carries (WEB-02).
    return roles - {"service"} if roles & READERS else roles


def require_access(by: Operator, access: Access) -> None:
    """Return when somebody has one of the roles that open a route.

    Raises: InsufficientScope.
    """
    if not by.roles & access:
        needed = sorted(scope for scope, role in SCOPES.items() if role in access)
        raise InsufficientScope(f"{' or '.join(needed) or 'a presentation by an agent'} is needed")


def require_within(by: Operator, agent: Agent | None) -> Agent:
    """Return the agent if it is of the asker's organisation, and the asker's own where a sponsor asks.

    What is another's is answered like what does not exist (WEB-02).
    Raises: NotFound.
    """
    if agent is None or agent.organisation != by.organisation or not _reaches(by, agent):
        raise NotFound("there is no such agent")
    return agent


def own_alone(by: Operator) -> str | None:
    """Return whose agents alone somebody sees; None for those who see all of the organisation."""
    return by.principal or "" if by.roles <= {"sponsor"} else None


def _reaches(by: Operator, agent: Agent) -> bool:
    if by.roles == {"agent"}:
        return by.principal == agent.did
    owner = own_alone(by)
    return owner is None or owner == agent.owner
