"""Which accounts the calls of a chain are charged to: the entry at its end, and the entry above it in every link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from did_agent.credential.capability import Capability, covered_by
from did_agent.credential.limits import Account
from did_agent.credential.model import CapabilityCredential
from did_agent.encoding import base64url
from did_agent.encoding.digest import sha256

_SEPARATOR: Final = b"\n"  # stands in no identifier


def charged(links: Sequence[CapabilityCredential]) -> tuple[Capability, ...]:
    """Return the capabilities at the end of a verified chain (leaf first), each with its accounts.

    A capability without limits has none: above it there are none either, or it would not be covered.
    """
    return tuple(
        held if held.limits is None else replace(held, accounts=_accounts(links, index))
        for index, held in enumerate(links[0].capabilities)
    )


def _accounts(links: Sequence[CapabilityCredential], index: int) -> tuple[Account, ...]:
    found: list[Account] = []
    for position, link in enumerate(links):
        held = link.capabilities[index]
        if held.limits is None:
            break  # nor has anything above it
        found.append(Account(id=f"{_name(link)}#{index}", limits=held.limits, holder=link.subject))
        if position + 1 < len(links):
            index = _above(held, links[position + 1])
    return tuple(found)


def _above(held: Capability, parent: CapabilityCredential) -> int:
    # The first in the order of the document: everybody who verifies the chain must charge the same account.
    return next(n for n, wider in enumerate(parent.capabilities) if covered_by(held, wider))


def _name(link: CapabilityCredential) -> str:
    # The issuer is part of it: whoever hands on may choose any id, that of somebody else's credential too, and would
    # spend from the account of that one; what an issuer says a credential continues is one of its own for the same
    # reason.  The text of the credential is not: some proofs can be written in two ways.
    begun = link.account or link.id
    return base64url.encode(sha256(_SEPARATOR.join((link.issuer.encode(), begun.encode()))))
