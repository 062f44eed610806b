"""`/authorize`: the login and consent pages, without script, and the redirect back (OAuth 2.1, 4.1; RFC 9207)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bridge.api.wire import oauth_request
from bridge.authorization_request import Refusal
from bridge.consent import COOKIE_FORM, csrf_token, require_csrf, require_same_origin
from bridge.model import User
from bridge.model.refresh import FAMILY_LIFE
from bridge.redirects import form_action_source
from bridge.service.authorization import Authorization, Opened
from did_agent.adapters.web import RETRY_AFTER
from did_agent.adapters.web_input import Parameters, read_form, read_query, request_id
from did_agent.errors import DidAgentError, Malformed, Unavailable

_HERE: Final = Path(__file__).parent
_POLICY: Final = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
_SENTENCES: Final = {
    "wrong_password": (403, "User name or password is wrong."),
    "too_many_attempts": (429, "Too many attempts. Wait a quarter of an hour."),
    "signed_out": (200, "You were signed out. Sign in again."),
    "": (200, ""),
}
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined
)

Page = Callable[[Request], Awaitable[Response]]


class Browser(NamedTuple):
    """How this bridge is bound to browsers: its cookie and its CSRF key."""

    issuer: str
    csrf_key: bytes

    @property
    def origin(self) -> str:
        """The origin of our own pages."""
        return "{0.scheme}://{0.netloc}".format(urlsplit(self.issuer))

    @property
    def is_secure(self) -> bool:
        """Tell whether cookies can be confined to https (only a loopback deployment is without)."""
        return self.issuer.startswith("https:")

    @property
    def cookie_name(self) -> str:
        """The cookie's name; `__Host-` makes browsers refuse one set for a whole domain."""
        return "__Host-did-agent" if self.is_secure else "did-agent"

    def cookie(self, request: Request) -> str | None:
        """Return the browser id that was sent, if it has the form of one."""
        value = request.cookies.get(self.cookie_name)
        return value if value is not None and COOKIE_FORM.fullmatch(value) else None

    def remember(self, response: Response, value: str) -> None:
        """Set the browser id."""
        response.set_cookie(self.cookie_name, value, httponly=True, secure=self.is_secure, samesite="lax", path="/")


def routes(authorization: Authorization, browser: Browser) -> APIRouter:
    """Return the pages people see."""
    router, pages = APIRouter(), _Pages(authorization, browser)
    sheet = (_HERE / "static" / "bridge.css").read_text(encoding="utf-8")

    async def show(request: Request) -> Response:
        return await pages.answer(request, pages.show)

    async def submit(request: Request) -> Response:
        return await pages.answer(request, pages.submit)

    async def style(_request: Request) -> Response:
        return Response(sheet, media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})

    router.add_api_route("/authorize", show, methods=["GET"], response_model=None)
    router.add_api_route("/authorize", submit, methods=["POST"], response_model=None)
    router.add_api_route("/bridge.css", style, methods=["GET"], response_model=None)
    return router


class _Pages:
    def __init__(self, authorization: Authorization, browser: Browser) -> None:
        self._authorization, self._browser = authorization, browser

    async def answer(self, request: Request, page: Page) -> Response:
        """Return what `page` answers; an error is a local page and never a redirect (RFC 9700, 4.11)."""
        try:
            return await page(request)
        except DidAgentError as error:
            status = 400 if isinstance(error, Malformed) else 503 if isinstance(error, Unavailable) else 403
            why = error.detail if isinstance(error, Malformed) else ""
            response = self._page("error", request, status=status, error=error, why=why)
            if status == 503:
                response.headers["Retry-After"] = RETRY_AFTER
            return response

    async def show(self, request: Request) -> Response:
        """Return the login page, the consent page, or a refusal."""
        asked = oauth_request(read_query(request), request)
        opened = await self._authorization.open(asked)
        if isinstance(opened, Refusal):
            return self._redirect(opened)
        user = await self._authorization.user_of(self._browser.cookie(request))
        if asked.get("prompt") == "none":
            word = "login_required" if user is None else "consent_required"
            return self._redirect(opened.destination.refuse(word, "the user is always asked"))
        return self._login(request, opened) if user is None else self._consent(request, opened, user)

    async def submit(self, request: Request) -> Response:
        """Take a login or a decision, from our own page in the same browser."""
        form, cookie = await read_form(request), self._browser.cookie(request)
        sent, query = request.headers, request.url.query
        require_same_origin(sent.get("origin"), sent.get("sec-fetch-site"), expected=self._browser.origin)
        require_csrf(form.get("csrf_token"), self._browser.csrf_key, cookie=cookie, query=query)
        opened = await self._authorization.open(oauth_request(read_query(request), request))
        if isinstance(opened, Refusal):
            return self._redirect(opened)
        decision, spoken = form.get("decision"), request_id(request)
        if decision is None:
            return await self._sign_in(request, form, opened)
        if decision == "switch":
            await self._authorization.sign_out(cookie)
            return self._login(request, opened, fresh=True)
        user = await self._authorization.user_of(cookie)
        if user is None:
            return self._login(request, opened, reason="signed_out")
        if decision != "allow":
            return self._redirect(await self._authorization.deny(opened, user, request_id=spoken))
        code = await self._authorization.allow(
            opened, user, form.all("scope_item"), offline=form.get("offline") == "yes", request_id=spoken
        )
        return self._redirect(code if isinstance(code, Refusal) else opened, code=str(code))

    async def _sign_in(self, request: Request, form: Parameters, opened: Opened) -> Response:
        outcome = await self._authorization.sign_in(
            form.require("username"), form.require("password"), request_id=request_id(request)
        )
        if outcome.cookie is None:
            return self._login(request, opened, reason=outcome.reason)
        response = RedirectResponse(f"{self._browser.issuer}/authorize?{request.url.query}", status_code=303)
        self._browser.remember(response, outcome.cookie)
        return response

    def _login(self, request: Request, opened: Opened, *, reason: str = "", fresh: bool = False) -> Response:
        sent = None if fresh else self._browser.cookie(request)
        cookie = sent or secrets.token_urlsafe(32)
        status, message = _SENTENCES[reason]
        values = {"asking": opened.agent or opened.destination.client, "resource": opened.resource, "message": message}
        response = self._form("login", request, opened, cookie=cookie, status=status, **values)
        if sent is None:
            self._browser.remember(response, cookie)
        return response

    def _consent(self, request: Request, opened: Opened, user: User) -> Response:
        page = self._authorization.page(opened, user)
        if isinstance(page, Refusal):
            return self._redirect(page)
        return self._form(
            "consent",
            request,
            opened,
            cookie=self._browser.cookie(request) or "",
            page=page,
            offline=opened.request.offline,
        )

    def _form(self, name: str, request: Request, opened: Opened, *, cookie: str, **values: object) -> Response:
        token = csrf_token(self._browser.csrf_key, cookie=cookie, query=request.url.query)
        response = self._page(name, request, csrf_token=token, **values)
        # Browsers apply form-action to the redirect after the form too.
        source = form_action_source(opened.request.redirect_uri)
        response.headers["Content-Security-Policy"] = f"{_POLICY} {source}"
        return response

    def _page(self, name: str, request: Request, *, status: object = 200, **values: object) -> Response:
        shown = {"issuer": self._browser.issuer, "days": FAMILY_LIFE.days, "request_id": request_id(request), **values}
        html = _TEMPLATES.get_template(f"{name}.html").render(shown)
        return HTMLResponse(html, status_code=int(str(status)), headers={"Content-Security-Policy": _POLICY})

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
