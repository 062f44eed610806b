"""What a token made from another deployment's credentials hangs on: that issuer, and the places of its status lists.

These stand beside agents and credentials in what a token was made from, so their end is its end (DESIGN 8).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from did_agent.credential.chain import VerifiedChain
from did_agent.credential.status import VerifiedStatusList, is_set
from did_agent.errors import BadPresentation, UntrustedIssuer

PREFIX: Final = "status "  # no DID, name or `jti` has a space
MAX_NAME: Final = 2_048  # characters that a store keeps of what a token depends on


class Place(NamedTuple):
    """One place in a list of another deployment."""

    purpose: str
    position: int
    issuer: str
    url: str

    @property
    def name(self) -> str:
        """How the store calls it."""
        return f"{PREFIX}{self.purpose} {self.position} {self.issuer} {self.url}"

    def is_clear(self, found: VerifiedStatusList) -> bool:
        """Tell whether a list says that nothing was taken back here; one that cannot say so says no."""
        fits = (found.url, found.issuer, found.purpose) == (self.url, self.issuer, self.purpose)
        return fits and self.position < len(found.bits) * 8 and not is_set(found.bits, self.position)


def dependencies(chain: VerifiedChain, *, is_neighbour: bool = False) -> frozenset[str]:
    """Return what a token hangs on that is made from a chain of another deployment, or of a neighbour in ours.

    Raises: UntrustedIssuer when another deployment's names a principal, who would be taken for ours; BadPresentation.
    """
    if chain.on_behalf_of is not None and not is_neighbour:  # which people a neighbour speaks for is judged besides
        raise UntrustedIssuer("another deployment's issuer does not speak for people here")
    names = {
        Place(entry.purpose, entry.index, chain.root_issuer, entry.list_url).name for entry in chain.status_entries
    }
    if any(len(name) > MAX_NAME for name in names):
        raise BadPresentation("the address of a status list is too long to be kept")
    return frozenset({chain.root_issuer, *names})


def places(names: Iterable[str]) -> Mapping[str, Place]:
    """Return the places among what tokens depend on, by their names."""
    found: dict[str, Place] = {}
    for name in names:
        parts = name.removeprefix(PREFIX).split(" ")
        if name.startswith(PREFIX) and len(parts) == len(Place._fields) and parts[1].isdecimal():
            found[name] = Place(parts[0], int(parts[1]), parts[2], parts[3])
    return found
