"""The frame of every page: the session, the mark of forms, the headers, and errors as pages (WEB-05, WEB-06)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.model import Party
from console.ports import Parties
from console.sessions import Sessions, form_mark, is_form_mark
from console.web.menu import MENU
from console.web.rendering import environment
from console.web.sentences import SAID
from console.web.visit import Answer, Download, Page, Route, SignInEnded, Trouble, Visit, trouble
from did_agent.adapters.web import RETRY_AFTER, status_of
from did_agent.adapters.web_input import Parameters, plain_app, read_form, read_query, request_id
from did_agent.client.errors import ServerRefused
from did_agent.clock import Clock
from did_agent.errors import DidAgentError, Unavailable

POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_STATIC: Final = Path(__file__).parent.parent / "static"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_DAY: Final = "public, max-age=86400"


class Frame:
    """What pages share."""

    def __init__(
        self, *, url: str, urls: Mapping[Party, str], sessions: Sessions, parties: Parties, clock: Clock
    ) -> None:
        self.url, self.sessions, self.clock = url, sessions, clock
        self._urls, self._parties, self._templates = urls, parties, environment()
        parts = urlsplit(url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        # Confined to this host by the browser itself wherever there is TLS (WEB-06).
        self.cookie_name = "__Host-did-agent-console" if parts.scheme == "https" else "did-agent-console"

    def app(self, routes: Sequence[Route]) -> FastAPI:
        """Return the app of these pages, with what they need beside them."""
        app = plain_app(title="did-agent console")
        for route in routes:
            app.add_api_route(route.path, self._handle(route), methods=[route.method], response_model=None)
        for file in sorted(_STATIC.iterdir()):
            if (media_type := _TYPES.get(file.suffix)) is not None:
                app.add_api_route(f"/static/{file.name}", _file(file.read_bytes(), media_type), response_model=None)

        async def unknown(request: Request, error: Exception) -> Response:
            status = error.status_code if isinstance(error, HTTPException) else 404
            said = Trouble(title="There is no such page.", code="not_found", what_to_do="Use the menu.")
            return self._error(request, said, status=status)

        app.add_exception_handler(HTTPException, unknown)
        return app

    def cookie(self, request: Request) -> str | None:
        """Return what the browser is known by."""
        return request.cookies.get(self.cookie_name)

    def keep(self, response: Response, cookie: str) -> Response:
        """Let the browser keep what it is known by."""
        secure = self.url.startswith("https:")
        # Lax: the browser comes back from the bridge, which may be another site; forms carry a mark beside it.
        response.set_cookie(self.cookie_name, cookie, httponly=True, samesite="lax", secure=secure, path="/")
        return response

    def is_same_origin(self, request: Request) -> bool:
        """Tell whether a form came from a page of ours (Fetch Metadata, Origin)."""
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        return origin in (None, self._origin) and site in (None, "same-origin", "none")

    def refused(self, request: Request, error: DidAgentError, *, visit: Visit | None = None) -> Response:
        """Return an error as a page."""
        status = error.status if isinstance(error, ServerRefused) else status_of(error)
        response = self._error(request, trouble(error), status=status, visit=visit)
        if isinstance(error, Unavailable):
            response.headers["Retry-After"] = RETRY_AFTER
        return response

    def page(self, request: Request, page: Page, visit: Visit | None = None) -> Response:
        """Return a page as the browser gets it."""
        said = None if visit is None else SAID.get(visit.query.get("said") or "")
        values = {
            "menu": MENU,
            "here": request.url.path,
            "now": self.clock(),
            "visit": visit,
            "said": said,
            "mark": "" if visit is None else form_mark(visit.cookie),
            **page.values,
        }
        text = self._templates.get_template(page.template).render(values)
        headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"}
        return HTMLResponse(text, status_code=page.status, headers=headers)

    def sign_in(self, request: Request) -> Response:
        """Send the browser to sign in, and back to where it was."""
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        to = f"/sign-in?to={quote(wanted, safe='')}"
        if "hx-request" in request.headers:  # a part of a page cannot become a page of the bridge
            return Response(status_code=204, headers={"HX-Redirect": to})
        return RedirectResponse(to, status_code=303)

    def _handle(self, route: Route) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            cookie = self.cookie(request)
            session = await self.sessions.find(cookie)
            if cookie is None or session is None or session.attempt is not None or not session.tokens:
                return self._unknown_browser(request)
            visit: Visit | None = None
            try:
                form = Parameters() if route.method == "GET" else await read_form(request)
                visit = Visit(
                    session=session,
                    cookie=cookie,
                    query=read_query(request),
                    form=form,
                    path={name: str(value) for name, value in request.path_params.items()},
                    now=self.clock(),
                    urls=self._urls,
                    parties=self._parties,
                    sessions=self.sessions,
                )
                is_own = self.is_same_origin(request) and is_form_mark(cookie, form.get("mark"))
                if route.method != "GET" and not is_own:
                    return self._error(request, _FOREIGN, status=403, visit=visit)
                return self._answer(request, await route.handler(visit), visit)
            except SignInEnded:
                if route.method == "GET":
                    return self.sign_in(request)
                return self._error(request, _ENDED, status=401, visit=visit)
            except DidAgentError as error:
                return self.refused(request, error, visit=visit)

        return handle

    def _unknown_browser(self, request: Request) -> Response:
        return self.sign_in(request) if request.method == "GET" else self._error(request, _ENDED, status=401)

    def _answer(self, request: Request, answer: Answer, visit: Visit) -> Response:
        if isinstance(answer, Page):
            return self.page(request, answer, visit)
        if isinstance(answer, Download):
            name = "".join(one for one in answer.name if one.isalnum() or one in "-_.")[:80]
            headers = {"Content-Disposition": f'attachment; filename="{name}"'}
            return Response(answer.content, media_type=answer.media_type, headers=headers)
        said = "" if answer.said is None else ("&" if "?" in answer.to else "?") + f"said={answer.said}"
        return RedirectResponse(answer.to + said, status_code=303)

    def _error(self, request: Request, said: Trouble, *, status: int, visit: Visit | None = None) -> Response:
        values = {"trouble": said, "shown_id": said.request_id or request_id(request)}
        return self.page(request, Page(template="error.html", values=values, status=status), visit)


_FOREIGN: Final = Trouble(
    title="This form did not come from a page of this console.",
    code="wrong_origin",
    what_to_do="Nothing was changed. Open the page here and send it again.",
)
_ENDED: Final = Trouble(
    title="Your sign-in ended.",
    code="signed_out",
    what_to_do="Nothing was changed. Sign in again in another tab, go back here and send the form again.",
)


def _file(content: bytes, media_type: str) -> Callable[[], Awaitable[Response]]:
    async def answer() -> Response:
        return Response(content, media_type=media_type, headers={"Cache-Control": _DAY})

    return answer
