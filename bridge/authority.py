"""What credentials let an agent do at a resource: read from a presentation or from the issuer's registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from bridge.model import TOKEN_SECONDS, Agent, Authority, Resource
from did_agent.credential.capability import Capability, covered_by, scopes_of, tool_scope
from did_agent.credential.chain import VerifiedChain, verify_chain
from did_agent.credential.trust import TrustedIssuers
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import AgentNotActive, DidAgentError, EmptyGrant, UnknownAgent, UnknownResource
from did_agent.policy.admission import capabilities_at
from did_agent.policy.decide import grant

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


def registered_chains(agent: Agent, *, now: datetime, trusted: TrustedIssuers) -> tuple[VerifiedChain, ...]:
    """Return the agent's own root credentials that hold now; the registry's word alone is not enough.

    Credentials on behalf of somebody are left out: an agent that authenticates as itself speaks for itself.
    """
    chains = [chain for document in agent.credentials if (chain := _root(document, agent.did, now, trusted))]
    newest_first = sorted(chains, key=lambda chain: (chain.valid_until, chain.leaf.id), reverse=True)
    return tuple(newest_first)


def choose_resource(requested: Sequence[str], capabilities: Sequence[Capability]) -> str:
    """Return the one resource the token is for; without a request, the only one the capabilities name.

    Raises: UnknownResource.
    """
    named = frozenset(requested) or frozenset(name for held in capabilities for name in held.resources)
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
        valid_until=min((chain.valid_until for chain in useful), default=now + timedelta(seconds=TOKEN_SECONDS)),
    )


def within(capabilities: Sequence[Capability], previous: Sequence[Capability]) -> tuple[Capability, ...]:
    """Return what of `capabilities` the previous holder had too, tool by tool and argument by argument (DEL-05)."""
    kept = []
    for held in capabilities:
        tools = {
            name: arguments
            for name, arguments in held.tools.items()
            if any(
                covered_by(Capability(resources=held.resources, tools={name: arguments}, limits=held.limits), one)
                for one in previous
            )
        }
        if tools:
            kept.append(Capability(resources=held.resources, tools=tools, limits=held.limits))
    return tuple(kept)


def granted_scopes(
    requested: frozenset[str] | None,
    resource: Resource,
    *,
    agent: Sequence[Capability],
    user: frozenset[str] | None = None,
    earlier: Mapping[str, frozenset[str]] | None = None,
) -> frozenset[str]:
    """Return requested ∩ resource ∩ user ∩ agent ∩ earlier terms (consent, previous token): DEL-04.

    Raises: EmptyGrant naming the term that left nothing, or a scope the resource does not have.
    """
    unknown = (requested or frozenset()) - resource.scopes.keys()
    if unknown:
        raise EmptyGrant(f"the resource has no scope {min(unknown)[:80]}")
    limits = {"resource": frozenset(resource.scopes), **(earlier or {}), "agent": scopes_of(agent)}
    if user is not None:
        limits["user"] = user
    return grant(requested, limits=limits)


def scopes_for_tools(tools: Sequence[str]) -> frozenset[str]:
    """Return the scopes of tools by name."""
    return frozenset(tool_scope(tool) for tool in tools)


def _root(document: Mapping[str, object], holder: str, now: datetime, trusted: TrustedIssuers) -> VerifiedChain | None:
    try:
        chain = verify_chain([document], holder=holder, now=now, trusted=trusted, max_depth=0)
    except DidAgentError:
        return None  # e.g. it ended between the registry's look and ours, or is of another kind
    return chain if chain.on_behalf_of is None else None
