"""Signing in and consenting: browser binding, CSRF tokens, and what a person is shown before they say yes (OAU-08)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bridge.model import TOKEN_SECONDS, Agent, Resource, User
from bridge.model.clients import OAuthClient
from bridge.redirects import is_loopback, shown_host
from did_agent.encoding import base64url
from did_agent.errors import ConsentDenied, InvalidParameter
from did_agent.policy.decide import short_did
from did_agent.tokens.access_token import HOME

COOKIE_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # 256 random bits


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentPage:
    """Everything a person is told: of our own records, and the conditions the request puts on itself (DEL-02)."""

    client: OAuthClient
    agent: Agent | None  # who will act; None for a program that acts for no agent
    agent_short: str
    resource: Resource
    user: User
    scopes: tuple[tuple[str, str], ...]  # scope and plain words
    redirect_host: str
    redirect_is_loopback: bool
    minutes: int
    details: tuple[tuple[str, str], ...] = ()  # tool and conditions: as they were asked for, and granted at most
    task: str | None = None  # what the client calls what it is for

    @property
    def organisation(self) -> str | None:
        """Whose agent it is, where that is to be said: it, or the person, is not of who runs the deployment."""
        if self.agent is None or {self.agent.organisation, self.user.organisation} == {HOME}:
            return None
        return self.agent.organisation

    @property
    def own_organisation(self) -> str | None:
        """Whose the person is, where agent or resource are another's, or they use a role of theirs."""
        others = {self.resource.organisation} | ({self.agent.organisation} if self.agent else set())
        return self.user.organisation if self.resource.built_in or others != {self.user.organisation} else None


def cookie_digest(cookie: str) -> str:
    """Return what is stored of a session cookie: whoever reads the database cannot sign in."""
    return base64url.encode(hashlib.sha256(b"session " + cookie.encode()).digest())


def csrf_token(key: bytes, *, cookie: str, query: str) -> str:
    """Return the token that binds a form to one browser and to one authorization request."""
    return base64url.encode(hmac.digest(key, f"{cookie}\n{query}".encode(), hashlib.sha256))


def require_csrf(token: str | None, key: bytes, *, cookie: str | None, query: str) -> None:
    """Return when the form was made by us for this browser and this request.

    Raises: InvalidParameter.
    """
    expected = csrf_token(key, cookie=cookie or "", query=query)
    if cookie is None or not hmac.compare_digest((token or "").encode(), expected.encode()):
        raise InvalidParameter("the form does not belong to this browser; start again")


def require_same_origin(origin: str | None, fetch_site: str | None, *, expected: str) -> None:
    """Return when a form was sent by our own page (WEB-05).

    Under `Referrer-Policy: no-referrer` browsers send `Origin: null`; then `Sec-Fetch-Site` must say it.
    Raises: InvalidParameter.
    """
    if origin != expected and (origin not in (None, "null") or fetch_site != "same-origin"):
        raise InvalidParameter("the form was not sent from this site")


def consent_page(
    redirect_uri: str,
    *,
    client: OAuthClient,
    agent: Agent | None,
    resource: Resource,
    user: User,
    offered: Iterable[str],
    details: tuple[tuple[str, str], ...] = (),
    task: str | None = None,
) -> ConsentPage:
    """Return what the consent page tells."""
    return ConsentPage(
        client=client,
        agent=agent,
        agent_short="" if agent is None else short_did(agent.did),
        resource=resource,
        user=user,
        scopes=tuple((scope, resource.scopes[scope]) for scope in sorted(offered)),
        redirect_host=shown_host(redirect_uri),
        redirect_is_loopback=is_loopback(redirect_uri),
        minutes=TOKEN_SECONDS // 60,
        details=details,
        task=task,
    )


def ticked_scopes(ticked: Iterable[str], offered: frozenset[str]) -> frozenset[str]:
    """Return what the person allowed, which can only be some of what they were offered.

    Raises: ConsentDenied when it is nothing, InvalidParameter when it was not on the page.
    """
    chosen = frozenset(ticked)
    if not chosen <= offered:
        raise InvalidParameter("a permission was sent that the page did not offer")
    if not chosen:
        raise ConsentDenied("no permission was ticked")
    return chosen
