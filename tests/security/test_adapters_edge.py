"""The edge every party shares, as an attacker meets it: sizes, halves, hosts, and what an error gives away."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters import web
from did_agent.adapters.web import harden
from did_agent.adapters.web_input import bearer, plain_app, read_form, read_json, read_query
from did_agent.errors import BadSignature, ConsentDenied, PeerUnavailable, StateConflict, StoreUnavailable

JSON = ("content-type", "application/json")
FORM = ("content-type", "application/x-www-form-urlencoded")
LIMIT = 1_000


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    item: str


class Served:
    """A hardened app that remembers what reached its routes."""

    def __init__(self, **options: Any) -> None:
        self.reached: list[Any] = []
        self.pulled = 0
        self.app = harden(self._routes(), **{"max_body": LIMIT, **options})

    def _routes(self) -> Any:
        app = plain_app()
        failures = {
            "proof": BadSignature("the third link"),
            "denied": ConsentDenied("row 7"),
            "conflict": StateConflict("is retired"),
            "away": PeerUnavailable("10.0.0.7 refused"),
            "store": StoreUnavailable("SELECT secret FROM t"),
            "bug": RuntimeError("/srv/private/path"),
            "bare": KeyError("password"),
        }

        @app.get("/fail/{kind}")
        async def fail(kind: str) -> Response:
            raise failures[kind]

        @app.post("/json")
        async def take_json(request: Request) -> Response:
            self.reached.append((await read_json(request, Order)).item)
            return JSONResponse({})

        @app.post("/form")
        async def take_form(request: Request) -> Response:
            self.reached.append(dict((await read_form(request)).values))
            return JSONResponse({})

        @app.get("/query")
        async def take_query(request: Request) -> Response:
            self.reached.append(dict(read_query(request).values))
            return JSONResponse({})

        @app.get("/typed")
        async def take_typed(seq: int) -> Response:
            return JSONResponse({"seq": seq})

        @app.get("/bearer")
        async def take_bearer(request: Request) -> Response:
            self.reached.append(bearer(request))
            return JSONResponse({})

        return app

    async def ask(
        self,
        method: str,
        target: str,
        *headers: tuple[str, str],
        body: Iterable[bytes] = (b"",),
        leaves: bool = False,
        host: str | None = "here.example",
    ) -> Answer:
        parts = list(body)
        messages = [
            {"type": "http.request", "body": part, "more_body": leaves or number < len(parts)}
            for number, part in enumerate(parts, start=1)
        ]
        sent: list[Any] = []

        async def receive() -> Any:
            self.pulled += 1
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        path, _, query = target.partition("?")
        named = [("host", host)] if host is not None else []
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in (*named, *headers)],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        }  # fmt: skip
        await self.app(scope, receive, send)
        return Answer(sent)


class Answer:
    """What was sent back."""

    def __init__(self, sent: list[Any]) -> None:
        self.sent = sent
        self.status = sent[0]["status"] if sent else None
        self.headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]} if sent else {}
        self.text = b"".join(message.get("body", b"") for message in sent[1:]).decode()

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        found: dict[str, Any] = json.loads(self.text)
        assert found["request_id"] == self.headers["x-request-id"]
        assert found["status"] == self.status
        return found


async def test_an_honest_request_passes() -> None:
    served = Served()
    answer = await served.ask("POST", "/json", JSON, body=[b'{"item":', b'"tea"}'])
    assert (answer.status, served.reached) == (200, ["tea"])


@pytest.mark.req("LIM-01")
async def test_a_body_may_reach_the_limit_and_not_pass_it() -> None:
    served = Served()
    frame = b'{"item":""}'
    full = b'{"item":"' + b"x" * (LIMIT - len(frame)) + b'"}'
    assert (await served.ask("POST", "/json", JSON, body=[full])).status == 200
    answer = await served.ask("POST", "/json", JSON, body=[full + b" "])
    assert (answer.status, answer.problem["code"]) == (413, "limit_exceeded")
    assert len(served.reached) == 1


@pytest.mark.req("LIM-01")
async def test_an_endless_body_is_read_only_up_to_the_limit() -> None:
    served = Served()
    answer = await served.ask("POST", "/json", JSON, body=(b"x" * 100 for _ in range(5_000)))
    assert answer.status == 413
    assert served.pulled <= LIMIT / 100 + 1


@pytest.mark.req("LIM-01")
@pytest.mark.parametrize("declared", [str(LIMIT + 1), "9" * 5_000, "-1", "1e3", "0x10", " 5", ""])
async def test_a_declared_length_out_of_bounds_is_refused_before_a_byte_is_read(declared: str) -> None:
    served = Served()
    answer = await served.ask("POST", "/json", JSON, ("content-length", declared))
    assert (answer.status, answer.problem["code"]) == (413, "limit_exceeded")
    assert served.pulled == 0


@pytest.mark.req("LIM-01")
async def test_a_header_section_out_of_bounds_is_refused() -> None:
    served = Served()
    assert (await served.ask("GET", "/query", ("x-large", "x" * 16_000))).status == 200
    assert (await served.ask("GET", "/query", ("x-large", "x" * 17_000))).status == 431


@pytest.mark.req("OAU-05")
async def test_half_a_form_is_not_a_form() -> None:
    served = Served()
    cut = await served.ask("POST", "/form", FORM, body=[b"grant_type=x&scope=re"], leaves=True)
    assert (cut.sent, served.reached) == ([], [])
    await served.ask("POST", "/form", FORM, body=[b"grant_type=x&scope=re", b"ad"])
    assert served.reached == [{"grant_type": ("x",), "scope": ("read",)}]


@pytest.mark.req("LIM-01")
async def test_a_body_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    monkeypatch.setattr(web, "BODY_TIMEOUT", 0.01)
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/json", "raw_path": b"/json", "query_string": b"",
        "headers": [(b"host", b"here.example")],
    }  # fmt: skip
    await Served().app(scope, receive, send)
    assert (Answer(sent).status, Answer(sent).problem["code"]) == (408, "request_timeout")


@pytest.mark.req("OPS-03")
@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("proof", 401, "bad_signature"),
        ("denied", 403, "consent_denied"),
        ("away", 503, "peer_unavailable"),
        ("store", 503, "store_unavailable"),
        ("bug", 500, "internal_error"),
        ("bare", 500, "internal_error"),
    ],
)
async def test_an_error_says_what_to_do_and_nothing_of_the_inside(kind: str, status: int, code: str) -> None:
    answer = await Served().ask("GET", f"/fail/{kind}")
    assert (answer.status, answer.problem["code"]) == (status, code)
    assert "detail" not in answer.problem
    for secret in ("third link", "row 7", "10.0.0.7", "SELECT", "/srv", "password", "Traceback", "Error"):
        assert secret not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_a_state_conflict_is_explained_to_its_sender() -> None:
    answer = await Served().ask("GET", "/fail/conflict")
    assert (answer.status, answer.problem["detail"]) == (409, "is retired")


@pytest.mark.req("OPS-03")
@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/query", 405, "method_not_allowed"),
        ("GET", "/typed?seq=%3Cscript%3E", 400, "invalid_parameter"),
        ("GET", "/typed", 400, "invalid_parameter"),
        ("GET", "/docs", 404, "not_found"),
        ("GET", "/openapi.json", 404, "not_found"),
    ],
)
async def test_what_the_framework_refuses_looks_like_every_other_refusal(
    method: str, target: str, status: int, code: str
) -> None:
    answer = await Served().ask(method, target)
    assert (answer.status, answer.problem["code"]) == (status, code)
    assert "script" not in answer.text


@pytest.mark.req("WEB-09")
async def test_no_redirect_is_made_of_the_host_header() -> None:
    answer = await Served().ask("GET", "/query/", host="evil.example")
    assert answer.status == 404
    assert "location" not in answer.headers


@pytest.mark.req("WEB-09")
async def test_one_known_host_is_served() -> None:
    served = Served(allowed_hosts=frozenset({"here.example"}))
    assert (await served.ask("GET", "/query", host="HERE.example")).status == 200
    for host in ("evil.example", "here.example:81", "here.example.evil.example", None):
        assert (await served.ask("GET", "/query", host=host)).status == 421
    assert (await served.ask("GET", "/query", ("host", "here.example"))).status == 421


@pytest.mark.req("WEB-05")
@pytest.mark.parametrize("target", ["/query", "/nowhere", "/fail/bug", "/fail/proof"])
async def test_every_answer_carries_the_safe_headers(target: str) -> None:
    headers = (await Served().ask("GET", target)).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.req("OPS-01")
@pytest.mark.parametrize("sent", ["short", "x" * 65, "two words here", 'quote"quote"', "esc\x1b[31m-long"])
async def test_a_request_id_that_could_disturb_a_log_is_replaced(sent: str) -> None:
    assert (await Served().ask("GET", "/query", ("x-request-id", sent))).headers["x-request-id"] != sent
    kept = await Served().ask("GET", "/query", ("x-request-id", "trace-12345678"))
    assert kept.headers["x-request-id"] == "trace-12345678"


@pytest.mark.req("OAU-05")
@pytest.mark.parametrize(
    ("target", "body", "code"),
    [
        ("/form", b"a=1&a=1", "repeated_parameter"),
        ("/form?a=1", b"a=2", "repeated_parameter"),
        ("/form?a=", b"a=2", "repeated_parameter"),
        ("/form", b"a=%ff", "invalid_parameter"),
        ("/form", "a=é".encode(), "invalid_parameter"),
        ("/form", b"no-equals-sign", "invalid_parameter"),
        ("/form", b"&".join(b"n%d=1" % number for number in range(65)), "invalid_parameter"),
    ],
)
async def test_an_ambiguous_form_is_refused(target: str, body: bytes, code: str) -> None:
    served = Served()
    answer = await served.ask("POST", target, FORM, body=[body])
    assert (answer.status, answer.problem["code"], served.reached) == (400, code, [])


async def test_a_resource_may_be_named_twice_and_an_empty_value_counts_as_absent() -> None:
    served = Served()
    await served.ask("POST", "/form", FORM, body=[b"resource=a&resource=b&scope=&n=%C3%A9"])
    assert served.reached == [{"resource": ("a", "b"), "n": ("é",)}]


@pytest.mark.req("LIM-01", "TOK-05")
@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ([("content-type", "text/plain")], b'{"item":"a"}', 415, "wrong_content_type"),
        ([JSON, JSON], b'{"item":"a"}', 415, "wrong_content_type"),
        ([], b'{"item":"a"}', 415, "wrong_content_type"),
        ([JSON], b'{"item":"a","item":"b"}', 400, "duplicate_member"),
        ([JSON], b'{"item":"a","admin":true}', 400, "invalid_parameter"),
        ([JSON], b'{"item":5}', 400, "invalid_parameter"),
        ([JSON], b'["item"]', 400, "not_json"),
        ([JSON], b'{"item":' + b"[" * 40 + b"]" * 40 + b"}", 400, "too_deep"),
    ],
)
async def test_an_ambiguous_json_body_is_refused(
    headers: list[tuple[str, str]], body: bytes, status: int, code: str
) -> None:
    served = Served()
    answer = await served.ask("POST", "/json", *headers, body=[body])
    assert (answer.status, answer.problem["code"], served.reached) == (status, code, [])


@pytest.mark.req("TOK-15")
async def test_exactly_one_bearer_credential_in_the_header_is_taken() -> None:
    served = Served()
    assert (await served.ask("GET", "/bearer", ("authorization", "bearer abc"))).status == 200
    assert served.reached == ["abc"]
    assert (await served.ask("GET", "/bearer", ("authorization", "Basic abc"))).status == 401
    missing = await served.ask("GET", "/bearer")
    assert (missing.status, missing.headers["www-authenticate"]) == (401, "Bearer")
    for headers in (
        [("authorization", "Bearer a"), ("authorization", "Bearer b")],
        [("authorization", "Bearer a b")],
        [("authorization", "Bearer")],
    ):
        assert (await served.ask("GET", "/bearer", *headers)).status == 400
    assert (await served.ask("GET", "/bearer?access_token=x", ("authorization", "Bearer a"))).status == 400
    assert served.reached == ["abc"]
