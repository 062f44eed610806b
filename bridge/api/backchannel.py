"""`/bc-authorize` for agents that ask (OpenID CIBA 7), and the page where the person they asked answers."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from bridge.api.sign_in import Doors
from bridge.api.wire import oauth_error, oauth_request
from bridge.model import TOKEN_SECONDS
from bridge.service.backchannel import Backchannel
from did_agent.adapters.web_input import read_form, request_id
from did_agent.errors import DidAgentError

PATH = "/bc-authorize"


def offered(issuer: str) -> dict[str, object]:
    """Return the metadata of the grant (OpenID CIBA 4)."""
    return {
        "backchannel_authentication_endpoint": f"{issuer}{PATH}",
        "backchannel_token_delivery_modes_supported": ["poll"],
        "backchannel_user_code_parameter_supported": False,
    }


def routes(backchannel: Backchannel, doors: Doors) -> APIRouter:
    """Return the routes."""
    router, pages, browser = APIRouter(), _Pages(backchannel, doors), doors.browser

    async def ask(request: Request) -> Response:
        try:
            asked = await backchannel.ask(oauth_request(await read_form(request), request))
        except DidAgentError as error:
            return oauth_error(error, request, door="backchannel")
        return JSONResponse(asked._asdict(), headers={"Pragma": "no-cache"})

    async def show(request: Request) -> Response:
        return await browser.answer(request, pages.show)

    async def submit(request: Request) -> Response:
        return await browser.answer(request, pages.submit)

    router.add_api_route(PATH, ask, methods=["POST"], response_model=None)
    router.add_api_route("/account/requests/{digest}", show, methods=["GET"], response_model=None)
    router.add_api_route("/account/requests/{digest}", submit, methods=["POST"], response_model=None)
    return router


class _Pages:
    def __init__(self, backchannel: Backchannel, doors: Doors) -> None:
        self._backchannel, self._browser, self._sessions = backchannel, doors.browser, doors.sessions

    async def show(self, request: Request) -> Response:
        """Return the question to whoever is signed in and was asked; others are led to the login page.

        Raises: NotFound.
        """
        user = await self._sessions.user_of(self._browser.cookie(request))
        if user is None:
            return self._account()
        page = await self._backchannel.page(user, request.path_params["digest"])
        return self._browser.form("asked", request, page=page, minutes=TOKEN_SECONDS // 60)

    async def submit(self, request: Request) -> Response:
        """Take an answer, from our own page in the same browser.

        Raises: InvalidParameter, NotFound.
        """
        form = await self._browser.read_own_form(request)
        user = await self._sessions.user_of(self._browser.cookie(request))
        if user is None:
            return self._account()
        page, spoken = await self._backchannel.page(user, request.path_params["digest"]), request_id(request)
        if form.get("decision") == "allow":
            await self._backchannel.allow(page, form.all("scope_item"), request_id=spoken)
        else:
            await self._backchannel.deny(page, request_id=spoken)
        return self._account()

    def _account(self) -> Response:
        return RedirectResponse(f"{self._browser.issuer}/account", status_code=303)
