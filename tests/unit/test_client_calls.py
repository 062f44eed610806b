"""The clients of the parties against answers no honest party gives, and the tokens they show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from did_agent.client import wire
from did_agent.client.auth import PresentationAuth, TokenAuth
from did_agent.client.bridge import BridgeClient
from did_agent.client.errors import ServerRefused
from did_agent.client.issuer import IssuerClient
from did_agent.client.ledger import LedgerClient
from did_agent.errors import PeerUnavailable, WrongAudience
from did_agent.keys.ed25519 import SigningKey
from did_agent.proof.jwt import sign_jwt

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = SigningKey.from_seed(b"3" * 32)
BASE = "http://127.0.0.1:8400"
Handler = Callable[[httpx2.Request], httpx2.Response]
Answering = Callable[[Handler], None]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Let a function stand in for the party."""

    def install(handler: Handler) -> None:
        def client(*, timeout: float, auth: httpx2.Auth | None = None, tls: object = None) -> httpx2.AsyncClient:
            return httpx2.AsyncClient(transport=httpx2.MockTransport(handler), auth=auth)

        monkeypatch.setattr(wire, "peer_client", client)

    return install


def answer(status: int = 200, **members: Any) -> Handler:
    return lambda _request: httpx2.Response(status, json=members, headers={"X-Request-Id": "request-1"})


def bridge() -> BridgeClient:
    return BridgeClient(BASE, clock=lambda: NOW)


@pytest.mark.req("VCX-02")
async def test_a_challenge_for_another_bridge_is_not_answered(answering: Answering) -> None:
    answering(answer(c_nonce="n", domain=BASE))
    assert await bridge().challenge() == "n"
    answering(answer(c_nonce="n", domain="https://evil.example"))
    with pytest.raises(WrongAudience):
        await bridge().challenge()


async def test_a_refusal_names_its_code_and_its_request(answering: Answering) -> None:
    answering(answer(400, error="invalid_target", error_description="unknown resource"))
    with pytest.raises(ServerRefused) as refused:
        await bridge().client_credentials(KEY, resource="https://r.example")
    assert (refused.value.status, refused.value.server_code) == (400, "invalid_target")
    assert refused.value.request_id == "request-1"
    answering(answer(409, code="state_conflict", detail="is retired"))
    with pytest.raises(ServerRefused, match="state_conflict: is retired"):
        await IssuerClient(BASE).change_agent("urn:uuid:1", "resume", reason="x")


@pytest.mark.req("OPS-03")
@pytest.mark.parametrize(
    "handler",
    [
        answer(),
        answer(access_token=None, c_nonce=5, domain=BASE, agents="x", credentials={}, events=[1], resources=None),
        answer(503, error="unavailable"),
        lambda _request: httpx2.Response(200, text="<html>another service</html>"),
        lambda _request: httpx2.Response(400, text="Invalid HTTP request received."),
        lambda _request: httpx2.Response(200, content=b"[]"),
        lambda _request: httpx2.Response(200, content=b'{"a":' + b"[" * 50 + b"]" * 50 + b"}"),
    ],
)
async def test_what_is_no_answer_of_ours_is_a_party_that_is_not_there(answering: Answering, handler: Handler) -> None:
    answering(handler)
    calls = [
        bridge().client_credentials(KEY, resource="r"),
        bridge().resources(),
        IssuerClient(BASE).agents(),
        IssuerClient(BASE).credentials(),
        LedgerClient(BASE).events(),
    ]
    for call in calls:
        with pytest.raises(PeerUnavailable):
            await call


@pytest.mark.parametrize("url", ["http://[::1", "nonsense", "ftp://127.0.0.1", "http://127.0.0.1:99999", "http://", ""])
async def test_a_url_that_can_not_be_called_is_a_party_that_is_not_there(url: str) -> None:
    with pytest.raises(PeerUnavailable):
        await IssuerClient(url).agent("a")
    with pytest.raises(PeerUnavailable):
        [chunk async for chunk in LedgerClient(url).export()]


