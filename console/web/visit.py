"""One look at one page: who looks, what was sent, and the parties as this person may see them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast

from console.model import Party, Session
from console.ports import Parties
from console.sessions import Sessions
from did_agent.adapters.web_input import Parameters
from did_agent.client.errors import ServerRefused
from did_agent.errors import Denied, DidAgentError, Malformed, NotFound, PeerUnavailable
from did_agent.errors.remedies import remedy

_GONE: Final = 404
_UNAUTHORIZED: Final = 401


class SignInEnded(Exception):
    """The person's rights at a party ended, by time or because somebody took them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is shown: a template and what it shows."""

    template: str
    values: Mapping[str, object] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """Where the browser goes after a change; `said` names one of the sentences in `web.sentences`."""

    to: str
    said: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file."""

    name: str
    media_type: str
    content: bytes


Answer = Page | Away | Download


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a part of a page is missing, or a change was not made, in words for people."""

    title: str
    code: str
    what_to_do: str
    request_id: str | None = None
    is_away: bool = False  # the party did not answer, as against: it said no


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request of somebody who is signed in."""

    session: Session
    cookie: str = field(repr=False)
    query: Parameters
    form: Parameters
    path: Mapping[str, str]
    now: datetime
    urls: Mapping[Party, str]
    parties: Parties = field(repr=False)
    sessions: Sessions = field(repr=False)

    def may(self, party: Party, *scopes: str) -> bool:
        """Tell whether to offer something; the party decides again."""
        return self.session.may(party, *scopes)

    async def get(self, party: Party, path: str, **params: object) -> dict[str, Any]:
        """Return what a party answers; parameters that are None or empty are left out.

        Raises: SignInEnded, ServerRefused, PeerUnavailable, NotFound.
        """
        sent = {name: str(value) for name, value in params.items() if value not in (None, "")}
        return await self._ask(party, "GET", path, params=sent)

    async def part(self, party: Party, path: str, **params: object) -> dict[str, Any] | Trouble:
        """Return what a party answers, or why not: a page shows what it can when one party is away.

        Raises: SignInEnded.
        """
        try:
            return await self.get(party, path, **params)
        except DidAgentError as error:
            return trouble(error)

    async def parts(self, *asked: Awaitable[dict[str, Any] | Trouble]) -> list[dict[str, Any] | Trouble]:
        """Return several parts, asked for at the same time."""
        return list(await asyncio.gather(*asked))

    async def change(self, party: Party, method: str, path: str, body: Mapping[str, object] | None) -> dict[str, Any]:
        """Return what a party answers to a change.

        Raises: SignInEnded, ServerRefused, PeerUnavailable, NotFound.
        """
        content = {} if body is None else {"json": dict(body)}
        return await self._ask(party, method, path, **content)

    async def _ask(self, party: Party, method: str, path: str, **content: Any) -> dict[str, Any]:
        token = await self.sessions.token(self.cookie, self.session, party)
        if token is None:
            if party in self.session.tokens:
                raise SignInEnded(party)
            raise ServerRefused(403, "insufficient_scope", f"your role opens nothing at the {party}", None)
        try:
            return await self.parties.ask(party, method, path, token=token, **content)
        except ServerRefused as error:
            if error.status == _UNAUTHORIZED:
                raise SignInEnded(party) from error
            if error.status == _GONE:
                raise NotFound(error.detail) from error
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A page or a change, and where it is."""

    path: str
    handler: Callable[[Visit], Awaitable[Answer]]
    method: str = "GET"


def trouble(error: DidAgentError) -> Trouble:
    """Return an error in words for people."""
    if isinstance(error, ServerRefused):
        code = error.server_code
        title = error.detail.removeprefix(f"{code}: ")
        return Trouble(title=title, code=code, what_to_do=_do(code), request_id=error.request_id)
    if isinstance(error, PeerUnavailable):
        what = "See whether that party runs; its /readyz says what it waits for."
        return Trouble(title=error.detail, code=error.code, what_to_do=what, is_away=True)
    shown = error.detail if isinstance(error, Malformed | NotFound | Denied) else error.public
    return Trouble(title=shown, code=error.code, what_to_do=_do(error.code))


def _do(code: str) -> str:
    return {
        "insufficient_scope": "Your role does not open this. Ask an administrator of your organisation.",
        "not_found": "Go back and look it up again; it may belong to another organisation.",
        "state_conflict": "Reload the page: it changed since you opened it.",
    }.get(code) or remedy(code)


def rows_of(answer: Mapping[str, Any] | Trouble, name: str) -> list[dict[str, Any]]:
    """Return the objects in a list of an answer; nothing where there is no answer."""
    found = None if isinstance(answer, Trouble) else answer.get(name)
    return [cast("dict[str, Any]", one) for one in found if isinstance(one, dict)] if isinstance(found, list) else []
