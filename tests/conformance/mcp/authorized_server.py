"""MCP servers that believe other authorization servers, each built another way, and a client that speaks plain HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from mcp.server.mcpserver import MCPServer

from did_agent.clock import numeric_date
from did_agent.keys.jwk import public_jwk, thumbprint
from did_agent.tokens.dpop import make_proof
from tests.fakes.foreign_issuer import AuthorizationServer, signing_key, wall_clock
from tests.fakes.serving_thread import Listener, served
from verifier.mcp import protect
from verifier.proxy.forward import Forward

PROOF_KEY, STRANGER = signing_key("P-256", "proof"), signing_key("P-256", "stranger")
BOUND_ISSUER = "https://dpop-issuer.example.com"  # never reached: its key was handed over
WIRE = "2026-07-28"
# For each operation the two scopes that it needs together.
OPERATIONS: dict[str, tuple[str, dict[str, Any], str, tuple[str, str]]] = {
    "tool": ("tools/call", {"name": "test_simple_text"}, "test_simple_text", ("c:tools:call", "c:tools:simple")),
    "static resource": (
        "resources/read",
        {"uri": "test://static-text"},
        "test://static-text",
        ("c:resources:read", "c:resources:static"),
    ),
    "template resource": (
        "resources/read",
        {"uri": "test://template/123/data"},
        "test://template/123/data",
        ("c:resources:read", "c:resources:template:123"),
    ),
    "prompt": (
        "prompts/get",
        {"name": "test_simple_prompt"},
        "test_simple_prompt",
        ("c:prompts:get", "c:prompts:simple"),
    ),
}


def inner() -> Any:
    """Return an MCP server that knows nothing of authorization."""
    server = MCPServer("Conformance", log_level="ERROR")
    server.add_tool(lambda: "a simple text", name="test_simple_text", description="Return a text")

    def data(id: str) -> str:
        return f"data of {id}"

    server.resource("test://static-text", name="static")(lambda: "static")
    server.resource("test://template/{id}/data", name="data")(data)
    server.prompt(name="test_simple_prompt")(lambda: "a prompt")
    return server.streamable_http_app(stateless_http=True)


def fastmcp_server(auth: Any) -> Any:
    """Return the same server built with FastMCP."""
    from fastmcp import FastMCP

    server = FastMCP("Conformance", auth=auth)

    def test_simple_text() -> str:
        return "a simple text"

    def test_simple_prompt() -> str:
        return "a prompt"

    def data(id: str) -> str:
        return f"data of {id}"

    server.tool(test_simple_text)
    server.resource("test://static-text", name="static")(lambda: "static")
    server.resource("test://template/{id}/data", name="data")(data)
    server.prompt(test_simple_prompt)
    return server.http_app(stateless_http=True)


def exactly(name: str, value: str) -> dict[str, Any]:
    return {name: {"constraint_type": "exact", "value": value}}


SCOPES: dict[str, Any] = {
    "c:tools:call c:tools:simple": ["test_simple_text"],
    "c:resources:read c:resources:static": {"resources/read": exactly("uri", "test://static-text")},
    "c:resources:read c:resources:template:123": {"resources/read": exactly("uri", "test://template/123/data")},
    "c:prompts:get c:prompts:simple": {"prompts/get": {}},
}


@dataclass
class Deployment:
    """One protected server, and the authorization servers it believes."""

    url: str  # the resource
    signing: AuthorizationServer  # RS256, found through its metadata
    opaque: AuthorizationServer  # asked about its tokens
    bound: AuthorizationServer  # ES256, its key written down

    def ask(
        self,
        method: str = "server/discover",
        params: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        headers: list[tuple[str, str]] | None = None,
        token: str | None = None,
        scheme: str = "Bearer",
    ) -> httpx2.Response:
        """Send one request on the wire of 2026-07-28."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": WIRE,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "conformance", "version": "1"},
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**(params or {}), "_meta": meta}}
        sent = [
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", WIRE),
            ("Mcp-Method", method),
            *(() if name is None else (("Mcp-Name", name),)),
            *(() if token is None else (("Authorization", f"{scheme} {token}"),)),
            *(headers or ()),
        ]
        return httpx2.post(self.url, content=json.dumps(body).encode(), headers=sent, trust_env=False, timeout=20)

    def audience_token(self, **changes: Any) -> str:
        """Return an RS256 token for this server."""
        return self.signing.token(**{"aud": self.url, **changes})

    def bound_token(self, **changes: Any) -> str:
        """Return a token bound to the key of the proofs; it names neither key, client nor number."""
        now = numeric_date(wall_clock())
        bound = {"aud": self.url, "cnf": {"jkt": thumbprint(PROOF_KEY.public)}, "exp": now + 3_600}
        return self.bound.token(kid=None, **{**bound, "client_id": None, "jti": None, **changes})

    def proof(self, token: str | None, **changes: Any) -> str:
        """Return a good proof for one request that shows `token`."""
        values: dict[str, Any] = {"method": "POST", "url": self.url, "now": wall_clock(), "access_token": token}
        return make_proof(changes.pop("key", PROOF_KEY), **{**values, **changes})


