"""The authorization request, checked in two steps: before the redirect can be trusted, and after (OAuth 2.1, 4.1.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bridge import authorization_details
from bridge.grants.authorization_code import CHALLENGE_FORM
from bridge.model import OFFLINE_ACCESS, Agent, AuthorizationRequest, OAuthRequest
from bridge.model.clients import OAuthClient
from bridge.redirects import require_redirect_uri
from bridge.tasks import parse_name
from did_agent.errors import EmptyGrant, InvalidParameter
from did_agent.tokens.task import is_task_name

MAX_STATE: Final = 1_024  # characters
_STATE: Final = re.compile(r"[ -~]*")
_SCOPE: Final = re.compile(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*")  # RFC 6749, 3.3
_JKT: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_NOT_OFFERED: Final = ("request", "request_uri", "registration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error that goes back to the client by redirect, in the standard's words (OAuth 2.1, 4.1.2.1)."""

    redirect_uri: str
    state: str | None
    error: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where answers may go: a registered redirect URI of a client that is served."""

    client: OAuthClient
    redirect_uri: str
    state: str | None

    def refuse(self, error: str, description: str) -> Refusal:
        """Return the refusal of a request that may be answered by redirect."""
        return Refusal(redirect_uri=self.redirect_uri, state=self.state, error=error, description=description)


def parse_scope(text: str | None) -> frozenset[str] | None:
    """Return the scopes of a `scope` parameter; None when it is absent.

    Raises: EmptyGrant: what cannot be read names nothing.
    """
    if text is not None and not _SCOPE.fullmatch(text):
        raise EmptyGrant("scope is not a list of scope tokens")
    return None if text is None else frozenset(text.split(" "))


def read_destination(asked: OAuthRequest, client: OAuthClient | None, agent: Agent | None) -> Destination:
    """Return where to answer; what fails here is shown on a local page and never redirected (RFC 9700, 4.11).

    Raises: InvalidParameter.
    """
    if client is None or (client.agent is not None and (agent is None or not agent.is_active)):
        raise InvalidParameter("client_id is not an active agent or client of this deployment")
    state = asked.get("state")
    if state is not None and (len(state) > MAX_STATE or not _STATE.fullmatch(state)):
        raise InvalidParameter("state is too long or not printable ASCII")
    uri = require_redirect_uri(asked.get("redirect_uri"), client.redirect_uris)
    return Destination(client=client, redirect_uri=uri, state=state)


def require_form(asked: OAuthRequest, destination: Destination) -> Refusal | None:
    """Return why the request cannot be served whoever asks, or None (OAU-01)."""
    if asked.get("response_type") not in (None, "code"):
        return destination.refuse("unsupported_response_type", "only code is offered")
    rules = (
        (asked.get("response_type") is not None, "response_type is required"),
        (asked.get("response_mode") in (None, "query"), "only response_mode query is offered"),
        (not asked.parameters.keys() & _NOT_OFFERED, "request objects are not accepted"),
        (asked.get("code_challenge_method") == "S256", "PKCE with code_challenge_method S256 is required"),
        (CHALLENGE_FORM.fullmatch(asked.get("code_challenge") or ""), "code_challenge does not have its form"),
        (_JKT.fullmatch(asked.get("dpop_jkt") or "x" * 43), "dpop_jkt is not a thumbprint"),
        (is_task_name(asked.get("task") or "x"), "task is not 1 to 128 letters, digits or any of - . _ ~"),
        # A client that is an agent acts itself (DEL-01).
        (
            destination.client.agent is None or asked.get("requested_actor") in (None, destination.client.agent),
            "requested_actor is not this client",
        ),
    )
    broken = next((sentence for kept, sentence in rules if not kept), None)
    return None if broken is None else destination.refuse("invalid_request", broken)


def make_request(
    asked: OAuthRequest, destination: Destination, *, actor: Agent | None, resource: str
) -> AuthorizationRequest:
    """Return the checked request.

    Raises: EmptyGrant when its scope cannot be read, UnsupportedDetails.
    """
    scopes = parse_scope(asked.get("scope"))
    authorization_details.require_at(resource, asked.get("authorization_details"))
    return AuthorizationRequest(
        client_id=destination.client.id,
        actor=None if actor is None else actor.did,
        redirect_uri=destination.redirect_uri,
        redirect_uri_given=asked.get("redirect_uri") is not None,
        state=destination.state,
        resource=resource,
        scopes=None if scopes is None else (scopes - {OFFLINE_ACCESS} or None),
        offline=OFFLINE_ACCESS in (scopes or ()),
        code_challenge=asked.get("code_challenge") or "",
        dpop_jkt=asked.get("dpop_jkt"),
        details=asked.get("authorization_details"),
        task=parse_name(asked.get("task")),
    )
