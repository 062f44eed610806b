"""`/account`: a person sees which agents act for them, downloads receipts, and withdraws what they allowed."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from bridge.api.browser import SENTENCES, Browser
from bridge.model import User
from bridge.service.authorization import Authorization
from bridge.service.consents import RECEIPT_TYPE, OwnConsents
from did_agent.adapters.web_input import request_id
from did_agent.clock import Clock
from did_agent.errors import NotFound


def routes(authorization: Authorization, consents: OwnConsents, browser: Browser, *, clock: Clock) -> APIRouter:
    """Return the pages of a person's account."""
    router, pages = APIRouter(), _Account(authorization, consents, browser, clock)

    async def show(request: Request) -> Response:
        return await browser.answer(request, pages.show)

    async def submit(request: Request) -> Response:
        return await browser.answer(request, pages.submit)

    async def receipt(request: Request) -> Response:
        return await browser.answer(request, pages.receipt)

    router.add_api_route("/account", show, methods=["GET"], response_model=None)
    router.add_api_route("/account", submit, methods=["POST"], response_model=None)
    router.add_api_route("/account/receipts/{consent_id}", receipt, methods=["GET"], response_model=None)
    return router


class _Account:
    def __init__(self, authorization: Authorization, consents: OwnConsents, browser: Browser, clock: Clock) -> None:
        self._authorization, self._consents, self._browser, self._clock = authorization, consents, browser, clock

    async def show(self, request: Request) -> Response:
        """Return the account, or the login page."""
        user = await self._authorization.user_of(self._browser.cookie(request))
        return self._login(request) if user is None else await self._account(request, user)

    async def submit(self, request: Request) -> Response:
        """Take a login, a withdrawal or a sign-out, from our own page in the same browser."""
        form, cookie = await self._browser.read_own_form(request), self._browser.cookie(request)
        if form.get("sign_out") is not None:
            await self._authorization.sign_out(cookie)
            return self._login(request, fresh=True)
        if form.get("username") is not None:
            return await self._sign_in(request, form.require("username"), form.require("password"))
        user = await self._authorization.user_of(cookie)
        if user is None:
            return self._login(request, reason="signed_out")
        await self._consents.withdraw(user, form.require("withdraw"), request_id=request_id(request))
        return RedirectResponse(f"{self._browser.issuer}/account", status_code=303)

    async def receipt(self, request: Request) -> Response:
        """Return a receipt as a file.

        Raises: NotFound, also to whoever is not signed in.
        """
        user = await self._authorization.user_of(self._browser.cookie(request))
        if user is None:
            raise NotFound("there is no such consent")
        text = await self._consents.receipt(user, request.path_params["consent_id"])
        headers = {"Content-Disposition": 'attachment; filename="consent-receipt.jwt"'}
        return Response(text, media_type=f"application/{RECEIPT_TYPE}", headers=headers)

    async def _sign_in(self, request: Request, username: str, password: str) -> Response:
        outcome = await self._authorization.sign_in(username, password, request_id=request_id(request))
        if outcome.cookie is None:
            return self._login(request, reason=outcome.reason)
        response = RedirectResponse(f"{self._browser.issuer}/account", status_code=303)
        self._browser.remember(response, outcome.cookie)
        return response

    async def _account(self, request: Request, user: User) -> Response:
        now = self._clock()
        found = await self._consents.list(user)
        live = [consent for consent in found if consent.is_live(now)]
        over = [consent for consent in found if not consent.is_live(now)]
        return self._browser.form("account", request, user=user, live=live, over=over)

    def _login(self, request: Request, *, reason: str = "", fresh: bool = False) -> Response:
        status, message = SENTENCES[reason]
        return self._browser.form(
            "login", request, fresh=fresh, status=status, message=message, asking=None, resource=None
        )