Place = tuple[Any, Listener]
Build = Callable[[Listener, str, dict[str, Any]], list[Place]]


def by_protect(place: Listener, resource: str, options: dict[str, Any]) -> list[Place]:
    """Return an app of the MCP SDK behind `protect`."""
    return [(protect(inner(), resource=resource, **options), place)]


def by_proxy(place: Listener, resource: str, options: dict[str, Any]) -> list[Place]:
    """Return an app of the MCP SDK at a place of its own, and the reverse proxy that guards it."""
    behind = Listener()
    forward = Forward(behind.url + "/mcp", path="/mcp")
    return [(protect(forward, resource=resource, **options), place), (inner(), behind)]


def by_fastmcp(place: Listener, resource: str, options: dict[str, Any]) -> list[Place]:
    """Return an app of FastMCP with the guard as its auth provider."""
    from verifier.frameworks.fastmcp import DidAgentAuth

    return [(fastmcp_server(DidAgentAuth(resource=resource, **options)), place)]


SERVERS: dict[str, Build] = {"MCP SDK": by_protect, "FastMCP": by_fastmcp, "reverse proxy": by_proxy}


@contextmanager
def deployed(build: Build, data: Path, **options: Any) -> Iterator[Deployment]:
    """Serve a protected server and its authorization servers over HTTP."""
    place, first, second = Listener(), Listener(), Listener()
    signing = AuthorizationServer(issuer=first.url, clock=wall_clock, keys={"one": signing_key("RSA")})
    opaque = AuthorizationServer(issuer=second.url, clock=wall_clock, keys={})
    bound = AuthorizationServer(issuer=BOUND_ISSUER, clock=wall_clock, keys={"it": signing_key("P-256", "issuer")})
    scopes = {**SCOPES, " ".join(sorted({one for key in SCOPES for one in key.split()})): ["all_of_them"]}
    issuers: list[dict[str, Any]] = [
        {"issuer": signing.issuer, "subject": "user", "scopes": scopes},
        {
            "issuer": opaque.issuer,
            "subject": "user",
            "scopes": scopes,
            "introspection": {"endpoint": f"{opaque.issuer}/introspect"},
        },
        {
            "issuer": BOUND_ISSUER,
            "subject": "service",
            "scopes": scopes,
            "jwks": {"keys": [public_jwk(bound.keys["it"].public)]},
        },
    ]
    url = place.url + "/mcp"
    built = build(place, url, {"issuers": issuers, "data": data, **options})
    with served([*built, (signing, first), (opaque, second)]):
        yield Deployment(url=url, signing=signing, opaque=opaque, bound=bound)


def challenges(response: httpx2.Response) -> dict[str, dict[str, str]]:
    """Return the members of each challenge, by its scheme."""
    found = {}
    for line in response.headers.get_list("www-authenticate"):
        scheme, _, members = line.partition(" ")
        found[scheme] = dict(re.findall(r'([a-z_]+)="([^"]*)"', members))
    return found


def result_of(response: httpx2.Response) -> dict[str, Any]:
    """Return the result in an answer, as JSON or in an event."""
    text = response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        text = next(line[5:] for line in text.splitlines() if line.startswith("data:"))
    members = json.loads(text)
    assert "error" not in members, members
    return dict(members["result"])
