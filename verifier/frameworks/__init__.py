"""The guard inside servers of other frameworks: MCP SDK, FastMCP, FastAPI, standard input and output.

Each needs its framework; `verifier.mcp.protect` needs none and stands before any ASGI app.
"""
