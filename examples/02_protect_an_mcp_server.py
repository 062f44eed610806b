"""An MCP server behind the guard; `did-agent resource add` tells the bridge about it, then serve `app` with uvicorn."""

from mcp.server.mcpserver import MCPServer

from verifier.mcp import current_caller, protect

server = MCPServer("Greeter")


@server.tool()
def greet(name: str) -> str:
    """Greet somebody."""
    caller = current_caller()
    return f"Hello {name}! {caller.agent} asked on behalf of {caller.principal.id}."


app = protect(server.streamable_http_app(), resource="http://127.0.0.1:8406/mcp", bridge="http://127.0.0.1:8400")

if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=8406)
