"""The login page, and the ways through it: password, company account, passkey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from bridge.api.browser import SENTENCES, Browser, Scripted
from bridge.api.passkeys import as_attribute
from bridge.logins import source_of
from bridge.service.passkeys import OwnPasskeys
from bridge.service.sessions import Sessions, SignIn
from did_agent.adapters.peer_certificate import Proxies
from did_agent.adapters.web_input import Parameters, request_id

_FORWARDED: Final = "x-forwarded-for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """How people sign in here, on whatever page they are asked to."""

    browser: Browser
    sessions: Sessions
    proxies: Proxies
    passkeys: OwnPasskeys | None
    company: str | None  # host of the upstream provider; None when there is none

    def page(
        self, request: Request, *, reason: str = "", fresh: bool = False, form_action: str = "", **values: object
    ) -> Response:
        """Return the login page; what it sends comes back to the address it is shown at."""
        status, message = SENTENCES[reason]
        ways = {
            "takes_passwords": self.sessions.takes_passwords,
            "company": self.company,
            # Where to go afterwards is in no parameter: it is the page itself, without its origin.
            "company_login": f"login/upstream{'/again' if fresh else ''}?{request.url.query}".rstrip("?"),
        }
        shown: dict[str, object] = {"asking": None, "resource": None, "message": message, **ways, **values}
        return self.browser.form(
            "login", request, fresh=fresh, form_action=form_action, scripted=self._asking(), status=status, **shown
        )

    async def enter(self, request: Request, form: Parameters) -> SignIn:
        """Return what comes of a form of the login page; who gets in leaves the session they had.

        Raises: MissingParameter, Unavailable.
        """
        entered = await self._enter(request, form)
        if entered.cookie is not None:
            await self.sessions.sign_out(self.browser.cookie(request))
        return entered

    async def _enter(self, request: Request, form: Parameters) -> SignIn:
        answer = form.get("passkey")
        if answer is not None and self.passkeys is not None:
            cookie = self.browser.cookie(request)
            return await self.passkeys.sign_in(answer, cookie=cookie, request_id=request_id(request))
        return await self.sessions.sign_in(
            form.require("username"),
            form.require("password"),
            source=self.source(request),
            mark=self.browser.mark(request),
            request_id=request_id(request),
        )

    def admitted(self, entered: SignIn, to: str) -> Response:
        """Return the way on to a page of ours, under the new session."""
        response = RedirectResponse(f"{self.browser.issuer}/{to}", status_code=303)
        self.browser.remember(response, str(entered.cookie))
        if entered.mark is not None:
            self.browser.remember_mark(response, entered.mark)
        return response

    def _asking(self) -> Scripted | None:
        passkeys = self.passkeys
        return None if passkeys is None else lambda cookie: as_attribute(passkeys.to_sign_in(cookie))

    def source(self, request: Request) -> str:
        """Return the place a request comes from, as told by a proxy of ours or by its connection."""
        address = request.client.host if request.client else ""
        told = request.headers.getlist(_FORWARDED)
        if told and self.proxies.include(address):
            address = told[-1].rsplit(",", maxsplit=1)[-1].strip()  # the one our proxy wrote; others are hearsay
        return source_of(address)
