"""OpenAPI 3.1 written beside the routes: what goes in, what comes out, how a refusal looks, who may call.

Routes read their requests themselves, more strictly than a framework would, so their description is written and not
derived; tests hold both together.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.readiness import OK, WORDS

Schema = Mapping[str, Any]
Refusals = Literal["problem", "oauth", "event", "vc", "did", "page"]

PATH: Final = "/openapi.json"
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
PROBLEM: Final = "application/problem+json"
HTML: Final = "text/html"

TEXT: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer"}
FLAG: Final[Schema] = {"type": "boolean"}
ANY: Final[Schema] = {"type": "object"}
MAYBE: Final[Schema] = {"type": ["string", "null"]}
_CACHED: Final = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=60"}
_PARAMETER: Final = re.compile(r"\{([a-z_]+)\}")


class Answer(NamedTuple):
    """One way a request ends well; without a schema it has no body that could be described."""

    description: str
    schema: Schema | None = None
    media: str | None = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method at one path."""

    summary: str
    answers: Mapping[int, Answer]
    body: Schema | type[BaseModel] | None = None
    media: str = JSON
    path: Mapping[str, Schema] = field(default_factory=dict)  # what is narrower than any text
    query: Mapping[str, Schema] = field(default_factory=dict)
    required: tuple[str, ...] = ()  # of `query`
    auth: tuple[str, ...] = ()  # names of security schemes, each opens it; "" means that nobody need be named
    refusals: Refusals = "problem"


def record(*optional: str, **members: Schema) -> Schema:
    """Return an object with exactly these members, all of them there but for the `optional` ones."""
    required = sorted(members.keys() - set(optional))
    return {"type": "object", "properties": members, "required": required, "additionalProperties": False}


def listed(items: Schema) -> Schema:
    """Return a list of such."""
    return {"type": "array", "items": items}


def named(values: Schema) -> Schema:
    """Return an object of such under any names."""
    return {"type": "object", "additionalProperties": values}


def one_of(*values: str) -> Schema:
    """Return one of these words."""
    return {"type": "string", "enum": list(values)}


def probes(**more: Schema) -> dict[str, Operation]:
    """Return the two questions that every party answers to whoever watches over it."""
    parts = {"type": "object", "additionalProperties": one_of(*WORDS), "description": "How each part is."}
    state = record(*more, status=one_of("ok", "degraded", "failing"), parts=parts, **more)
    return {
        "GET /livez": Operation(summary="Is it alive?", answers={200: Answer("It is.", record(status={"const": OK}))}),
        "GET /readyz": Operation(
            summary="Is it ready, and which of its parts are well?",
            answers={200: Answer("It is.", state), 503: Answer("A part that it needs is not well.", state)},
        ),
    }


def describe(
    served: Iterable[str],
    operations: Mapping[str, Operation],
    *,
    title: str,
    url: str,
    security: Mapping[str, Schema],
) -> dict[str, Any]:
    """Return the description of what is `served`, from `operations` by `METHOD /path` below the path of `url`."""
    parts = urlsplit(url)
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = dict(_SHAPES)
    for name in sorted(served):
        method, _, path = name.partition(" ")
        operation = operations.get(f"{method} {path.removeprefix(parts.path)}")
        if operation is not None:
            paths.setdefault(path, {})[method.lower()] = _operation(name, operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version("did-agent")},
        "servers": [{"url": f"{parts.scheme}://{parts.netloc}"}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": dict(security)},
    }