@pytest.mark.req("LLM-08")
async def test_an_identifier_stays_one_segment_of_the_path(answering: Answering) -> None:
    seen: list[bytes] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.url.raw_path)
        return httpx2.Response(200, json={})

    answering(handler)
    issuer = IssuerClient(BASE)
    await issuer.agent("did:key:z6Mk")
    await issuer.revoke_credential("x/../../agents?y#z", reason="r")
    await bridge().put_user("../resources", password="p", name="n", rights={})
    assert seen == [
        b"/agents/did%3Akey%3Az6Mk",
        b"/credentials/x%2F..%2F..%2Fagents%3Fy%23z/revoke",
        b"/users/..%2Fresources",
    ]
    for dots in ("..", ".", ""):
        with pytest.raises(PeerUnavailable):
            await issuer.agent(dots)
    assert len(seen) == 3


async def test_all_pages_are_read(answering: Answering) -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        after = request.url.params.get("after")
        page = {"agents": [{"n": 2}], "next": None} if after == "1" else {"agents": [{"n": 1}], "next": "1"}
        return httpx2.Response(200, json=page)

    answering(handler)
    assert await IssuerClient(BASE).agents(state="active") == [{"n": 1}, {"n": 2}]


class Mint:
    """Makes tokens that differ, and counts them."""

    def __init__(self, life: float = 300) -> None:
        self.now, self.life, self.made = NOW, life, 0

    async def __call__(self) -> str:
        await asyncio.sleep(0)
        self.made += 1
        expires = int((self.now + timedelta(seconds=self.life)).timestamp())
        return sign_jwt({"exp": expires, "jti": str(self.made)}, typ="at+jwt", key=KEY)


class Everything(set[str]):
    """Holds whatever is asked for."""

    def __contains__(self, _token: object) -> bool:
        return True


class Resource:
    """Takes the tokens it has not been told to refuse."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.refused: set[str] = set()

    def client(self, auth: httpx2.Auth) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer), auth=auth)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        shown = request.headers["authorization"].removeprefix("Bearer ")
        self.shown.append(shown)
        return httpx2.Response(401 if shown in self.refused else 200)


async def test_a_token_is_shown_until_shortly_before_its_end() -> None:
    mint, resource = Mint(), Resource()
    async with resource.client(TokenAuth(mint, clock=lambda: mint.now)) as http:
        await http.get(BASE)
        mint.now = NOW + timedelta(seconds=269)
        await http.get(BASE)
        assert mint.made == 1
        mint.now = NOW + timedelta(seconds=270)
        await http.get(BASE)
        assert mint.made == 2


async def test_many_requests_at_once_share_one_token_and_one_renewal() -> None:
    mint, resource = Mint(), Resource()
    async with resource.client(TokenAuth(mint, clock=lambda: mint.now)) as http:
        await asyncio.gather(*(http.get(BASE) for _ in range(20)))
        assert mint.made == 1
        resource.refused = set(resource.shown)
        answers = await asyncio.gather(*(http.get(BASE) for _ in range(20)))
    assert {found.status_code for found in answers} == {200}
    assert mint.made == 2


async def test_a_refused_token_is_renewed_once_and_a_second_refusal_stands() -> None:
    mint, resource = Mint(), Resource()
    async with resource.client(TokenAuth(mint, clock=lambda: mint.now)) as http:
        await http.get(BASE)
        resource.refused = {resource.shown[0]}
        assert (await http.get(BASE)).status_code == 200
        assert mint.made == 2
        resource.refused = Everything()
        assert (await http.get(BASE)).status_code == 401
        assert mint.made == 3


async def test_a_fresh_presentation_is_shown_each_time_and_never_in_a_redirect_to_others() -> None:
    made: list[str] = []
    seen: list[tuple[str, str | None]] = []

    def present() -> str:
        made.append(f"p{len(made)}")
        return made[-1]

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append((str(request.url.host), request.headers.get("authorization")))
        if request.url.path == "/away":
            return httpx2.Response(307, headers={"Location": "http://evil.example/"})
        return httpx2.Response(200, content=json.dumps({}))

    transport = httpx2.MockTransport(handler)
    async with httpx2.AsyncClient(transport=transport, auth=PresentationAuth(present), follow_redirects=True) as http:
        await http.get(BASE)
        await http.get(BASE)
        await http.get(BASE + "/away")
    assert seen == [
        ("127.0.0.1", "Bearer p0"),
        ("127.0.0.1", "Bearer p1"),
        ("127.0.0.1", "Bearer p2"),
        ("evil.example", None),
    ]
