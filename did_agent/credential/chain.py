"""Delegation chains, from a trusted root to the one who acts now: every hop signed, linked and narrower (VCX, DEL).

Reading CHAIN_CHECKS and LINK_CHECKS top to bottom is reading the security model.  Status is not judged here: it
needs evidence from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from did_agent.credential import closed
from did_agent.credential.accounts import charged
from did_agent.credential.capability import Capability, covered_by
from did_agent.credential.context import AGENT_PROFILE
from did_agent.credential.issuance import CHILD_MAX_SECONDS, DEFAULT_SECONDS
from did_agent.credential.known import KnownCredentials
from did_agent.credential.model import MAX_DELEGATION, CapabilityCredential
from did_agent.credential.status import StatusEntry
from did_agent.credential.trust import TrustedIssuers, origin_of
from did_agent.encoding import digest
from did_agent.errors import (
    BadCredential,
    ChainBroken,
    DepthExceeded,
    HolderMismatch,
    NotAttenuated,
    TooLarge,
    WrongIssuer,
)
from did_agent.proof.data_integrity import verify_proof

DEFAULT_MAX_DEPTH: Final = 4  # delegations after the root; the hard ceiling is MAX_DELEGATION
MAX_CHAIN: Final = 262_144  # bytes of all credentials together
MAX_LIFETIME: Final = timedelta(seconds=DEFAULT_SECONDS)  # of one capability credential (VCX-11)
MAX_LIFETIME_WITHOUT_STATUS: Final = timedelta(seconds=CHILD_MAX_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedChain:
    """A chain in which every credential was signed by its issuer, linked to its parent and no wider than it."""

    links: tuple[CapabilityCredential, ...]  # leaf first
    capabilities: tuple[Capability, ...]  # what the one who acts now may do, and where that is counted
    root_issuer: str
    digest: str  # "sha-256:…" over the JCS form of the list of documents, leaf first
    # What was worked out from this chain before, by resource; no part of what it says.
    memo: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def leaf(self) -> CapabilityCredential:
        """The credential of the one who acts now."""
        return self.links[0]

    @property
    def on_behalf_of(self) -> str | None:
        """The accountable principal, if the root names one."""
        return self.leaf.on_behalf_of

    @property
    def principal(self) -> str:
        """On whose behalf the leaf acts: `onBehalfOf`, else the agent that the root was issued to."""
        return self.on_behalf_of or self.links[-1].subject

    @property
    def delegators(self) -> tuple[str, ...]:
        """The agents that handed authority on, nearest first; the last of them holds the root."""
        return tuple(link.subject for link in self.links[1:])

    @property
    def credential_ids(self) -> tuple[str, ...]:
        """Ids of all links, leaf first; revoking any of them ends the chain."""
        return tuple(link.id for link in self.links)

    @property
    def status_entries(self) -> tuple[StatusEntry, ...]:
        """Status entries of all links, leaf first."""
        return tuple(entry for link in self.links for entry in link.statuses)

    @property
    def valid_until(self) -> datetime:
        """The end of the chain: that of its shortest link."""
        return min(link.valid_until for link in self.links)

    @property
    def documents(self) -> tuple[Mapping[str, object], ...]:
        """The signed credentials, leaf first: the evidence behind `digest`."""
        return tuple(link.document for link in self.links)

    def covers(self, resource: str, tool: str, arguments: Mapping[str, object]) -> bool:
        """Tell whether one capability of every link admits the call (asked of all links, not only the leaf)."""
        return all(
            any(resource in held.resources and held.covers(tool, arguments) for held in link.capabilities)
            for link in self.links
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the chain is judged against."""

    now: datetime
    trusted: TrustedIssuers
    max_depth: int
    known: KnownCredentials


def verify_chain(
    documents: Sequence[Mapping[str, object]],
    *,
    holder: str,
    now: datetime,
    trusted: TrustedIssuers,
    max_depth: int,
    known: KnownCredentials | None = None,
) -> VerifiedChain:
    """Return the chain that gives `holder` its capabilities, from documents in any order; status is not judged.

    Raises: BadCredential, BadConstraint, TooLarge, HolderMismatch, ChainBroken, DepthExceeded, UntrustedIssuer,
    NotAttenuated, WrongIssuer, Expired, NotYetValid and what `verify_proof` raises.
    """
    ceiling = min(max_depth, MAX_DELEGATION)
    if not documents:
        raise ChainBroken("no credential was shown")
    if len(documents) > ceiling + 1:
        raise DepthExceeded(f"{len(documents)} credentials, at most {ceiling + 1} are read")
    known = KnownCredentials(0) if known is None else known
    setting = Setting(now=now, trusted=trusted, max_depth=ceiling, known=known)
    before: VerifiedChain | None = known.find_chain(documents)
    if before is not None and before.leaf.subject == holder:
        _judge_again(before, setting)
        return before
    links = _in_order([known.read(document) for document in documents], holder)
    for check in CHAIN_CHECKS:
        check(links, setting)
    for position in range(len(links) - 1, -1, -1):  # root first: nothing below it counts before it holds
        parent = links[position + 1] if position + 1 < len(links) else None
        for link_check in LINK_CHECKS:
            link_check(links[position], parent, setting)
    content = b"[" + b",".join(link.canonical for link in links) + b"]"
    chain = VerifiedChain(
        links=links, capabilities=charged(links), root_issuer=links[-1].issuer, digest=digest.digest_uri(content)
    )
    known.remember_chain(documents, chain, links)
    return chain


