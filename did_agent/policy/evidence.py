"""Whether a token says no more than the signed credentials behind it (`delegation_evidence`; DEL-04 to DEL-07).

A token is the bridge's word.  Its evidence is the word of the issuer and of every agent that handed on: whoever steals
the bridge's key can sign tokens, but no credentials, and so cannot invent a delegation.  Reading CHECKS is reading what
is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from did_agent.credential.behind import Documents, verify_behind
from did_agent.credential.capability import covered_by, scopes_of
from did_agent.credential.chain import VerifiedChain
from did_agent.credential.known import KnownCredentials
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import parse_did_key
from did_agent.errors import KeysUnavailable, Malformed, NotEvidenced, VerificationError
from did_agent.keys.jwk import thumbprint
from did_agent.tokens.access_token import AccessToken

# "agents": what agents hold and hand on must be signed; for whom they act is the bridge's word, as people's consent is.
# "full": the person must be named in the credentials too, as `onBehalfOf`.
Strictness = Literal["off", "agents", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a token tells, beside the chains behind it."""

    token: AccessToken
    agents: tuple[str, ...]  # the one acting now first; for an agent on its own it alone
    strictness: Strictness
    agent_key: bool


def require_evidenced(  # expectations have no defaults
    token: AccessToken,
    documents: Documents,
    *,
    strictness: Strictness,
    agent_key: bool,
    trusted: TrustedIssuers,
    max_depth: int,
    known: KnownCredentials,
    now: datetime,
) -> tuple[VerifiedChain, ...]:
    """Return the chains that the credentials behind a token form, when they say all that it does; status is not judged.

    `documents` are those behind the digest in the token, which the caller has compared.  With `agent_key` the token
    must be bound to the key in the DID of who acts.
    Raises: NotEvidenced.
    """
    own = (token.subject,) if token.subject_profile == "ai_agent" else ()
    told = Told(token=token, agents=(*token.actors, *own), strictness=strictness, agent_key=agent_key)
    if not told.agents:
        raise NotEvidenced("no agent acts in the token, so no credential is behind it")
    try:
        chains = verify_behind(
            documents, holder=told.agents[0], now=now, trusted=trusted, max_depth=max_depth, known=known
        )
    except (Malformed, VerificationError, KeysUnavailable) as error:
        raise NotEvidenced(f"{error.code}: {error.detail}") from error
    for check in CHECKS:
        check(told, chains)
    return chains


def agents_are_those_of_the_chain(told: Told, chains: Sequence[VerifiedChain]) -> None:
    """Refuse actors that the credentials do not name, or name in another order (DEL-07)."""
    for chain in chains:
        signed = (chain.leaf.subject, *chain.delegators)
        # For a person, the bridge may have seen hops before or behind those of the credentials: they give no rights.
        length = min(len(signed), len(told.agents)) if _is_loose(told) else max(len(signed), len(told.agents))
        if signed[:length] != told.agents[:length]:
            raise NotEvidenced("the actors are not those of the signed chain")


def principal_is_that_of_the_chain(told: Told, chains: Sequence[VerifiedChain]) -> None:
    """Refuse a subject that the credentials do not name (DEL-03, DEL-07)."""
    person = told.token.subject if told.token.subject_profile == "user" else None
    allowed = {person, None} if _is_loose(told) else {person}
    if any(chain.on_behalf_of not in allowed for chain in chains):
        raise NotEvidenced("the subject is not the one the credentials were given for")


def capabilities_are_covered(told: Told, chains: Sequence[VerifiedChain]) -> None:
    """Refuse more tools, arguments or limits than a leaf holds, and limits counted elsewhere (DEL-05)."""
    signed = [held for chain in chains for held in chain.capabilities]
    for capability in told.token.capabilities:
        if not any(covered_by(capability, held) and set(held.accounts) <= set(capability.accounts) for held in signed):
            raise NotEvidenced(f"nothing signed covers {sorted(capability.tools)[:8]}")


def scopes_are_those_of_the_capabilities(told: Told, _chains: Sequence[VerifiedChain]) -> None:
    """Refuse scopes without a capability behind them (DEL-04)."""
    if not told.token.scopes <= scopes_of(told.token.capabilities):
        raise NotEvidenced("a scope has no capability behind it")


def ends_with_the_chain(told: Told, chains: Sequence[VerifiedChain]) -> None:
    """Refuse a token that outlives what it was made from (DEL-05)."""
    if any(told.token.expires > chain.valid_until for chain in chains):
        raise NotEvidenced("the token ends after a credential behind it")


def is_bound_to_the_agents_key(told: Told, _chains: Sequence[VerifiedChain]) -> None:
    """Refuse, where that is asked for, a token that somebody else than the agent could show (TOK-09)."""
    if not told.agent_key:
        return
    try:
        expected = thumbprint(parse_did_key(told.agents[0]))
    except (Malformed, VerificationError) as error:
        raise NotEvidenced("the agent has no did:key that a token could be bound to") from error
    if told.token.confirmation is None or told.token.confirmation.jkt != expected:
        raise NotEvidenced("the token is not bound to the agent's own key")


CHECKS: Final[Sequence[Callable[[Told, Sequence[VerifiedChain]], None]]] = (
    agents_are_those_of_the_chain,
    principal_is_that_of_the_chain,
    capabilities_are_covered,
    scopes_are_those_of_the_capabilities,
    ends_with_the_chain,
    is_bound_to_the_agents_key,
)


def _is_loose(told: Told) -> bool:
    return told.strictness == "agents" and told.token.subject_profile == "user"
