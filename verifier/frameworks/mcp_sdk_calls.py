"""Guards inside a server of the MCP SDK: every request is judged where the SDK lets us, below its HTTP.

For servers that `protect` cannot stand before.  How the caller is known, HTTP or the environment, is given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension
from mcp_types import CallToolRequestParams, CallToolResult, TextContent

from did_agent.errors import DidAgentError, InvalidParameter, PeerUnavailable
from did_agent.policy.decide import Decision
from verifier.identifiers import fresh_uuid
from verifier.mcp.answers import DECISION_MEMBER, METHOD_NOT_FOUND, NOT_ALLOWED
from verifier.mcp.caller import enter, leave
from verifier.mcp.operation import OPEN_METHODS, TOOLS_CALL
from verifier.methods import is_method
from verifier.model import Admission
from verifier.parts import GuardParts

MAX_PAGES: Final = 100  # of a list of tools
_INTERNAL: Final = -32603

Admitted = Callable[[], Awaitable[Admission]]  # who makes the request at hand; raises DidAgentError
Context = ServerRequestContext[Any, Any]


class ToolGuard(Extension):
    """Decides and records each `tools/call` before the tool runs."""

    identifier = "org.did-agent/guard"

    def __init__(self, parts: GuardParts, admitted: Admitted) -> None:
        self._parts, self._admitted = parts, admitted

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: Context, call_next: CallNext
    ) -> HandlerResult:
        """Run the tool, or say in a result the model can read why not."""
        request_id = fresh_uuid()
        try:
            if is_method(params.name):
                raise InvalidParameter("a tool has the name of a method")
            admission = await self._admitted()
            decision = await self._parts.verifier.decide(
                admission, tool=params.name, arguments=params.arguments or {}, request_id=request_id
            )
        except DidAgentError as error:
            raise MCPError(_INTERNAL, error.public, {"code": error.code, "request_id": request_id}) from error
        if not decision.allowed:
            return _refused(decision)
        entered = enter(admission.caller, decision)
        try:
            result = await call_next(ctx)
        finally:
            leave(entered)
        if self._parts.refunds_failures and getattr(result, "is_error", False):
            await self._parts.verifier.undo(request_id)
        return result


class Screen:
    """Middleware of the SDK: judges every method that is no tool call, and shows each caller its own list of tools."""

    def __init__(self, parts: GuardParts, admitted: Admitted) -> None:
        self._parts, self._admitted = parts, admitted

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Pass a request on, if its caller may make it."""
        if ctx.method == TOOLS_CALL:
            await self._know_tools(ctx, call_next)
        elif ctx.request_id is not None and ctx.method not in OPEN_METHODS:
            await self._judge(ctx)
        result = await call_next(ctx)
        return await self._filtered(result) if ctx.method == "tools/list" else result

    async def _judge(self, ctx: Context) -> None:
        request_id = fresh_uuid()
        try:
            admission = await self._admitted()
            if not is_method(ctx.method):
                await self._parts.verifier.record(
                    admission,
                    action="mcp.method",
                    allowed=False,
                    reason="method_not_allowed",
                    explanation=f"no capability speaks of {ctx.method[:100]}",
                    request_id=request_id,
                )
                raise MCPError(METHOD_NOT_FOUND, f"There is no {ctx.method[:100]} here")
            arguments = {name: value for name, value in (ctx.params or {}).items() if name != "_meta"}
            decision = await self._parts.verifier.decide(
                admission, tool=ctx.method, arguments=arguments, request_id=request_id
            )
        except DidAgentError as error:
            raise MCPError(_INTERNAL, error.public, {"code": error.code, "request_id": request_id}) from error
        if not decision.allowed:
            raise MCPError(NOT_ALLOWED, f"Refused: {decision.explanation}.")

    async def _filtered(self, result: HandlerResult) -> HandlerResult:
        if not isinstance(result, dict) or not isinstance(result.get("tools"), list):
            return result
        try:
            visible = self._parts.verifier.visible_tools(await self._admitted())
        except DidAgentError as error:
            raise MCPError(_INTERNAL, error.public, {"code": error.code}) from error
        pinned = self._parts.pinned
        tools = [tool for tool in result["tools"] if tool.get("name") in visible]
        shown = {"tools": [tool for tool in tools if pinned is None or pinned.shows(tool)]}
        # On the wires that have it: a shared cache must not show one caller's list to another.
        scope = {"cacheScope": "private"} if "cacheScope" in result else {}
        return {**result, **shown, **scope}

    async def _know_tools(self, ctx: Context, call_next: CallNext) -> None:
        pinned = self._parts.pinned
        if pinned is not None:
            name = str((ctx.params or {}).get("name"))
            await pinned.ensure_known(name, partial(_definitions, ctx, call_next), self._parts.verifier.clock())


async def _definitions(ctx: Context, call_next: CallNext) -> Sequence[Mapping[str, Any]]:
    """Return all tools of the server, asked from inside."""
    meta = {} if ctx.params is None or "_meta" not in ctx.params else {"_meta": ctx.params["_meta"]}
    tools: list[Mapping[str, Any]] = []
    cursor: dict[str, Any] = {}
    for _ in range(MAX_PAGES):
        page = await call_next(replace(ctx, method="tools/list", params={**meta, **cursor}))
        if not isinstance(page, dict):
            raise PeerUnavailable("the server's list of tools cannot be read")
        tools += page.get("tools", [])
        if page.get("nextCursor") is None:
            return tools
        cursor = {"cursor": page["nextCursor"]}
    raise PeerUnavailable("the server's list of tools has no end")


def _refused(decision: Decision) -> CallToolResult:
    return CallToolResult(
        is_error=True,
        content=[TextContent(type="text", text=f"Refused: {decision.explanation}.")],
        _meta={DECISION_MEMBER: {"decision": "deny", "reason": decision.reason}},
    )