def require_trusted_root(chain: VerifiedChain, trusted: TrustedIssuers, *, now: datetime) -> None:
    """Return when a chain that held before begins with somebody who is trusted for it now as well.

    Raises: UntrustedIssuer.
    """
    setting = Setting(now=now, trusted=trusted, max_depth=MAX_DELEGATION, known=KnownCredentials(0))
    root_issuer_is_trusted(chain.links, setting)


def _judge_again(chain: VerifiedChain, setting: Setting) -> None:
    """Judge what can change about a chain that held before: who is trusted, how deep it may be, and the time."""
    root_issuer_is_trusted(chain.links, setting)
    for link in reversed(chain.links):
        link_is_current(link, None, setting)
    if chain.leaf.depth > setting.max_depth:
        raise DepthExceeded(f"{chain.leaf.id} has depth {chain.leaf.depth}")


# ---- obligations of the chain as a whole


def chain_is_bounded(links: tuple[CapabilityCredential, ...], _setting: Setting) -> None:
    """Refuse chains that cost more to read than they can be worth (LIM-01)."""
    if sum(len(link.canonical) for link in links) > MAX_CHAIN:
        raise TooLarge(f"the credentials together have more than {MAX_CHAIN} bytes")


def root_is_a_root(links: tuple[CapabilityCredential, ...], _setting: Setting) -> None:
    """Refuse a chain whose start is missing: a delegated credential alone proves nothing about its delegator."""
    if links[-1].depth != 0:
        raise ChainBroken(f"the parent of {links[-1].id} was not shown")


def root_issuer_is_trusted(links: tuple[CapabilityCredential, ...], setting: Setting) -> None:
    """Refuse grants by strangers, and by issuers outside their remit (VCX-05)."""
    root = links[-1]
    setting.trusted.require_grant(
        root.issuer,
        root.capabilities,
        names_somebody=root.on_behalf_of is not None,
        origins=frozenset(map(_origin, root.statuses)),
    )


def nobody_appears_twice(links: tuple[CapabilityCredential, ...], _setting: Setting) -> None:
    """Refuse cycles and self-delegation, which hide who really acts (DEL-08)."""
    parties = [links[-1].issuer, *(link.subject for link in links)]
    if len(set(parties)) != len(parties):
        raise ChainBroken("a party appears twice in the chain")


def lists_are_where_the_root_points(links: tuple[CapabilityCredential, ...], _setting: Setting) -> None:
    """Refuse delegates that name a status host of their own: we would fetch whatever address they like (VCX-05)."""
    hosts = {_origin(entry) for entry in links[-1].statuses}
    if any(_origin(entry) not in hosts for link in links for entry in link.statuses):
        raise ChainBroken("a delegated credential names a status list outside the root issuer's hosts")


# ---- obligations of every link; `parent` is None for the root


def link_is_current(link: CapabilityCredential, _parent: CapabilityCredential | None, setting: Setting) -> None:
    """Refuse credentials before and after their time (VCX-11)."""
    link.period.require_current(setting.now, f"credential {link.id}")


def link_is_short_lived(link: CapabilityCredential, _parent: CapabilityCredential | None, _setting: Setting) -> None:
    """Refuse long grants, and grants that nobody could end early."""
    life = link.valid_until - link.valid_from
    if life > (MAX_LIFETIME if link.statuses else MAX_LIFETIME_WITHOUT_STATUS):
        raise BadCredential(f"{link.id} lives {life}, longer than its kind may")


def link_is_signed_by_its_issuer(
    link: CapabilityCredential, _parent: CapabilityCredential | None, setting: Setting
) -> None:
    """Refuse edited documents, foreign keys and proofs made for another purpose (VCX-04)."""
    if setting.known.holds(link):
        return
    verified = verify_proof(
        link.document, expected_purpose="assertionMethod", now=setting.now, documents=setting.trusted.documents
    )
    # The suite accepts contexts that were appended after signing; a profile does not.
    closed.constant(verified.document["@context"], "signed @context", AGENT_PROFILE)
    if verified.controller != link.issuer:
        raise WrongIssuer(f"{link.id} of {link.issuer} is signed by {verified.controller}")
    setting.known.remember(link, verified)


