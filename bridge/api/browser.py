"""What all pages for people share: the browser's cookie, the templates, and the headers that protect them (WEB-05)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bridge.consent import COOKIE_FORM, csrf_token, require_csrf, require_same_origin
from bridge.logins import MARK_LIFE
from bridge.model.refresh import FAMILY_LIFE
from did_agent.adapters.web import RETRY_AFTER
from did_agent.adapters.web_input import Parameters, read_form, request_id
from did_agent.errors import DidAgentError, Malformed, NotFound, Unavailable

_HERE: Final = Path(__file__).parent
STYLE: Final = (_HERE / "static" / "bridge.css").read_text(encoding="utf-8")
POLICY: Final = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
SENTENCES: Final = {
    "wrong_password": (403, "User name or password is wrong."),
    "too_many_attempts": (429, "Too many attempts. Wait a quarter of an hour."),
    "no_local_accounts": (403, "Sign in with your company account."),
    "passkey_refused": (403, "The passkey was not accepted. Try again, or use your password."),
    "signed_out": (200, "You were signed out. Sign in again."),
    "": (200, ""),
}
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined
)

Page = Callable[[Request], Awaitable[Response]]
Scripted = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Browser:
    """How this bridge is bound to browsers: its cookie and its CSRF key."""

    issuer: str
    csrf_key: bytes = field(repr=False)

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

    def mark(self, request: Request) -> str | None:
        """Return the mark this browser got when somebody last signed in with it."""
        return request.cookies.get(f"{self.cookie_name}-known")

    def remember_mark(self, response: Response, mark: str) -> None:
        """Set the mark of a browser that is known."""
        name, life = f"{self.cookie_name}-known", int(MARK_LIFE.total_seconds())
        response.set_cookie(name, mark, max_age=life, httponly=True, secure=self.is_secure, samesite="lax", path="/")

    def remember(self, response: Response, value: str) -> None:
        """Set the browser id."""
        response.set_cookie(self.cookie_name, value, httponly=True, secure=self.is_secure, samesite="lax", path="/")

    async def answer(self, request: Request, page: Page) -> Response:
        """Return what `page` answers; an error is a local page and never a redirect (RFC 9700, 4.11)."""
        try:
            return await page(request)
        except DidAgentError as error:
            why = error.detail if isinstance(error, Malformed | NotFound) else ""
            response = self.page("error", request, status=_status(error), error=error, why=why)
            if response.status_code == 503:
                response.headers["Retry-After"] = RETRY_AFTER
            return response

    async def read_own_form(self, request: Request) -> Parameters:
        """Return a form that our own page sent from this browser (WEB-05).

        Raises: InvalidParameter and what `read_form` raises.
        """
        form, sent = await read_form(request), request.headers
        require_same_origin(sent.get("origin"), sent.get("sec-fetch-site"), expected=self.origin)
        require_csrf(form.get("csrf_token"), self.csrf_key, cookie=self.cookie(request), query=_bound_to(request))
        return form

    def form(
        self,
        name: str,
        request: Request,
        *,
        fresh: bool = False,
        form_action: str = "",
        scripted: Scripted | None = None,
        **values: object,
    ) -> Response:
        """Return a page with a form, bound to this browser and this address; a browser without a cookie gets one.

        With `scripted` our one script runs there, with what that returns for the browser's cookie.
        """
        sent = None if fresh else self.cookie(request)
        cookie = sent or secrets.token_urlsafe(32)
        token = csrf_token(self.csrf_key, cookie=cookie, query=_bound_to(request))
        values["passkey"] = None if scripted is None else scripted(cookie)
        response = self.page(name, request, csrf_token=token, **values)
        # Browsers apply form-action to the redirect after the form too.
        policy = f"{POLICY} {form_action}".rstrip()
        response.headers["Content-Security-Policy"] = policy + ("" if scripted is None else "; script-src 'self'")
        if sent is None:
            self.remember(response, cookie)
        return response

    def page(self, name: str, request: Request, *, status: object = 200, **values: object) -> Response:
        """Return a page from its template."""
        shown = {"issuer": self.issuer, "days": FAMILY_LIFE.days, "request_id": request_id(request), **values}
        html = _TEMPLATES.get_template(f"{name}.html").render(shown)
        return HTMLResponse(html, status_code=int(str(status)), headers={"Content-Security-Policy": POLICY})


def _bound_to(request: Request) -> str:
    return request.url.query or request.url.path


def _status(error: DidAgentError) -> int:
    if isinstance(error, Malformed):
        return 400
    if isinstance(error, NotFound):
        return 404
    return 503 if isinstance(error, Unavailable) else 403
