"""The one room behind both doors: who is calling, whichever credential was shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from did_agent.credential.capability import Capability
from did_agent.tokens.access_token import HOME

PrincipalKind = Literal["user", "agent", "service"]

DID_NAMESPACE: Final = "did"  # a DID names itself; every other id is qualified by who issued it


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """On whose behalf a call is made, typed and qualified so that a user is never an agent (DEL-11)."""

    kind: PrincipalKind
    id: str
    namespace: str  # the issuer string that vouches for `id`; DID_NAMESPACE when `id` is a DID


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCaller:
    """A caller whose every part was signed and checked; equal whether a VP or a JWT was shown."""

    principal: Principal
    actors: tuple[str, ...]  # DIDs of the agents, the one acting now first; empty if the principal acts itself
    client_id: str
    scopes: frozenset[str]
    capabilities: tuple[Capability, ...]  # of the one acting now, narrowed to the resource asked for
    entitlements: frozenset[str] | None  # scopes the user holds at the resource; None when there is no user
    credential_ids: tuple[str, ...]  # leaf first; revoking any of them ends this caller
    evidence: str | None  # "sha-256:<base64url>" of the signed chain
    groups: frozenset[str] = frozenset()  # of the user, as far as policy speaks of them
    task: str | None = None  # what the authority was given for; it ends with the task
    organisation: str = HOME  # whom the principal belongs to
    # What deciding worked out for this caller before, by resource and tool; no part of who it is.
    memo: dict[tuple[str, str], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def agent(self) -> str:
        """The DID (or client id) that acts now."""
        return self.actors[0] if self.actors else self.principal.id
