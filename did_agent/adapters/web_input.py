"""Strict readers for what requests carry: JSON bodies, forms and queries; every repetition is refused (OAU-05)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from did_agent.adapters.observing import name_route
from did_agent.adapters.web import _problem, problem
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import (
    DidAgentError,
    InvalidParameter,
    MissingParameter,
    NotAuthenticated,
    RepeatedParameter,
    WrongContentType,
)

MAX_FIELDS: Final = 64  # parameters of one form or query
REPEATABLE: Final = frozenset({"resource", "scope_item"})  # RFC 8707 resource; ticked boxes of our own pages

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a request, each at most once unless it may repeat; empty ones count as absent."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def get(self, name: str) -> str | None:
        """Return a parameter, or None when it is absent.

        Raises: RepeatedParameter when a repeatable one came more than once where one is expected.
        """
        found = self.values.get(name, ())
        if len(found) > 1:
            raise RepeatedParameter(f"{name} was sent more than once")
        return found[0] if found else None

    def require(self, name: str) -> str:
        """Return a parameter that must be there.

        Raises: MissingParameter, RepeatedParameter.
        """
        value = self.get(name)
        if value is None:
            raise MissingParameter(f"{name} is required")
        return value

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a repeatable parameter."""
        return self.values.get(name, ())


async def read_json(request: Request, model: type[Model]) -> Model:
    """Return the body of a request as `model`; unknown members are refused by the model itself.

    Raises: WrongContentType, InvalidParameter and what strict JSON raises.
    """
    require_media_type(request, "application/json")
    members = parse_object(await request.body())
    try:
        return model.model_validate(members)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise InvalidParameter(f"{where}: {first['msg'].removeprefix('Value error, ')}") from error


async def read_form(request: Request) -> Parameters:
    """Return the form of a request; its query is counted with it.

    Raises: WrongContentType, InvalidParameter, RepeatedParameter.
    """
    require_media_type(request, "application/x-www-form-urlencoded")
    return _parameters(await request.body(), request.scope.get("query_string", b""))


def read_query(request: Request) -> Parameters:
    """Return the query of a request.

    Raises: InvalidParameter, RepeatedParameter.
    """
    return _parameters(request.scope.get("query_string", b""))


def require_media_type(request: Request, expected: str) -> None:
    """Return if the body is declared to be of the expected media type.

    Raises: WrongContentType.
    """
    types = request.headers.getlist("content-type")
    if len(types) != 1 or types[0].split(";")[0].strip().lower() != expected:
        raise WrongContentType(f"send {expected}")


def request_id(request: Request) -> str:
    """Return the id the edge gave this request."""
    return str(request.scope["state"]["request_id"])


def bearer(request: Request) -> str:
    """Return the one bearer credential of a request (RFC 6750, 2.1).

    Raises: NotAuthenticated when there is none, InvalidParameter when there is more than one or it is in the query.
    """
    if "access_token" in request.query_params:
        raise InvalidParameter("a token does not belong into a URL")
    sent = request.headers.getlist("authorization")
    if not sent:
        raise NotAuthenticated("no Authorization header")
    scheme, _, credential = sent[0].partition(" ")
    if scheme.lower() != "bearer":
        raise NotAuthenticated("the authorization scheme is not Bearer")
    if len(sent) > 1 or not credential or " " in credential:
        raise InvalidParameter("exactly one Bearer credential is expected")
    return credential


def install_error_handlers(app: FastAPI) -> None:
    """Make an app answer every error as problem details."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, DidAgentError)  # noqa: S101  # registered for this type alone
        status, headers, body = problem(error, request_id=request_id(request))
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return Response(body, status_code=status, headers=headers)

    async def theirs(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101  # registered for this type alone
        codes = {404: "not_found", 405: "method_not_allowed"}
        code = codes.get(error.status_code, "http_error")
        status, headers, body = _problem(error.status_code, code, str(error.detail), request_id(request))
        return Response(body, status_code=status, headers={**headers, **(error.headers or {})})

    async def unread(request: Request, _error: Exception) -> Response:
        # FastAPI would show what was sent, and in another form than every other refusal.
        refused = InvalidParameter("a parameter of the URL is missing or of the wrong kind")
        return await ours(request, refused)

    async def unexpected(request: Request, _error: Exception) -> Response:
        # The edge logs it; Starlette raises it again after this answer.
        status, headers, body = _problem(500, "internal_error", "An internal error occurred.", request_id(request))
        return Response(body, status_code=status, headers=headers)

    app.add_exception_handler(RequestValidationError, unread)
    app.add_exception_handler(Exception, unexpected)
    app.add_exception_handler(DidAgentError, ours)
    app.add_exception_handler(HTTPException, theirs)


class Direct:
    """Answers POSTs at some paths without the framework's stack, and hands everything else to the app behind."""

    def __init__(self, app: Any, endpoints: Mapping[str, Callable[[Request], Awaitable[Response]]]) -> None:
        self._app, self._endpoints = app, endpoints

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle one connection (ASGI 3)."""
        endpoint = self._endpoints.get(scope["path"]) if scope["type"] == "http" else None
        if endpoint is None or scope["method"] != "POST":
            await self._app(scope, receive, send)
        else:
            name_route(scope, scope["path"])
            await (await endpoint(Request(scope, receive)))(scope, receive, send)


def plain_app(**options: Any) -> FastAPI:
    """Return a FastAPI app without its public documentation pages, answering errors our way."""
    # A redirect for a slash too many would be built from the Host header (WEB-09).
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False, **options)
    install_error_handlers(app)
    return app


def _parameters(*encoded: bytes) -> Parameters:
    found: dict[str, tuple[str, ...]] = {}
    for part in encoded:
        for name, value in _pairs(part):
            if name in found and name not in REPEATABLE:
                raise RepeatedParameter(f"{name[:40]} was sent more than once")
            found[name] = (*found.get(name, ()), value)
    return Parameters({name: kept for name, values in found.items() if (kept := tuple(filter(None, values)))})


def _pairs(encoded: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            encoded.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(encoded),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise InvalidParameter("the parameters are not form-encoded UTF-8") from error
