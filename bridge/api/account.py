"""`/account`: a person sees which agents act for them, downloads receipts, and withdraws what they allowed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from bridge.api.passkeys import as_attribute, take_form
from bridge.api.sign_in import Doors
from bridge.model import User
from bridge.model.backchannel import Asking
from bridge.service.consents import RECEIPT_TYPE, OwnConsents
from bridge.service.tasks import Tasks
from did_agent.adapters.web_input import request_id
from did_agent.clock import Clock
from did_agent.errors import NotFound

Waiting = Callable[[User], Awaitable[Sequence[Asking]]]  # the questions that wait for a person


def routes(doors: Doors, consents: OwnConsents, *, waiting: Waiting, tasks: Tasks, clock: Clock) -> APIRouter:
    """Return the pages of a person's account."""
    router, pages, browser = APIRouter(), _Account(doors, consents, waiting, tasks, clock), doors.browser

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
    def __init__(self, doors: Doors, consents: OwnConsents, waiting: Waiting, tasks: Tasks, clock: Clock) -> None:
        self._doors, self._consents, self._waiting, self._clock = doors, consents, waiting, clock
        self._tasks = tasks
        self._browser, self._sessions = doors.browser, doors.sessions

    async def show(self, request: Request) -> Response:
        """Return the account, or the login page."""
        user = await self._sessions.user_of(self._browser.cookie(request))
        return self._doors.page(request) if user is None else await self._account(request, user)

    async def submit(self, request: Request) -> Response:
        """Take a login, a withdrawal or a sign-out, from our own page in the same browser."""
        form, cookie = await self._browser.read_own_form(request), self._browser.cookie(request)
        if form.get("sign_out") is not None:
            await self._sessions.sign_out(cookie)
            return self._doors.page(request, fresh=True)
        if form.get("username") is not None or form.get("passkey") is not None:
            entered = await self._doors.enter(request, form)
            failed = entered.cookie is None
            return (
                self._doors.page(request, reason=entered.reason) if failed else self._doors.admitted(entered, "account")
            )
        user = await self._sessions.user_of(cookie)
        if user is None:
            return self._doors.page(request, reason="signed_out")
        keys = self._doors.passkeys
        if keys is not None and await take_form(keys, form, request, user, cookie=cookie or ""):
            return RedirectResponse(f"{self._browser.issuer}/account", status_code=303)
        task = form.get("complete_task")
        if task is not None:
            await self._tasks.complete_own(user, task, request_id=request_id(request))
            return RedirectResponse(f"{self._browser.issuer}/account", status_code=303)
        await self._consents.withdraw(user, form.require("withdraw"), request_id=request_id(request))
        return RedirectResponse(f"{self._browser.issuer}/account", status_code=303)

    async def receipt(self, request: Request) -> Response:
        """Return a receipt as a file.

        Raises: NotFound, also to whoever is not signed in.
        """
        user = await self._sessions.user_of(self._browser.cookie(request))
        if user is None:
            raise NotFound("there is no such consent")
        text = await self._consents.receipt(user, request.path_params["consent_id"])
        headers = {"Content-Disposition": 'attachment; filename="consent-receipt.jwt"'}
        return Response(text, media_type=f"application/{RECEIPT_TYPE}", headers=headers)

    async def _account(self, request: Request, user: User) -> Response:
        now = self._clock()
        found = await self._consents.list(user)
        live = [consent for consent in found if consent.is_live(now)]
        over = [consent for consent in found if not consent.is_live(now)]
        waiting = await self._waiting(user)
        tasks = await self._tasks.running(user)
        shown: dict[str, Any] = {"user": user, "live": live, "over": over, "asking": waiting, "tasks": tasks}
        keys = self._doors.passkeys
        if keys is None or not user.password_hash:
            return self._browser.form("account", request, known=None, **shown)
        known = await keys.list(user)

        def asking(cookie: str) -> str:
            return as_attribute(keys.to_add(user, known, cookie))

        return self._browser.form("account", request, scripted=asking, known=known, **shown)