def served_by(app: FastAPI) -> frozenset[str]:
    """Return every `METHOD /path` that an app serves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one function may serve two methods
        app.openapi_schema = None
        paths = app.openapi()["paths"]
    return frozenset(f"{method.upper()} {path}" for path, methods in paths.items() for method in methods)


def publish(
    app: FastAPI, operations: Mapping[str, Operation], *, title: str, url: str, security: Mapping[str, Schema]
) -> None:
    """Serve the description of `app` at its fixed place below `url`."""
    found: list[dict[str, Any]] = []

    async def description(_request: Request) -> Response:
        if not found:
            found.append(describe(served_by(app), operations, title=title, url=url, security=security))
        return JSONResponse(found[0], headers=_CACHED)

    app.add_api_route(urlsplit(url).path + PATH, description, methods=["GET"], include_in_schema=False)


def _operation(name: str, operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_"),
        "summary": operation.summary,
        "responses": {str(status): _answer(answer) for status, answer in operation.answers.items()},
    }
    described["responses"].setdefault("4XX", _refusal("A refusal.", operation))
    later, own = _refusal("Later.", operation), described["responses"].get("503", {})
    described["responses"]["503"] = {**later, **own, "content": {**later["content"], **own.get("content", {})}}
    parameters = [
        _parameter("path", one, operation.path.get(one, TEXT), required=True) for one in _PARAMETER.findall(name)
    ]
    parameters += [
        _parameter("query", one, schema, required=one in operation.required) for one, schema in operation.query.items()
    ]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        content = {operation.media: {"schema": _body(operation.body, schemas)}}
        described["requestBody"] = {"required": True, "content": content}
    if operation.auth:
        described["security"] = [{one: []} if one else {} for one in operation.auth]
    return described


def _parameter(place: str, name: str, schema: Schema, *, required: bool) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required, "schema": schema}


def _answer(answer: Answer) -> dict[str, Any]:
    if answer.schema is None or answer.media is None:
        return {"description": answer.description}
    return {"description": answer.description, "content": {answer.media: {"schema": answer.schema}}}


def _body(body: Schema | type[BaseModel], schemas: dict[str, Any]) -> Schema:
    if not isinstance(body, type):
        return body
    schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    schemas[body.__name__] = schema
    return {"$ref": f"#/components/schemas/{body.__name__}"}


def _refusal(description: str, operation: Operation) -> dict[str, Any]:
    # What the edge refuses, a foreign host or an endless body, is a problem everywhere (RFC 9457).
    shapes = {PROBLEM: "Problem", **_REFUSALS[operation.refusals]}
    content = {media: {"schema": {"$ref": f"#/components/schemas/{shape}"}} for media, shape in shapes.items()}
    return {"description": description, "content": content}


_REFUSALS: Final[Mapping[Refusals, Mapping[str, str]]] = {
    "problem": {},
    "oauth": {JSON: "OAuthError"},
    "event": {JSON: "EventError"},
    "vc": {PROBLEM: "AnyProblem", JSON: "Verdict"},
    "did": {"application/ld+json": "Resolution"},
    "page": {HTML: "Page"},
}
_SHAPES: Final[Mapping[str, Schema]] = {
    "Problem": {
        **record(
            "detail", type=TEXT, title=TEXT, status=WHOLE, code=TEXT, request_id=TEXT, detail=TEXT
        ),
        "description": "RFC 9457, with our stable code and the id of the request.",
    },
    "OAuthError": {
        **record(
            "error_description", "code", error=TEXT, error_description=TEXT, code=TEXT, request_id=TEXT
        ),
        "description": "RFC 6749, 5.2, with our stable code and the id of the request.",
    },
    "EventError": {**record(err=TEXT, description=TEXT, code=TEXT, request_id=TEXT), "description": "RFC 8935, 2.4."},
    "AnyProblem": {
        **record(
            "detail", "status", "request_id", type=TEXT, title=TEXT, code=TEXT, detail=TEXT, status=WHOLE,
            request_id=TEXT,
        ),
        "description": "ProblemDetails of VCALM, or of RFC 9457.",
    },
    "Verdict": {"type": "object", "required": ["verified"], "properties": {"verified": {"const": False}}},
    "Resolution": {"type": "object", "required": ["didResolutionMetadata"]},
    "Page": {"type": "string"},
}  # fmt: skip