def issuer_is_the_parents_subject(
    link: CapabilityCredential, parent: CapabilityCredential | None, _setting: Setting
) -> None:
    """Refuse hand-overs by anyone but the holder of the parent."""
    if parent is not None and link.issuer != parent.subject:
        raise ChainBroken(f"{link.id} is issued by {link.issuer}, but its parent belongs to {parent.subject}")


def depth_grows_by_one(link: CapabilityCredential, parent: CapabilityCredential | None, setting: Setting) -> None:
    """Refuse counting wrong, passing the ceiling, and raising it (DEL-08)."""
    if parent is not None and link.depth != parent.depth + 1:
        raise ChainBroken(f"{link.id} has depth {link.depth} under {parent.depth}")
    if link.depth > setting.max_depth or (parent is not None and link.depth > parent.max_depth):
        raise DepthExceeded(f"{link.id} has depth {link.depth}")
    if parent is not None and link.max_depth > parent.max_depth:
        raise NotAttenuated(f"{link.id} raises maxDepth from {parent.max_depth} to {link.max_depth}")


def time_is_within_the_parents(
    link: CapabilityCredential, parent: CapabilityCredential | None, _setting: Setting
) -> None:
    """Refuse children that begin before or end after what they come from."""
    if parent is not None and (link.valid_from < parent.valid_from or link.valid_until > parent.valid_until):
        raise NotAttenuated(f"{link.id} is valid outside its parent's time")


def principal_stays(link: CapabilityCredential, parent: CapabilityCredential | None, _setting: Setting) -> None:
    """Refuse changing, adding or dropping the one on whose behalf everything happens."""
    if parent is not None and link.on_behalf_of != parent.on_behalf_of:
        raise NotAttenuated(f"{link.id} changes the principal")


def rights_only_shrink(link: CapabilityCredential, parent: CapabilityCredential | None, _setting: Setting) -> None:
    """Refuse any capability that is not covered by one capability of the parent."""
    if parent is None:
        return
    for capability in link.capabilities:
        if not any(covered_by(capability, held) for held in parent.capabilities):
            raise NotAttenuated(f"{link.id} grants {sorted(capability.tools)[:8]} beyond its parent")


ChainCheck = Callable[[tuple[CapabilityCredential, ...], Setting], None]
LinkCheck = Callable[[CapabilityCredential, CapabilityCredential | None, Setting], None]

CHAIN_CHECKS: Final[Sequence[ChainCheck]] = (
    chain_is_bounded,
    root_is_a_root,
    root_issuer_is_trusted,
    nobody_appears_twice,
    lists_are_where_the_root_points,
)
LINK_CHECKS: Final[Sequence[LinkCheck]] = (
    link_is_current,
    link_is_short_lived,
    link_is_signed_by_its_issuer,  # before the comparisons, which cost an unsigned document nothing to provoke
    issuer_is_the_parents_subject,
    depth_grows_by_one,
    time_is_within_the_parents,
    principal_stays,
    rights_only_shrink,
)


def _origin(entry: StatusEntry) -> str:
    return origin_of(entry.list_url)


def _in_order(credentials: Sequence[CapabilityCredential], holder: str) -> tuple[CapabilityCredential, ...]:
    """Return all `credentials` leaf first, linked by digest and id, or refuse them."""
    by_digest = {credential.digest: credential for credential in credentials}
    if len(by_digest) != len(credentials) or len({credential.id for credential in credentials}) != len(credentials):
        raise ChainBroken("a credential was shown twice, or two have one id")
    parents = {credential.parent_digest for credential in credentials}
    leaves = [credential for commitment, credential in by_digest.items() if commitment not in parents]
    mine = [credential for credential in leaves if credential.subject == holder]
    if not mine:
        raise HolderMismatch(f"{holder} is not the subject at the end of the chain")
    links = [mine[0]]
    while links[-1].parent_digest is not None and links[-1].parent_digest in by_digest:
        parent = by_digest[links[-1].parent_digest]
        if parent.id != links[-1].parent_id:
            raise ChainBroken(f"{links[-1].id} names its parent by another id")
        links.append(parent)
        if len(links) > len(credentials):
            raise ChainBroken("the chain is a circle")
    if len(links) != len(credentials):
        raise ChainBroken("a credential was shown that is not part of the chain")
    return tuple(links)
