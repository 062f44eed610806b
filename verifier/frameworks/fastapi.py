"""`GuardedAPI`: the guard as a FastAPI dependency, for tools that are plain HTTP endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self, Unpack
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import Response as Plain

from did_agent.adapters.peer_certificate import peer_certificate
from did_agent.encoding.strict_json import MAX_BODY, parse_object
from did_agent.errors import DidAgentError, InvalidParameter
from did_agent.policy.caller import VerifiedCaller
from verifier.composition import compose
from verifier.http import read_credential
from verifier.identifiers import fresh_uuid
from verifier.mcp.answers import Answer, denied_plainly, refused
from verifier.mcp.asgi import answer_with
from verifier.mcp.caller import enter, leave
from verifier.mcp.guard import metadata_of
from verifier.model import Admission
from verifier.settings import GuardOptions

_TOO_LONG = b'{"type": "about:blank", "title": "The input is too large.", "status": 413, "code": "limit_exceeded"}'


class GuardRefused(Exception):  # what it carries is an answer
    """The guard answered instead of the endpoint."""

    def __init__(self, answer: Answer, request_id: str) -> None:
        super().__init__(str(answer.status))
        self.answer, self.request_id = answer, request_id


class GuardedAPI:
    """Guards endpoints of one resource, which is the URL that the API has for its clients.

    `api.protect(app)` once; then each endpoint that is a tool takes its caller:
    `caller: Annotated[VerifiedCaller, Depends(api.tool("create_order"))]`.  Raises: Misconfigured.
    """

    def __init__(
        self,
        *,
        resource: str,
        bridge: str | None = None,
        name: str | None = None,
        **options: Unpack[GuardOptions],
    ) -> None:
        self._parts = compose(resource=resource, bridge=bridge, **options)
        self._metadata = metadata_of(self._parts, resource=resource, bridge=bridge, name=name, scopes=())
        parts = urlsplit(resource)
        self._origin = f"{parts.scheme}://{parts.netloc}"

    def protect(self, app: FastAPI) -> Self:
        """Serve the metadata (RFC 9728), answer for the guard, and keep its work running beside the app."""
        for path in sorted(self._metadata.paths):
            app.add_api_route(path, self._describe, methods=["GET"], include_in_schema=False)
        app.add_exception_handler(GuardRefused, _answer)
        # FastAPI reads a body before it asks its dependencies, and knows no bound.
        app.add_middleware(_Bounded)
        before = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(served: FastAPI) -> AsyncIterator[Any]:
            async with self._parts.running(), before(served) as state:
                yield state

        app.router.lifespan_context = lifespan
        return self

    def tool(self, name: str) -> Callable[[Request], AsyncIterator[VerifiedCaller]]:
        """Return the dependency that admits, decides and records before an endpoint runs as the tool `name`.

        The arguments are the members of the JSON body, with path and query parameters beside; a name that is in two
        of them is refused.
        """

        async def guarded(request: Request) -> AsyncIterator[VerifiedCaller]:
            request_id = fresh_uuid()
            try:
                admission = await self._admit(request, request_id)
                arguments = await _arguments(request)
                decision = await self._parts.verifier.decide(
                    admission, tool=name, arguments=arguments, request_id=request_id
                )
            except DidAgentError as error:
                raise GuardRefused(refused(error, self._metadata, request_id=request_id), request_id) from error
            if not decision.allowed:
                raise GuardRefused(
                    denied_plainly(decision, name, self._metadata, request_id=request_id, admission=admission),
                    request_id,
                )
            entered = enter(admission.caller, decision)
            try:
                yield admission.caller
            except Exception:
                await self._parts.verifier.undo(request_id)
                raise
            finally:
                leave(entered)

        return guarded

    async def _admit(self, request: Request, request_id: str) -> Admission:
        await self._parts.ensure_running()
        try:
            certificate = peer_certificate(request.scope, self._parts.proxies)
            shown = read_credential(
                request.scope["headers"],
                request.scope.get("query_string", b""),
                method=request.method,
                url=self._origin + request.scope["path"],
                certificate=None if certificate is None else certificate.der,
            )
            return await self._parts.verifier.admit(shown)
        except DidAgentError as error:
            await self._parts.verifier.refuse(error, action="resource.access", request_id=request_id)
            raise

    async def _describe(self) -> Response:
        return _plain(self._metadata.answer())


class _Bounded:
    """Refuses a body that is too long, before all of it is in memory."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        lengths = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
        if any(not value.isdigit() or int(value) > MAX_BODY for value in lengths):
            answer = Answer(status=413, headers={"Content-Type": "application/problem+json"}, body=_TOO_LONG)
            await answer_with(send, answer, fresh_uuid())
            return
        left = MAX_BODY

        async def counted() -> Any:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            return message if left >= 0 else {"type": "http.disconnect"}

        await self._app(scope, counted, send)


async def _arguments(request: Request) -> Mapping[str, object]:
    found: dict[str, object] = {}
    sources: list[Mapping[str, object]] = [request.path_params, _query(request)]
    # Of whatever method: an endpoint may read a body even of a GET.
    if body := await request.body():
        sources.append(parse_object(body, max_bytes=MAX_BODY))
    for source in sources:
        for name, value in source.items():
            if name in found:
                raise InvalidParameter(f"{name[:100]} is given twice")
            found[name] = value
    return found


def _query(request: Request) -> Mapping[str, object]:
    pairs = request.query_params.multi_items()
    if len({name for name, _ in pairs}) != len(pairs):
        raise InvalidParameter("a query parameter is given twice")
    return dict(pairs)


async def _answer(_request: Request, refusal: Exception) -> Response:
    if not isinstance(refusal, GuardRefused):
        raise refusal
    return _plain(refusal.answer, refusal.request_id)


def _plain(answer: Answer, request_id: str | None = None) -> Response:
    response = Plain(content=answer.body, status_code=answer.status, headers=dict(answer.headers))
    for challenge in answer.challenges:
        response.headers.append("WWW-Authenticate", challenge)
    if request_id is not None:
        response.headers["X-Request-Id"] = request_id
    return response
