"""Status lists: who they belong to, how their places are handed out, and what was changed in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from did_agent.credential.permutation import Permutation
from did_agent.credential.status import Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One credential's place: the same index in the list of each purpose."""

    list_number: int
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusList:
    """A pair of lists, of revocation and of suspension, which share their places."""

    number: int  # over all organisations: lists are served by it
    organisation: str
    issuer: str  # DID whose key signs it: that of the credentials in it (VCX-10)
    size: int  # places


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Positions of a list's secret order that nobody else was given."""

    list_number: int
    size: int
    key: bytes = field(repr=False)
    begin: int
    end: int  # the first that is not ours

    def places(self) -> Iterator[Place]:
        """Return the places at these positions."""
        order = Permutation(size=self.size, key=self.key)
        return (
            Place(list_number=self.list_number, index=order.place(position)) for position in range(self.begin, self.end)
        )


class Flip(NamedTuple):
    """One bit as it is since `version` of its list."""

    version: int
    purpose: Purpose
    place: int
    value: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """A credential that an agent made for another one, with a place in a list of the issuer's."""

    organisation: str
    id: str  # of the child credential
    agent_id: str  # of the agent that made it
    delegator: str  # its DID then: the child's issuer
    parent_id: str  # of the credential it hands on: granted by us, or itself registered here
    subject: str  # DID of the agent it is for
    subject_id: str | None  # of that agent, where it is registered here
    depth: int  # 1 below a credential of ours
    max_depth: int  # of that credential
    valid_until: datetime
    place: Place
    created: datetime
    revoked: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelegation:
    """What an agent says of a credential before it signs it."""

    id: str
    parent_id: str
    subject: str
    valid_until: datetime
