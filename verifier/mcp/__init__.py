"""Guards an MCP server over Streamable HTTP: `protect` it, and ask for the `current_caller` inside a tool."""

from verifier.mcp.caller import current_caller, current_decision
from verifier.mcp.guard import protect

__all__ = ["current_caller", "current_decision", "protect"]
