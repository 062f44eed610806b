"""`/authorize`: the login and consent pages, without script, and the redirect back (OAuth 2.1, 4.1; RFC 9207)."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from bridge.api.browser import STYLE
from bridge.api.sign_in import Doors
from bridge.api.wire import oauth_request
from bridge.authorization_request import Refusal
from bridge.model import User
from bridge.redirects import form_action_source
from bridge.service.authorization import Authorization, Opened
from did_agent.adapters.web_input import Parameters, read_query, request_id

_AGAIN: Final = ("prompt", "login")


def routes(authorization: Authorization, doors: Doors) -> APIRouter:
    """Return the pages people see."""
    router, pages, browser = APIRouter(), _Pages(authorization, doors), doors.browser

    async def show(request: Request) -> Response:
        return await browser.answer(request, pages.show)

    async def submit(request: Request) -> Response:
        return await browser.answer(request, pages.submit)

    async def style(_request: Request) -> Response:
        return Response(STYLE, media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})

    router.add_api_route("/authorize", show, methods=["GET"], response_model=None)
    router.add_api_route("/authorize", submit, methods=["POST"], response_model=None)
    router.add_api_route("/bridge.css", style, methods=["GET"], response_model=None)
    return router


class _Pages:
    def __init__(self, authorization: Authorization, doors: Doors) -> None:
        self._authorization, self._doors = authorization, doors
        self._browser, self._sessions = doors.browser, doors.sessions

    async def show(self, request: Request) -> Response:
        """Return the login page, the consent page, or a refusal."""
        asked = oauth_request(read_query(request), request)
        opened = await self._authorization.open(asked)
        if isinstance(opened, Refusal):
            return self._redirect(opened)
        user = await self._sessions.user_of(self._browser.cookie(request))
        if asked.get("prompt") == "login":
            return self._login(request, opened, fresh=True)
        if user is not None and opened.resource.built_in:
            return await self._operate(request, opened, user)
        if asked.get("prompt") == "none":
            word = "login_required" if user is None else "consent_required"
            return self._redirect(opened.destination.refuse(word, "the user is always asked"))
        return self._login(request, opened) if user is None else await self._consent(request, opened, user)

    async def submit(self, request: Request) -> Response:
        """Take a login or a decision, from our own page in the same browser."""
        form, cookie = await self._browser.read_own_form(request), self._browser.cookie(request)
        opened = await self._authorization.open(oauth_request(read_query(request), request))
        if isinstance(opened, Refusal):
            return self._redirect(opened)
        decision, spoken = form.get("decision"), request_id(request)
        if decision is None:
            return await self._sign_in(request, form, opened)
        if decision == "switch":
            await self._sessions.sign_out(cookie)
            return self._login(request, opened, fresh=True)
        user = await self._sessions.user_of(cookie)
        if user is None:
            return self._login(request, opened, reason="signed_out")
        if decision != "allow":
            return self._redirect(await self._authorization.deny(opened, user, request_id=spoken))
        code = await self._authorization.allow(
            opened, user, form.all("scope_item"), offline=form.get("offline") == "yes", request_id=spoken
        )
        return self._redirect(code if isinstance(code, Refusal) else opened, code=str(code))

    async def _sign_in(self, request: Request, form: Parameters, opened: Opened) -> Response:
        entered = await self._doors.enter(request, form)
        if entered.cookie is None:
            return self._login(request, opened, reason=entered.reason)
        return self._doors.admitted(entered, f"authorize?{_without_prompt(request.url.query)}")

    def _login(self, request: Request, opened: Opened, *, reason: str = "", fresh: bool = False) -> Response:
        asking, source = opened.agent or opened.destination.client, form_action_source(opened.request.redirect_uri)
        shown: dict[str, Any] = {"asking": asking, "resource": opened.resource, "form_action": source}
        return self._doors.page(request, reason=reason, fresh=fresh, **shown)

    async def _consent(self, request: Request, opened: Opened, user: User) -> Response:
        page = await self._authorization.page(opened, user, request_id=request_id(request))
        if isinstance(page, Refusal):
            return self._redirect(page)
        source = form_action_source(opened.request.redirect_uri)
        return self._browser.form("consent", request, form_action=source, page=page, offline=opened.request.offline)

    async def _operate(self, request: Request, opened: Opened, user: User) -> Response:
        """Answer the console, which an operator registered for people's own roles: there is nobody to consent to."""
        page = await self._authorization.page(opened, user, request_id=request_id(request))
        if isinstance(page, Refusal):
            return self._redirect(page)
        code = await self._authorization.allow(
            opened, user, opened.offered_to(user), offline=opened.request.offline, request_id=request_id(request)
        )
        return self._redirect(code if isinstance(code, Refusal) else opened, code=str(code))

    def _redirect(self, to: Refusal | Opened, *, code: str = "") -> Response:
        """Return the answer to the client: 303, so that no form is ever posted on, and always with `iss`."""
        if isinstance(to, Refusal):
            uri, state = to.redirect_uri, to.state
            answer = {"error": to.error, "error_description": to.description}
        else:
            uri, state, answer = to.request.redirect_uri, to.request.state, {"code": code}
        answer |= {"iss": self._browser.issuer} | ({} if state is None else {"state": state})
        joint = "&" if urlsplit(uri).query else "?"
        return RedirectResponse(f"{uri}{joint}{urlencode(answer, quote_via=quote)}", status_code=303)


def _without_prompt(query: str) -> str:
    """Return a query without its wish for a password: who has just signed in was asked for it."""
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([pair for pair in pairs if pair != _AGAIN], quote_via=quote) if _AGAIN in pairs else query
