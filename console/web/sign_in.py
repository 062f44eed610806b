"""Signing in at the bridge and out of it (RFC 6749, 4.1; RFC 9207; WEB-06)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.model import PARTIES, Attempt
from console.ports import SignIn
from console.sessions import fresh, is_form_mark
from console.web.frame import Frame
from console.web.visit import Page
from did_agent.adapters.web_input import Parameters, read_form, read_query
from did_agent.errors import Denied, DidAgentError, Malformed, Unavailable
from did_agent.proof.jwt import unverified_jws

MAX_PATH: Final = 1_000  # characters of a page to come back to
_NO_RIGHTS: Final = frozenset({"invalid_scope", "invalid_target", "unauthorized_client"})  # of this person, there


class SignInRefused(Denied):
    """The bridge did not let somebody in, or the way back was not the way there."""

    code = "sign_in_refused"
    public = "The sign-in was refused."


class TooManySignIns(Unavailable):
    """More browsers are on their way to the bridge than are kept."""

    code = "too_many_sign_ins"
    public = "Too many people are signing in. Try again in a moment."


@dataclass(frozen=True, slots=True)
class _SignIn:
    frame: Frame
    bridge: SignIn
    bridge_url: str

    async def begin(self, request: Request) -> Response:
        """Send the browser to the bridge."""
        frame = self.frame
        try:
            query = read_query(request)
            to = local_path(query.get("to"))
            attempt = Attempt(state=fresh(), verifier=fresh(), party=PARTIES[0], to=to)
            cookie = await frame.sessions.begin(attempt, frame.cookie(request))
            if cookie is None:
                raise TooManySignIns("too many sign-ins are under way")
        except DidAgentError as error:
            return frame.refused(request, error)
        return frame.keep(_to(self.bridge.address(attempt, again=query.get("again") == "yes")), cookie)

    async def came_back(self, request: Request) -> Response:
        """Take what the bridge said, and go on to the next party or to the page that was wanted."""
        try:
            return await self._finish(request)
        except DidAgentError as error:
            return self.frame.refused(request, error)

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        frame = self.frame
        cookie, form = frame.cookie(request), await _form(request)
        if cookie is not None and frame.is_same_origin(request) and is_form_mark(cookie, form.get("mark")):
            await frame.sessions.end(cookie)
        response = frame.page(request, Page(template="signed_out.html", values={"bridge_url": self.bridge_url}))
        response.delete_cookie(frame.cookie_name)
        return response

    async def _finish(self, request: Request) -> Response:
        query, cookie, sessions = read_query(request), self.frame.cookie(request), self.frame.sessions
        session = await sessions.find(cookie)
        if cookie is None or session is None or session.attempt is None:
            raise SignInRefused("this browser did not start a sign-in here, or that was too long ago")
        attempt = session.attempt
        self._require_ours(attempt, query)
        token, claims = None, dict[str, object]()
        if (refused := query.get("error")) is None:
            token = await self.bridge.redeem(attempt, query.require("code"))
            claims = dict(unverified_jws(token.access)[1])  # straight from the bridge; the parties verify it
            if session.person is not None and claims.get("sub") != session.person:
                raise SignInRefused("somebody else signed in meanwhile")
        elif refused not in _NO_RIGHTS:
            raise SignInRefused("the bridge let nobody in")
        following = await sessions.came_back(cookie, session, token, claims)
        return await self._onwards(request, following, attempt.to)

    def _require_ours(self, attempt: Attempt, query: Parameters) -> None:
        if not hmac.compare_digest(attempt.state.encode(), (query.get("state") or "").encode()):
            raise SignInRefused("the answer belongs to another sign-in")  # login CSRF (OAU-02)
        if query.get("iss") not in (None, self.bridge_url):
            raise SignInRefused("the answer is of another authorization server")  # mix-up (RFC 9207)

    async def _onwards(self, request: Request, cookie: str, to: str) -> Response:
        frame = self.frame
        session = await frame.sessions.find(cookie)
        if session is None:
            raise SignInRefused("the sign-in ended")
        if session.attempt is not None:
            return frame.keep(_to(self.bridge.address(session.attempt)), cookie)
        if not session.tokens:
            return frame.keep(frame.page(request, Page(template="no_role.html", status=403)), cookie)
        return frame.keep(_to(to), cookie)


def add_sign_in(app: FastAPI, frame: Frame, bridge: SignIn, *, bridge_url: str) -> None:
    """Add the pages that need no session."""
    pages = _SignIn(frame, bridge, bridge_url)
    app.add_api_route("/sign-in", pages.begin, methods=["GET"], response_model=None)
    app.add_api_route("/signed-in", pages.came_back, methods=["GET"], response_model=None)
    app.add_api_route("/sign-out", pages.sign_out, methods=["POST"], response_model=None)


def local_path(text: str | None) -> str:
    """Return a path of this console to come back to; the first page for anything else (an open redirect otherwise)."""
    if text is None or len(text) > MAX_PATH or not text.startswith("/") or text.startswith(("//", "/\\", "/sign")):
        return "/"
    return "/" if any(one < " " or one == "\\" or one > "~" for one in text) else text


async def _form(request: Request) -> Parameters:
    try:
        return await read_form(request)
    except Malformed:
        return Parameters()


def _to(address: str) -> RedirectResponse:
    return RedirectResponse(address, status_code=303)
