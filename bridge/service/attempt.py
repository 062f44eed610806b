"""One token request on its way: what became known while judging is spent, done and recorded in one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from bridge.model import Grant, OAuthRequest, Spend
from bridge.ports import Transaction
from did_agent.errors import BadDPoPProof, BadGrant, ClientNotAuthenticated, DidAgentError, Replayed, WrongChallenge
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
    client_id: str | None = None
    confirmation: Confirmation | None = None  # the key the caller proved to hold, which the token is bound to
    spends: list[Spend] = field(default_factory=list)  # consumed whatever the outcome
    on_issue: list[OnIssue] = field(default_factory=list)
    on_refusal: list[OnRefusal] = field(default_factory=list)
    refresh_token: str | None = None  # to be handed out with the access token
    remembers: bool = False  # whether the register's word of a moment ago was used
    asks_anew: bool = False  # whether it must not be


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
