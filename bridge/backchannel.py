"""A question to a person: who is asked, in which words, and what they could allow (OpenID CIBA Core 1.0, 7.1)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bridge import authorization_details
from bridge.authority import granted_scopes
from bridge.authorization_request import parse_scope
from bridge.model import OFFLINE_ACCESS, Agent, Authority, OAuthRequest, Resource, User
from bridge.model.backchannel import (
    ASK_SECONDS,
    MAX_ASK_SECONDS,
    MAX_OPEN_PER_AGENT,
    MAX_OPEN_PER_PERSON,
    Asking,
)
from bridge.policy import offered, with_roles
from bridge.tasks import parse_name
from did_agent.encoding import base64url
from did_agent.errors import BadBindingMessage, InvalidParameter, MissingParameter, TooManyPending
from did_agent.policy.active import ActivePolicy
from did_agent.policy.combination import CONSENT
from did_agent.policy.decide import short_did

MAX_MESSAGE: Final = 200  # characters of a binding message
MAX_HINT: Final = 128  # characters of a user name
_OTHER_HINTS: Final = ("login_hint_token", "id_token_hint")
# Only polling is offered, and what is asked is in the parameters alone.
_NOT_OFFERED: Final = ("request", "request_uri", "client_notification_token", "user_code")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a request asks, and of whom."""

    username: str
    message: str | None
    scopes: frozenset[str] | None
    details: str | None
    seconds: int
    task: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalPage:
    """Everything a person is told before they answer; the message alone is in the agent's words."""

    asking: Asking
    agent: Agent
    agent_short: str
    resource: Resource
    user: User
    scopes: tuple[tuple[str, str], ...]  # scope and plain words
    details: tuple[tuple[str, str], ...]  # tool and conditions


def asking_digest(auth_req_id: str) -> str:
    """Return what is stored of an `auth_req_id`: whoever reads the database cannot redeem it."""
    return base64url.encode(hashlib.sha256(b"auth_req_id " + auth_req_id.encode()).digest())


def parse(request: OAuthRequest) -> Question:
    """Return the question of a request.

    Raises: MissingParameter, InvalidParameter, BadBindingMessage, EmptyGrant, UnsupportedDetails.
    """
    if any(request.get(name) is not None for name in (*_OTHER_HINTS, *_NOT_OFFERED)):
        raise InvalidParameter("a person is named by login_hint, and only the poll mode is offered")
    hint, message = request.get("login_hint"), request.get("binding_message")
    if hint is None:
        raise MissingParameter("login_hint is required")
    if len(hint) > MAX_HINT or not hint.isprintable():
        raise InvalidParameter("login_hint is not a user name")
    # One line without controls or direction marks: nothing in it can imitate the page around it.
    if message is not None and (len(message) > MAX_MESSAGE or not message.isprintable()):
        raise BadBindingMessage(f"binding_message is not one line of at most {MAX_MESSAGE} printable characters")
    scopes = (parse_scope(request.get("scope")) or frozenset()) - {OFFLINE_ACCESS}
    return Question(
        username=hint,
        message=message,
        scopes=scopes or None,
        details=request.get("authorization_details"),
        seconds=_seconds(request.get("requested_expiry")),
        task=parse_name(request.get("task")),
    )


def require_room(*, person: int, agent: int) -> None:
    """Return when one more question can be asked, of a person who has `person` and by an agent that has `agent`.

    It counts by the name that was hinted: whether anybody has the name makes no difference.
    Raises: TooManyPending.
    """
    if person >= MAX_OPEN_PER_PERSON or agent >= MAX_OPEN_PER_AGENT:
        raise TooManyPending(f"{person} open questions to this person, {agent} by this agent")


def require_agent_rights(question: Question, resource: Resource, authority: Authority) -> None:
    """Return when the agent itself could do some of what is asked, whoever the person is.

    Raises: EmptyGrant, UnsupportedDetails.
    """
    everything = frozenset(resource.scopes)
    details = authorization_details.require_at(resource.id, question.details)
    combined = granted_scopes(
        question.scopes,
        resource,
        agent=authority.capabilities,
        user=everything,
        earlier={CONSENT: everything},
        is_chain=authority.delegated,
    )
    authorization_details.offered(combined.granted, authority.capabilities, details)


def offered_to(
    user: User,
    *,
    agent: str,
    client: str,
    scopes: frozenset[str] | None,
    details: str | None,
    resource: Resource,
    authority: Authority,
    policy: ActivePolicy,
    now: datetime,
) -> frozenset[str]:
    """Return what this person can allow, as if all were ticked.

    Raises: EmptyGrant naming the empty term, ActorUnauthorized when they may not have the agent act for them.
    """
    combined = granted_scopes(
        scopes,
        resource,
        agent=authority.capabilities,
        user=with_roles(policy, user, resource.id).scopes_at(resource.id),
        earlier={CONSENT: frozenset(resource.scopes)},
        is_chain=authority.delegated,
    )
    can_allow = offered(policy, combined, user=user, agent=agent, client=client, resource=resource.id, now=now)
    return authorization_details.offered(can_allow, authority.capabilities, authorization_details.parse(details))


def approval_page(
    asking: Asking, *, agent: Agent, resource: Resource, user: User, can_allow: frozenset[str]
) -> ApprovalPage:
    """Return what the page tells; all but the message from our own records."""
    return ApprovalPage(
        asking=asking,
        agent=agent,
        agent_short=short_did(agent.did),
        resource=resource,
        user=user,
        scopes=tuple((scope, resource.scopes[scope]) for scope in sorted(can_allow)),
        details=authorization_details.in_words(authorization_details.parse(asking.details)),
    )


def _seconds(text: str | None) -> int:
    if text is None:
        return ASK_SECONDS
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text)):
        raise InvalidParameter("requested_expiry is not a positive number of seconds")
    return min(int(text), MAX_ASK_SECONDS)
