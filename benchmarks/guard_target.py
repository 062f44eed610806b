"""One MCP server with one tool, unguarded or guarded in one of several ways; a process of its own.

python benchmarks/guard_target.py KIND PORT RESOURCE BRIDGE DATA LEDGER
"""

from __future__ import annotations

import sys
from typing import Any, Final

import uvicorn

NAME: Final = "Tools"


def list_menu() -> dict[str, int]:
    """Read the menu."""
    return {"falafel": 650, "hummus": 480, "lemonade": 320}


def sdk() -> Any:
    """Return a server of the MCP SDK."""
    from mcp.server.mcpserver import MCPServer

    server = MCPServer(NAME, log_level="ERROR")
    server.add_tool(list_menu)
    return server.streamable_http_app(json_response=True, stateless_http=True)


def guarded(resource: str, bridge: str, data: str, ledger: str) -> Any:
    """Return the same behind our guard, its events delivered to a ledger."""
    from verifier.mcp import protect

    return protect(sdk(), resource=resource, bridge=bridge, data=data, ledger=ledger or None)


def fastmcp(auth: Any = None) -> Any:
    """Return a server of FastMCP."""
    from fastmcp import FastMCP

    server: Any = FastMCP(NAME, auth=auth)
    server.tool(list_menu)
    return server.http_app(json_response=True, stateless_http=True)


def fastmcp_verified(resource: str, bridge: str) -> Any:
    """Return the same behind FastMCP's own verifier of tokens, which knows signature, issuer, audience and scopes."""
    from fastmcp.server.auth import JWTVerifier

    return fastmcp(
        JWTVerifier(jwks_uri=f"{bridge}/.well-known/jwks.json", issuer=bridge, audience=resource, algorithm="EdDSA")
    )


def app(kind: str, resource: str, bridge: str, data: str, ledger: str) -> Any:
    """Return the server of one kind."""
    if kind == "sdk":
        return sdk()
    if kind == "sdk guarded":
        return guarded(resource, bridge, data, ledger)
    if kind == "fastmcp":
        return fastmcp()
    if kind == "fastmcp guarded":
        from verifier.mcp import protect

        return protect(fastmcp(), resource=resource, bridge=bridge, data=data, ledger=ledger or None)
    return fastmcp_verified(resource, bridge)


def main() -> None:
    """Serve until interrupted."""
    kind, port, *given = sys.argv[1:]
    resource, bridge, data, ledger = given
    uvicorn.run(
        app(kind, resource, bridge, data, ledger),
        host="127.0.0.1",
        port=int(port),
        log_level="error",
        access_log=False,
        timeout_keep_alive=300,
    )


if __name__ == "__main__":
    main()
