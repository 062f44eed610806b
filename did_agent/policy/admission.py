"""Both doors lead here: a presentation and a token become the same `VerifiedCaller`."""

from __future__ import annotations

from typing import Final

from did_agent.credential.capability import Capability, scopes_of
from did_agent.credential.chain import VerifiedChain
from did_agent.errors import BadPresentation
from did_agent.policy.caller import DID_NAMESPACE, Principal, PrincipalKind, VerifiedCaller
from did_agent.presentation.model import VerifiedPresentation
from did_agent.tokens.access_token import HOME, AccessToken, SubjectProfile

_KINDS: Final[dict[SubjectProfile, PrincipalKind]] = {"user": "user", "ai_agent": "agent", "service": "service"}


def caller_from_presentation(
    presentation: VerifiedPresentation, *, resource: str, organisation: str = HOME
) -> VerifiedCaller:
    """Return who presents, with the capabilities that count at `resource`; `organisation` issued the root.

    Raises: BadPresentation when nothing was presented but possession of a key.
    """
    chain = presentation.chain
    if chain is None:
        raise BadPresentation("the presentation holds no capability")
    capabilities = capabilities_at(resource, chain)
    return VerifiedCaller(
        principal=principal_of(chain),
        actors=actors_of(chain),
        client_id=presentation.holder,
        scopes=scopes_of(capabilities),
        capabilities=capabilities,
        entitlements=None,
        credential_ids=chain.credential_ids,
        evidence=chain.digest,
        organisation=organisation,
    )


def caller_from_token(token: AccessToken) -> VerifiedCaller:
    """Return whom an access token speaks of."""
    kind = _KINDS[token.subject_profile]
    namespace = DID_NAMESPACE if kind == "agent" else token.issuer
    return VerifiedCaller(
        principal=Principal(kind=kind, id=token.subject, namespace=namespace),
        actors=token.actors,
        client_id=token.client_id,
        scopes=token.scopes,
        capabilities=token.capabilities,
        entitlements=token.entitlements,
        credential_ids=token.credential_ids,
        evidence=token.evidence,
        groups=token.groups,
        task=token.task,
        organisation=token.organisation,
    )


def capabilities_at(resource: str, chain: VerifiedChain) -> tuple[Capability, ...]:
    """Return the leaf's capabilities for `resource`, each narrowed to it."""
    narrowed = (capability.narrowed_to(resource) for capability in chain.capabilities)
    return tuple(capability for capability in narrowed if capability is not None)


def principal_of(chain: VerifiedChain) -> Principal:
    """Return on whose behalf the leaf acts: `onBehalfOf`, or the agent that holds the root."""
    if chain.on_behalf_of is None:
        return Principal(kind="agent", id=chain.principal, namespace=DID_NAMESPACE)
    return Principal(kind="user", id=chain.on_behalf_of, namespace=chain.root_issuer)


def actors_of(chain: VerifiedChain) -> tuple[str, ...]:
    """Return the agents between principal and tool, the one acting now first; empty for an agent on its own."""
    everyone = (chain.leaf.subject, *chain.delegators)
    return everyone if chain.on_behalf_of is not None else everyone[:-1]
