"""One token request on its way: what became known while judging is spent, done and recorded in one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from bridge.authorization_details import Details
from bridge.model import Grant, OAuthRequest, Resource, Spend, User
from bridge.model.keys import DEFAULT_ALGORITHM, SigningAlgorithm
from bridge.policy import Told
from bridge.ports import Transaction
from did_agent.errors import BadDPoPProof, BadGrant, ClientNotAuthenticated, DidAgentError, Replayed, WrongChallenge
from did_agent.policy.active import NO_POLICY, ActivePolicy
from did_agent.policy.facts import Facts
from did_agent.tokens.confirmation import Confirmation

# What a grant adds to the transaction that issues (with the `jti` of the token), or that records a refusal.
OnIssue = Callable[[Transaction, Grant, str], Awaitable[None]]
OnRefusal = Callable[[Transaction], Awaitable[None]]


@dataclass(slots=True)
class Attempt:
    """A token request and what is known of it so far."""

    request: OAuthRequest
    now: datetime
    grant: str = ""
    scopes: frozenset[str] | None = None
    details: Details | None = None
    client_id: str | None = None
    signing_alg: SigningAlgorithm = DEFAULT_ALGORITHM  # of the resource
    confirmation: Confirmation | None = None  # the key the caller proved to hold, which the token is bound to
    spends: list[Spend] = field(default_factory=list)  # consumed whatever the outcome
    on_issue: list[OnIssue] = field(default_factory=list)
    on_refusal: list[OnRefusal] = field(default_factory=list)
    refresh_token: str | None = None  # to be handed out with the access token
    policy: ActivePolicy = NO_POLICY  # that was in force when resource and user were read
    user: User | None = None  # whose rights are asked for
    resource: Resource | None = None  # that the token is for
    spoken_for: str | None = None  # the organisation whose issuer says on whose behalf an agent acts
    told: Told = field(default_factory=Told)  # what the audit event says of the decision
    remembers: bool = False  # whether the register's word of a moment ago was used
    asks_anew: bool = False  # whether it must not be

    def facts(self) -> Facts | None:
        """Return the facts of a request that is refused, as far as they are known without a grant."""
        agent = self.client_id if (self.client_id or "").startswith("did:") else None
        if agent is None or len(self.request.resources) != 1:
            return None
        (resource,), user = self.request.resources, self.user
        return Facts(
            resource=resource,
            time=self.now,
            user=None if user is None else user.username,
            groups=frozenset() if user is None else user.groups,
            rights=frozenset() if user is None else user.rights.get(resource, frozenset()),
            agent=agent,
            client=agent,
        )


async def spend(work: Transaction, value: Spend) -> None:
    """Consume a single-use value.

    Raises: what the second use of a value of this kind is called.
    """
    if not await work.spend(value):
        raise used_before(value)


def used_before(value: Spend) -> DidAgentError:
    """Return the refusal of a value that was consumed before."""
    refusals: dict[str, DidAgentError] = {
        "client_assertion": ClientNotAuthenticated("the client assertion was used before"),
        "challenge": WrongChallenge("the challenge was answered before"),
        "presentation": Replayed("the presentation was used before"),
        "dpop": BadDPoPProof("the proof was used before"),
    }
    return refusals.get(value.purpose) or BadGrant(f"the {value.purpose} was used before")
