"""The agent's OAuth flows for MCP servers, against servers that answer as no honest one does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from did_agent.client.errors import ServerRefused
from did_agent.client.mcp_oauth_browser import LoopbackRedirect
from did_agent.client.mcp_oauth_dpop import BoundTokens
from did_agent.client.mcp_oauth_workload import WorkloadAuth
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import ConsentDenied, NotAuthenticated, NotBound, PeerUnavailable, WrongIssuer
from did_agent.keys import ecdsa, ed25519
from did_agent.keys.jwk import thumbprint
from did_agent.proof.jose import parse_compact

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ED = ed25519.SigningKey.from_seed(b"5" * 32)
EC = ecdsa.SigningKey("P-256", b"6" * 32)
SERVER, ISSUER = "https://mcp.example/mcp", "https://as.example"
Handler = Callable[[httpx2.Request], httpx2.Response]


class Servers:
    """An MCP server and its authorization server, which a test spoils in one point."""

    def __init__(self, **metadata: Any) -> None:
        self.metadata = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token", **metadata}
        self.token: dict[str, Any] = {"access_token": "t0", "token_type": "Bearer", "expires_in": 300}
        self.token_status = 200
        self.nonce: str | None = None
        self.seen: list[httpx2.Request] = []
        self.challenge = 'Bearer error="x", scope="tool:a"'
        self.is_content = lambda request: "Authorization" in request.headers

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        # A flow changes the request it repeats.
        self.seen.append(httpx2.Request(request.method, request.url, headers=request.headers, content=request.content))
        if request.url.path.startswith("/.well-known/"):
            return httpx2.Response(200, json=self.metadata)
        if self.nonce and proof_of(request).get("nonce") != self.nonce:
            at_token = request.url.path == "/token"
            headers = {"DPoP-Nonce": self.nonce, "WWW-Authenticate": 'DPoP error="use_dpop_nonce"'}
            return httpx2.Response(400 if at_token else 401, json={"error": "use_dpop_nonce"}, headers=headers)
        if request.url.path == "/token":
            return httpx2.Response(self.token_status, json=self.token)
        if not self.is_content(request):
            return httpx2.Response(401, headers={"WWW-Authenticate": self.challenge})
        return httpx2.Response(200, json={"ok": True})

    @property
    def token_requests(self) -> list[dict[str, str]]:
        asked = [request for request in self.seen if request.url.path == "/token"]
        return [dict(httpx2.QueryParams(request.content.decode())) for request in asked]

    @property
    def calls(self) -> list[httpx2.Request]:
        return [request for request in self.seen if request.url.path == "/mcp"]


def proof_of(request: httpx2.Request) -> dict[str, Any]:
    proof = request.headers.get("DPoP")
    return dict(parse_object(parse_compact(proof, max_bytes=4_096, carries_key=True).payload)) if proof else {}


def workload(**more: Any) -> WorkloadAuth:
    async def assertions(audience: str) -> str:
        return f"jwt-for-{audience}"

    return WorkloadAuth(SERVER, issuer=ISSUER, assertions=assertions, clock=lambda: NOW, **more)


async def post(servers: Servers, auth: httpx2.Auth, times: int = 1) -> httpx2.Response:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(servers), auth=auth) as http:
        for _ in range(times):
            response = await http.post(SERVER, json={})
        return response


async def test_a_workload_exchanges_its_assertion_once_for_the_scopes_of_the_challenge() -> None:
    servers = Servers()
    assert (await post(servers, workload(scope="tool:b"), times=3)).is_success
    assert servers.token_requests == [
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": f"jwt-for-{ISSUER}",
            "resource": SERVER,
            "scope": "tool:a tool:b",
        }
    ]
    assert [call.headers.get("Authorization") for call in servers.calls] == [None, *["Bearer t0"] * 3]


async def test_an_expired_workload_token_is_replaced_before_it_is_refused() -> None:
    servers, clock = Servers(), [NOW]
    auth = workload()
    auth._clock = lambda: clock[0]
    await post(servers, auth)
    clock[0] = NOW + timedelta(seconds=271)  # 30 s before its end
    await post(servers, auth)
    assert len(servers.token_requests) == 2


async def test_a_step_up_asks_for_all_scopes_and_repeats_once() -> None:
    servers = Servers()
    auth = workload()
    await post(servers, auth)
    servers.challenge = 'Bearer error="insufficient_scope", scope="tool:c"'
    before = servers.__call__

    def forbid(request: httpx2.Request) -> httpx2.Response:
        answer = before(request)
        granted = any("tool:c" in asked.get("scope", "") for asked in servers.token_requests)
        if request.url.path == "/mcp" and not granted:
            return httpx2.Response(403, headers={"WWW-Authenticate": servers.challenge})
        return answer

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(forbid), auth=auth) as http:
        assert (await http.post(SERVER, json={})).is_success
    assert servers.token_requests[-1]["scope"] == "tool:a tool:c"


async def test_a_refused_workload_tries_nothing_else() -> None:
    servers = Servers()
    servers.token_status, servers.token = 400, {"error": "invalid_grant"}
    auth = workload()
    with pytest.raises(ServerRefused, match="invalid_grant"):
        await post(servers, auth)
    with pytest.raises(NotAuthenticated):
        await post(servers, auth)
    assert len(servers.token_requests) == 1


@pytest.mark.req("OAU-04")
@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ({"issuer": f"{ISSUER}/"}, WrongIssuer),
        ({"issuer": "https://evil.example"}, WrongIssuer),
        ({"token_endpoint": "https://evil.example/token"}, WrongIssuer),
        ({"token_endpoint": None}, PeerUnavailable),
    ],
)
async def test_an_assertion_goes_to_its_issuer_alone(metadata: dict[str, Any], error: type[Exception]) -> None:
    servers = Servers(**metadata)
    with pytest.raises(error):
        await post(servers, workload())
    assert servers.token_requests == []
    assert (await post(Servers(), workload())).is_success


@pytest.mark.parametrize(
    "token", [{"access_token": "t"}, {"token_type": "Bearer"}, {"access_token": "t", "token_type": "DPoP"}]
)
async def test_an_answer_that_is_no_bearer_token_is_not_shown(token: dict[str, Any]) -> None:
    servers = Servers()
    servers.token = token
    with pytest.raises(PeerUnavailable):
        await post(servers, workload())
    assert all("Authorization" not in call.headers for call in servers.calls)


def offering(*algorithms: str) -> Servers:
    servers = Servers(dpop_signing_alg_values_supported=list(algorithms))
    servers.token["token_type"] = "DPoP"
    return servers


def bound(**more: Any) -> BoundTokens:
    return BoundTokens(workload(), (ED, EC), clock=lambda: NOW, **more)


@pytest.mark.req("TOK-10")
@pytest.mark.parametrize(("algorithm", "key"), [("EdDSA", ED), ("ES256", EC)])
async def test_a_token_is_bound_to_the_first_key_the_server_takes(algorithm: str, key: Any) -> None:
    servers = offering(algorithm)
    auth = bound()
    assert (await post(servers, auth, times=2)).is_success
    shown = [call for call in servers.calls if "Authorization" in call.headers]
    assert [call.headers["Authorization"] for call in shown] == ["DPoP t0", "DPoP t0"]
    proofs = [proof_of(call) for call in shown]
    assert len({proof["jti"] for proof in proofs}) == 2
    assert all((proof["htm"], proof["htu"]) == ("POST", SERVER) for proof in proofs)
    assert all("ath" in proof for proof in proofs)
    header = parse_compact(shown[0].headers["DPoP"], max_bytes=4_096, carries_key=True).header
    assert thumbprint(key.public) == auth._inner._token.split(":")[1]  # type: ignore[attr-defined]
    assert "d" not in header["jwk"]  # type: ignore[operator]


async def test_nonces_of_both_servers_are_followed_once_each() -> None:
    servers = offering("EdDSA")
    servers.nonce = "n1"
    assert (await post(servers, bound())).is_success
    proven = [request for request in servers.seen if "DPoP" in request.headers]
    assert [(request.url.path, proof_of(request).get("nonce")) for request in proven] == [
        ("/token", None),
        ("/token", "n1"),
        ("/mcp", None),
        ("/mcp", "n1"),
    ]


async def test_a_server_that_keeps_asking_for_nonces_is_given_up() -> None:
    servers = offering("EdDSA")

    def never(request: httpx2.Request) -> httpx2.Response:
        if request.url.path != "/token":
            return servers(request)
        servers.seen.append(request)
        headers = {"DPoP-Nonce": f"n{len(servers.seen)}"}
        return httpx2.Response(400, json={"error": "use_dpop_nonce"}, headers=headers)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(never), auth=bound()) as http:
        with pytest.raises(ServerRefused, match="use_dpop_nonce"):
            await http.post(SERVER, json={})
    assert len(servers.token_requests) == 2


@pytest.mark.req("TOK-10")
async def test_a_bearer_token_of_a_server_that_offers_dpop_is_refused() -> None:
    servers = offering("EdDSA")
    servers.token["token_type"] = "Bearer"
    with pytest.raises(NotBound):
        await post(servers, bound())


async def test_without_dpop_tokens_are_bearer_unless_binding_is_required() -> None:
    servers = Servers()
    assert (await post(servers, bound())).is_success
    assert all("DPoP" not in request.headers for request in servers.seen)
    with pytest.raises(NotBound):
        await post(Servers(), bound(required=True))
    assert (await post(offering("ES256"), bound(required=True))).is_success


async def test_a_token_of_a_key_that_is_gone_is_shown_without_proof_and_replaced() -> None:
    servers = offering("EdDSA")
    auth = bound()
    await post(servers, auth)
    auth._inner._token = "dpop:gone:t9"  # type: ignore[attr-defined]
    servers.is_content = lambda request: request.headers.get("Authorization") == "DPoP t0"
    assert (await post(servers, auth)).is_success
    stale = next(call for call in servers.calls if call.headers.get("Authorization") == "DPoP t9")
    assert "DPoP" not in stale.headers


async def visit(url: str) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False) as browser:
        return await browser.get(url)


@pytest.mark.req("OAU-04")
async def test_the_loopback_answers_once_and_shows_no_strangers_words() -> None:
    async with LoopbackRedirect(open_page=lambda _url: None, patience=5) as redirect:
        await redirect.open("https://as.example/authorize")
        page = await visit(f"{redirect.uri}?code=c1&state=s&iss=https%3A%2F%2Fas.example")
        assert page.headers["content-security-policy"] == "default-src 'none'"
        assert await redirect.answer() == {"code": "c1", "state": "s", "iss": "https://as.example"}
        await visit(f"{redirect.uri}?error=access_denied&error_description=pay+here")
        with pytest.raises(ConsentDenied) as refused:
            await redirect.answer()
        assert "pay" not in str(refused.value)
        assert (await visit(redirect.uri.replace("/callback", "/favicon.ico"))).status_code == 404


async def test_the_loopback_takes_nothing_said_twice_and_does_not_wait_for_ever() -> None:
    async with LoopbackRedirect(open_page=lambda _url: None, patience=0.05) as redirect:
        with pytest.raises(PeerUnavailable):
            await redirect.answer()
        await visit(f"{redirect.uri}?code=a&code=b&state=s")
        with pytest.raises(ConsentDenied):
            await redirect.answer()
