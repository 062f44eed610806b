"""`/login/upstream`: to the company's provider and back; `/upstream/test`: the operator's look at it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from bridge.api.sign_in import Doors
from bridge.model.upstream import UpstreamAnswer
from bridge.service.administration import Administration
from bridge.service.upstream import UpstreamLogin
from did_agent.adapters.web_input import Parameters, bearer, read_query, request_id
from did_agent.errors import InvalidParameter, NotFound

CALLBACK: str = "/login/upstream/callback"


def routes(administration: Administration, upstream: UpstreamLogin | None, doors: Doors) -> APIRouter:
    """Return the operator's route, and those of the login where a provider is configured."""
    router = APIRouter()

    async def examine(request: Request) -> Response:
        await administration.admit(bearer(request))
        if upstream is None:
            raise NotFound("no upstream provider is configured")
        found = await upstream.examine()
        steps = [{"step": one.step, "ok": one.ok, "detail": one.detail} for one in found]
        return JSONResponse({"issuer": upstream.upstream.issuer, "ok": all(one.ok for one in found), "steps": steps})

    router.add_api_route("/upstream/test", examine, methods=["POST"], response_model=None)
    if upstream is None:
        return router
    pages = _Pages(upstream, doors)

    async def leave(request: Request) -> Response:
        return await doors.browser.answer(request, pages.leave)

    async def leave_again(request: Request) -> Response:
        return await doors.browser.answer(request, pages.leave_again)

    async def come_back(request: Request) -> Response:
        return await doors.browser.answer(request, pages.come_back)

    router.add_api_route("/login/upstream", leave, methods=["GET"], response_model=None)
    router.add_api_route("/login/upstream/again", leave_again, methods=["GET"], response_model=None)
    router.add_api_route(CALLBACK, come_back, methods=["GET"], response_model=None)
    return router


class _Pages:
    def __init__(self, upstream: UpstreamLogin, doors: Doors) -> None:
        self._upstream, self._doors, self._browser = upstream, doors, doors.browser

    async def leave(self, request: Request) -> Response:
        """Send a browser that saw our login page to the provider.

        Raises: InvalidParameter, PeerUnavailable.
        """
        return await self._leave(request, again=False)

    async def leave_again(self, request: Request) -> Response:
        """Do the same for somebody who wants to be somebody else there."""
        return await self._leave(request, again=True)

    async def come_back(self, request: Request) -> Response:
        """Take the browser back, to where it was going.

        Raises: InvalidParameter, RepeatedParameter, Unavailable.
        """
        returned = await self._upstream.come_back(
            _answer(read_query(request)), self._browser.cookie(request), request_id=request_id(request)
        )
        if returned.entered.cookie is None:
            back = f"{self._browser.issuer}/{returned.back_to}"
            return self._browser.page("refused", request, status=403, back=back, company=self._doors.company)
        return self._doors.admitted(returned.entered, returned.back_to)

    async def _leave(self, request: Request, *, again: bool) -> Response:
        # Another site must not send people away in our name; browsers say where a navigation came from (WEB-05).
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise InvalidParameter("start at the login page")
        cookie = self._browser.cookie(request)
        if cookie is None:
            raise InvalidParameter("the browser did not send the cookie of the login page; start again there")
        # The page to go back to is ours by construction: no address is ever taken from a parameter.
        back_to = f"authorize?{request.url.query}" if request.url.query else "account"
        return RedirectResponse(await self._upstream.leave(cookie, back_to=back_to, again=again), status_code=303)


def _answer(sent: Parameters) -> UpstreamAnswer:
    return UpstreamAnswer(
        state=sent.get("state"), code=sent.get("code"), error=sent.get("error"), issuer=sent.get("iss")
    )
