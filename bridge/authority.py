"""What credentials let an agent do at a resource, and what of it is granted (DEL-04)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from bridge.model import TOKEN_SECONDS, Agent, Authority, Resource
from did_agent.credential.capability import Capability, covered_by, parse_bare_capability, scopes_of
from did_agent.credential.chain import VerifiedChain, verify_chain
from did_agent.credential.known import KnownCredentials
from did_agent.credential.limits import Account, Limits
from did_agent.credential.trust import TrustedIssuers
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import AgentNotActive, DidAgentError, EmptyGrant, UnknownAgent, UnknownResource
from did_agent.policy.admission import capabilities_at
from did_agent.policy.combination import Combination, Terms, combine

MAX_CREDENTIALS: Final = 8  # credentials of the registry that go into one token, the longest-lived first


def require_active(agent: Agent | None) -> Agent:
    """Return the agent, which must be registered and active at this moment (DEL-10).

    Raises: UnknownAgent, AgentNotActive.
    """
    if agent is None:
        raise UnknownAgent("the agent is not in the registry")
    if not agent.is_active:
        raise AgentNotActive(f"{agent.did} is {agent.state}")
    return agent


def registered_chains(
    agent: Agent, *, now: datetime, trusted: TrustedIssuers, known: KnownCredentials | None = None
) -> list[VerifiedChain]:
    """Return the agent's own root credentials that hold now; the registry's word alone is not enough.

    Credentials on behalf of somebody are left out: an agent that authenticates as itself speaks for itself.
    """
    chains = []
    for document in agent.credentials:
        try:
            chain = verify_chain([document], holder=agent.did, now=now, trusted=trusted, max_depth=0, known=known)
        except DidAgentError:
            continue  # e.g. it ended between the registry's look and ours, or is of another kind
        if chain.on_behalf_of is None:
            chains.append(chain)
    return sorted(chains, key=lambda chain: (chain.valid_until, chain.leaf.id), reverse=True)


def choose_resource(requested: Sequence[str], chains: Sequence[VerifiedChain]) -> str:
    """Return the one resource the token is for; without a request, the only one the credentials name.

    Raises: UnknownResource.
    """
    held = {name for chain in chains for capability in chain.capabilities for name in capability.resources}
    named = frozenset(requested) or held
    if len(named) != 1:
        raise UnknownResource("exactly one resource is needed: a token is for one audience")
    return next(iter(named))


def authority_at(resource: str, chains: Sequence[VerifiedChain], *, now: datetime) -> Authority:
    """Return what `chains` give at `resource`; chains that say nothing about it are left out."""
    useful = [chain for chain in chains if capabilities_at(resource, chain)][:MAX_CREDENTIALS]
    documents = tuple(document for chain in useful for document in chain.documents)
    return Authority(
        capabilities=tuple(held for chain in useful for held in capabilities_at(resource, chain)),
        credential_ids=tuple(name for chain in useful for name in chain.credential_ids),
        documents=documents,
        digest=digest_uri(canonicalize([dict(document) for document in documents])) if documents else None,
        valid_until=min((chain.valid_until for chain in useful), default=token_end(now)),
        delegated=any(len(chain.documents) > 1 for chain in useful),
    )


def within(capabilities: Sequence[Capability], previous: Sequence[Capability]) -> tuple[Capability, ...]:
    """Return what of `capabilities` the previous holder had too, tool by tool and argument by argument (DEL-05).

    It is counted for both: in the accounts of what is held now, and of what it came from.
    """
    kept: dict[tuple[int, Limits | None, tuple[Account, ...]], Capability] = {}
    for number, held in enumerate(capabilities):
        for name, arguments in held.tools.items():
            single = replace(held, tools={name: arguments})
            one = next((found for wider in previous if (found := _under(single, wider)) is not None), None)
            if one is not None:
                place = (number, one.limits, one.accounts)
                kept[place] = replace(one, tools={**kept[place].tools, **one.tools}) if place in kept else one
    return tuple(kept.values())


def _under(held: Capability, wider: Capability) -> Capability | None:
    limits = held.limits or wider.limits
    if held.limits is not None and wider.limits is not None:
        limits = held.limits.inheriting(wider.limits)
    accounts = tuple(dict.fromkeys((*held.accounts, *wider.accounts)))
    one = replace(held, limits=limits, accounts=accounts)
    return one if covered_by(one, wider) else None


def granted_scopes(
    requested: frozenset[str] | None,
    resource: Resource,
    *,
    agent: Sequence[Capability] | None,
    user: frozenset[str] | None = None,
    earlier: Mapping[str, frozenset[str]] | None = None,
    is_chain: bool = True,
) -> Combination:
    """Return what requested ∩ resource ∩ earlier terms (consent, previous token) leaves of the rights of both sides.

    How these combine is the resource's mode.  `agent` is None where no agent acts: a program that a user runs, which
    has no rights of its own to take from.  `is_chain`: whether authority was handed on, where the strict answer is yes.
    Raises: EmptyGrant naming the term that left nothing, or a scope the resource does not have.
    """
    unknown = (requested or frozenset()) - resource.scopes.keys()
    if unknown:
        raise EmptyGrant(f"the resource has no scope {min(unknown)[:80]}")
    terms = Terms(
        requested=requested,
        limits={"resource": frozenset(resource.scopes), **(earlier or {})},
        user=user,
        agent=None if agent is None else scopes_of(agent),
        is_chain=is_chain,
    )
    return combine(resource.mode, terms, autonomous=resource.autonomous)


def client_authority(resource: Resource, scopes: frozenset[str], *, now: datetime) -> Authority:
    """Return what a program without an agent may do: the tools that were granted, with any arguments."""
    tools: dict[str, dict[str, object]] = {scope.removeprefix("tool:"): {} for scope in sorted(scopes)}
    held = parse_bare_capability({"resource": [resource.id], "tools": tools})
    return replace(authority_at(resource.id, (), now=now), capabilities=(held,))


def token_end(now: datetime, *bounds: datetime) -> datetime:
    """Return when a token ends: after five minutes, or with the first of what it was made from."""
    return min((now + timedelta(seconds=TOKEN_SECONDS), *bounds))
