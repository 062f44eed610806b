"""`/authorize`: the login and consent pages, without script, and the redirect back (OAuth 2.1, 4.1; RFC 9207)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bridge.api.wire import oauth_request
from bridge.authorization_request import Refusal
from bridge.consent import COOKIE_FORM, csrf_token, new_cookie, require_csrf, require_same_origin
from bridge.model import User
from bridge.redirects import form_action_source
from bridge.service.authorization import Authorization, Opened
from did_agent.adapters.web import RETRY_AFTER
from did_agent.adapters.web_input import Parameters, read_form, read_query, request_id
from did_agent.errors import DidAgentError, Malformed, Unavailable

_HERE: Final = Path(__file__).parent
_STYLE: Final = (_HERE / "static" / "bridge.css").read_text(encoding="utf-8")
SIGN_IN_LIMITED: Final = 429

Page = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """How this bridge is bound to browsers: its origin, its cookie, its CSRF key."""

    issuer: str
    csrf_key: bytes

    @property
    def origin(self) -> str:
        """The origin of our own pages."""
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"

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
    router = APIRouter()
    pages = _Pages(authorization, browser)

    async def show(request: Request) -> Response:
        return await pages.answer(request, pages.show)

    async def submit(request: Request) -> Response:
        return await pages.answer(request, pages.submit)

    async def style(_request: Request) -> Response:
        return Response(_STYLE, media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})

    router.add_api_route("/authorize", show, methods=["GET"], response_model=None)
    router.add_api_route("/authorize", submit, methods=["POST"], response_model=None)
    router.add_api_route("/bridge.css", style, methods=["GET"], response_model=None)
    return router


class _Pages:
    def __init__(self, authorization: Authorization, browser: Browser) -> None:
        self._authorization, self._browser = authorization, browser
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined
        )

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
        opened = await self._authorization.open(oauth_request(read_query(request), request))
        if isinstance(opened, Refusal):
            return self._refuse(opened)
        user = await self._authorization.user_of(self._browser.cookie(request))
        if user is None or "login" in opened.prompt:
            if "none" in opened.prompt:
                return self._refuse(opened.destination.refuse("login_required", "nobody is signed in"))
            return self._login(request, opened)
        if "none" in opened.prompt:
            return self._refuse(opened.destination.refuse("consent_required", "the user is always asked"))
        return self._consent(request, opened, user)

    async def submit(self, request: Request) -> Response:
        """Take a login or a decision, from our own page in the same browser."""
        form = await read_form(request)
        cookie, query = self._browser.cookie(request), request.url.query
        headers = request.headers
        require_same_origin(headers.get("origin"), headers.get("sec-fetch-site"), expected=self._browser.origin)
        require_csrf(form.get("csrf_token"), self._browser.csrf_key, cookie=cookie, query=query)
        opened = await self._authorization.open(oauth_request(read_query(request), request))
        if isinstance(opened, Refusal):
            return self._refuse(opened)
        if form.get("decision") is None:
            return await self._sign_in(request, form, opened)
        if form.get("decision") == "switch":
            await self._authorization.sign_out(cookie)
            return self._login(request, opened, fresh=True)
        user = await self._authorization.user_of(cookie)
        if user is None:
            return self._login(request, opened, message="You were signed out. Sign in again.")
        outcome = await self._authorization.decide(
            opened,
            user,
            allow=form.get("decision") == "allow",
            ticked=form.all("scope_item"),
            request_id=request_id(request),
        )
        if isinstance(outcome, Refusal):
            return self._refuse(outcome)
        return self._redirect(outcome.redirect_uri, {"code": outcome.code, "state": outcome.state})

    async def _sign_in(self, request: Request, form: Parameters, opened: Opened) -> Response:
        outcome = await self._authorization.sign_in(
            form.require("username"), form.require("password"), request_id=request_id(request)
        )
        if outcome.cookie is None:
            status = SIGN_IN_LIMITED if outcome.is_limited else 403
            return self._login(request, opened, message=outcome.message, status=status)
        # The page after the login is asked for anew: `prompt=login` has been obeyed then.
        query = "&".join(part for part in request.url.query.split("&") if not part.startswith("prompt="))
        response = RedirectResponse(f"{self._browser.issuer}/authorize?{query}", status_code=303)
        self._browser.remember(response, outcome.cookie)
        return response

    def _login(
        self, request: Request, opened: Opened, *, message: str = "", status: int = 200, fresh: bool = False
    ) -> Response:
        sent = None if fresh else self._browser.cookie(request)
        cookie = sent or new_cookie()
        response = self._page(
            "login",
            request,
            status=status,
            to=opened.request.redirect_uri,
            agent=opened.destination.agent,
            resource=opened.resource,
            message=message,
            csrf_token=self._csrf(request, cookie),
        )
        if sent is None:
            self._browser.remember(response, cookie)
        return response

    def _consent(self, request: Request, opened: Opened, user: User) -> Response:
        page = self._authorization.page(opened, user)
        if isinstance(page, Refusal):
            return self._refuse(page)
        token = self._csrf(request, self._browser.cookie(request) or "")
        return self._page("consent", request, to=opened.request.redirect_uri, page=page, csrf_token=token)

    def _csrf(self, request: Request, cookie: str) -> str:
        return csrf_token(self._browser.csrf_key, cookie=cookie, query=request.url.query)

    def _page(
        self, name: str, request: Request, *, status: int = 200, to: str | None = None, **values: object
    ) -> Response:
        html = self._templates.get_template(f"{name}.html").render(
            issuer=self._browser.issuer, request_id=request_id(request), **values
        )
        target = f" {form_action_source(to)}" if to else ""
        policy = (
            "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; "
            f"form-action 'self'{target}"
        )
        return HTMLResponse(html, status_code=status, headers={"Content-Security-Policy": policy})

    def _refuse(self, refusal: Refusal) -> Response:
        return self._redirect(
            refusal.redirect_uri,
            {"error": refusal.error, "error_description": refusal.description, "state": refusal.state},
        )

    def _redirect(self, uri: str, answer: dict[str, str | None]) -> Response:
        """Return the answer to the client: 303, so that no form is ever posted on, and always with `iss`."""
        pairs = {name: value for name, value in answer.items() if value is not None} | {"iss": self._browser.issuer}
        joint = "&" if urlsplit(uri).query else "?"
        return RedirectResponse(f"{uri}{joint}{urlencode(pairs, quote_via=quote)}", status_code=303)
