"""Bad input at every endpoint: a 4xx with a stable code and a request id, never a 5xx or a traceback."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.fakes.bridge_world import ASSERTION, EXCHANGE, RESOURCE, VP, World, w

__all__ = ["w"]

DEEP = "[" * 100 + "]" * 100
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def is_clean(answer: httpx2.Response, *statuses: int) -> None:
    assert answer.status_code in (statuses or range(400, 500)), (answer.status_code, answer.text)
    assert "Traceback" not in answer.text
    if answer.headers["content-type"].startswith("text/html"):
        assert answer.headers["x-request-id"] in answer.text
        return
    body = answer.json()
    assert body["code"]
    assert body["request_id"] == answer.headers["x-request-id"]


BODIES: list[tuple[str, bytes]] = [
    (JSON, b"not json"),
    (JSON, b"{}"),
    (JSON, b""),
    (JSON, b'{"a":1,"a":2}'),
    (JSON, DEEP.encode()),
    (JSON, b'{"a":NaN}'),
    (JSON, b"\xff\xfe"),
    (JSON, b'"\\ud800"'),
    (FORM, b""),
    (FORM, b"a"),
    (FORM, b"a=%ff"),
    (FORM, b"\xff=1"),
    (FORM, b"a=1&a=2"),
    (FORM, b"&".join(b"p%d=1" % number for number in range(100))),
    ("text/plain", b"grant_type=client_credentials"),
    ("application/secevent+jwt", b""),
    ("application/secevent+jwt", b"a.b.c"),
    ("application/secevent+jwt", "é".encode()),
    ("", b"x"),
]
ENDPOINTS = [
    ("POST", "/token"),
    ("POST", "/revoke"),
    ("POST", "/revocations"),
    ("POST", "/authorize"),
    ("PUT", "/resources"),
    ("PUT", "/users/ann"),
]


@pytest.mark.req("WEB-03", "LIM-01", "OAU-05")
@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_no_body_breaks_an_endpoint(w: World, method: str, path: str) -> None:
    admin = await w.admin_headers() if method == "PUT" else {}
    for media_type, body in BODIES:
        headers = {**admin, **({"Content-Type": media_type} if media_type else {})}
        is_clean(await w.http.request(method, path, content=body, headers=headers))
    too_large = await w.http.request(
        method, path, content=b"a=" + b"x" * 300_000, headers={**admin, "Content-Type": FORM}
    )
    is_clean(too_large, 413)


@pytest.mark.req("LIM-01")
async def test_a_large_body_without_a_length_is_cut_off(w: World) -> None:
    async def chunks() -> Any:
        for _ in range(30):
            yield b"x" * 10_000

    is_clean(await w.http.post("/token", content=chunks(), headers={"Content-Type": FORM}), 413)


@pytest.mark.req("OAU-05")
@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "invalid_client"),
        ({"grant_type": "client_credentials", "client_assertion": "x"}, "invalid_request"),
        ({"grant_type": "client_credentials", "client_assertion_type": ASSERTION}, "invalid_request"),
        (
            {"grant_type": "client_credentials", "client_assertion": "x", "client_assertion_type": "y"},
            "invalid_request",
        ),
        (
            {"grant_type": "client_credentials", "client_assertion": "x", "client_assertion_type": ASSERTION},
            "invalid_client",
        ),
        ({"grant_type": "authorization_code", "code": "c", "code_verifier": "A" * 43}, "invalid_client"),
        ({"grant_type": EXCHANGE}, "invalid_request"),
        ({"grant_type": EXCHANGE, "subject_token": "x"}, "invalid_request"),
        ({"grant_type": EXCHANGE, "subject_token": "x", "subject_token_type": "urn:other"}, "invalid_request"),
        (
            {"grant_type": EXCHANGE, "subject_token": "{}", "subject_token_type": VP, "actor_token": "x"},
            "invalid_request",
        ),
        (
            {"grant_type": EXCHANGE, "subject_token": "{}", "subject_token_type": VP, "actor_token_type": VP},
            "invalid_request",
        ),
        ({"grant_type": EXCHANGE, "subject_token": DEEP, "subject_token_type": VP}, "invalid_request"),
        ({"grant_type": EXCHANGE, "subject_token": '{"a":1,"a":2}', "subject_token_type": VP}, "invalid_request"),
    ],
)
async def test_a_bad_token_request_has_its_code(w: World, form: dict[str, str], error: str) -> None:
    answer = await w.token(form)
    is_clean(answer, 401 if error == "invalid_client" else 400)
    assert answer.json()["error"] == error
    assert answer.json()["error_description"].isascii()
    assert answer.headers["cache-control"] == "no-store"


async def test_a_good_client_with_a_bad_request_has_its_code_too(w: World) -> None:
    agent = w.agent("stock", "list_menu")
    for form, error in (
        ({"resource": "https://unknown.example"}, "invalid_target"),
        ({"resource": RESOURCE, "scope": "tool:unknown"}, "invalid_scope"),
        ({"resource": RESOURCE, "scope": "tool:list_menu  tool:x"}, "invalid_scope"),
        ({"resource": RESOURCE, "scope": "tool:delete_order"}, "invalid_scope"),
        ({"resource": RESOURCE, "audience": w.url}, "invalid_target"),
    ):
        answer = await w.client_credentials(agent.key, **form)
        is_clean(answer, 400)
        assert answer.json()["error"] == error, form
    two = [("grant_type", "client_credentials"), ("resource", RESOURCE), ("resource", w.url)]
    answer = await w.post("/token", [*two, *w.assertion(agent.key).items()])
    assert answer.json()["error"] == "invalid_target"
    redeemed = {"grant_type": "authorization_code", "code": "c", **w.assertion(agent.key)}
    assert (await w.token(redeemed)).json()["error"] == "invalid_request"
    redeemed = {**redeemed, "code_verifier": "A" * 43, **w.assertion(agent.key)}
    assert (await w.token(redeemed)).json()["error"] == "invalid_grant"
    assert (await w.client_credentials(agent.key, resource=RESOURCE)).status_code == 200


async def test_bad_queries_of_the_feed_are_refused(w: World) -> None:
    for query in ("after=x", "after=-1", "after=9" * 3, "after=1&after=2", "wait=26", "wait=1.5", "subscriber=a%20b"):
        is_clean(await w.http.get(f"/revocations?{query}"), 400)
    assert (await w.http.get("/revocations?after=0&wait=0&subscriber=v1")).status_code == 200


async def test_wrong_methods_and_paths_are_told_so(w: World) -> None:
    for method, path, status in (
        ("GET", "/token", 405),
        ("DELETE", "/authorize", 405),
        ("POST", "/evidence/x", 405),
        ("GET", "/nothing", 404),
        ("GET", "/evidence/..%2f..%2fetc", 404),
    ):
        is_clean(await w.http.request(method, path), status)


@pytest.mark.req("TOK-15")
async def test_a_token_in_the_url_is_refused(w: World) -> None:
    headers = await w.admin_headers()
    token = headers["Authorization"].removeprefix("Bearer ")
    is_clean(await w.http.get(f"/users?access_token={token}"), 400)
    is_clean(await w.http.get("/users", headers=[("Authorization", f"Bearer {token}")] * 2), 400)
    assert (await w.http.get("/users", headers=headers)).status_code == 200
