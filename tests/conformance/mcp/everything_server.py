"""An MCP server with every tool, resource and prompt that the conformance tool asks a server for; it knows no guard."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Annotated, Any, Final

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp_types import (
    AudioContent,
    Completion,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    JSONRPCMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import Field

from tests.conformance.mcp.asking_tools import add_asking_tools

POINT: Final = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f00050001"
        "ff5c3bbc9d0000000049454e44ae426082"
    )
).decode()
SILENCE: Final = base64.b64encode(
    b"RIFF\x26\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00"
    b"data\x02\x00\x00\x00\x00\x00"
).decode()
STEP: Final = 0.05  # s between the notifications of one call
RETRY: Final = 100  # ms after which a client whose stream was closed comes back
SCHEMA: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


class Events(EventStore):
    """What was sent on streams, for clients that come back."""

    def __init__(self) -> None:
        self._sent: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        self._sent.append((stream_id, message))
        return str(len(self._sent))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        last = int(last_event_id) if last_event_id.isdecimal() else 0
        if not 0 < last <= len(self._sent):
            return None
        wanted = self._sent[last - 1][0]
        for number, (stream, message) in enumerate(self._sent[last:], last + 1):
            if stream == wanted and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return wanted


def image() -> ImageContent:
    return ImageContent(type="image", data=POINT, mime_type="image/png")


def embedded(uri: str, text: str, *, kind: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=kind, text=text))


def text(words: str) -> TextContent:
    return TextContent(type="text", text=words)


async def told(ctx: Context, words: str) -> None:
    await ctx.session.send_log_message(level="info", data=words, related_request_id=ctx.request_id)


async def with_logging(ctx: Context) -> str:
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await told(ctx, words)
        await asyncio.sleep(STEP)
    return "Logged three times."


async def with_progress(ctx: Context) -> str:
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100)
        await asyncio.sleep(STEP)
    return "Progressed to the end."


async def reconnection(ctx: Context) -> str:
    await told(ctx, "Before the stream is closed")
    await ctx.close_sse_stream()
    await asyncio.sleep(2 * STEP)
    await told(ctx, "After the stream was closed")
    return "The client came back."


def error_handling() -> str:
    raise ToolError("This tool intentionally returns an error for testing")


async def trigger_tool_change(ctx: Context) -> str:
    await ctx.notify_tools_changed()
    return "The tools changed."


async def trigger_prompt_change(ctx: Context) -> str:
    await ctx.notify_prompts_changed()
    return "The prompts changed."


def with_header(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    return f"In {region}."


TOOLS: Final[dict[str, Callable[..., Any]]] = {
    "test_simple_text": lambda: "This is a simple text response for testing.",
    "test_image_content": lambda: [image()],
    "test_audio_content": lambda: [AudioContent(type="audio", data=SILENCE, mime_type="audio/wav")],
    "test_embedded_resource": lambda: [embedded("test://embedded-resource", "This is an embedded resource content.")],
    "test_multiple_content_types": lambda: [
        text("Multiple content types test:"),
        image(),
        embedded("test://mixed-content-resource", '{"test":"data","value":123}', kind="application/json"),
    ],
    "test_tool_with_logging": with_logging,
    "test_logging_tool": with_logging,
    "test_tool_with_progress": with_progress,
    "test_error_handling": error_handling,
    "test_reconnection": reconnection,
    "test_trigger_tool_change": trigger_tool_change,
    "test_trigger_prompt_change": trigger_prompt_change,
    "test_with_header": with_header,
    "json_schema_2020_12_tool": lambda: "Read.",
}


def _add_resources(server: MCPServer) -> None:
    def data(id: str) -> str:
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    def add(uri: str, kind: str, read: Callable[..., str | bytes]) -> None:
        name = uri.split("//")[1].split("/", maxsplit=1)[0]
        server.resource(uri, name=name, description=f"Test {name}", mime_type=kind)(read)

    add("test://static-text", "text/plain", lambda: "This is the content of the static text resource.")
    add("test://static-binary", "image/png", lambda: base64.b64decode(POINT))
    add("test://watched-resource", "text/plain", lambda: "What somebody watches.")
    add("test://template/{id}/data", "application/json", data)


def _add_prompts(server: MCPServer) -> None:
    def with_arguments(arg1: str, arg2: str) -> str:
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    def with_resource(resourceUri: str) -> list[Any]:
        return [embedded(resourceUri, "Embedded resource content for testing."), text("Please process it.")]

    prompts: dict[str, Callable[..., Any]] = {
        "test_simple_prompt": lambda: "This is a simple prompt for testing.",
        "test_prompt_with_arguments": with_arguments,
        "test_prompt_with_embedded_resource": with_resource,
        "test_prompt_with_image": lambda: [image(), text("Please analyze the image above.")],
    }
    for name, prompt in prompts.items():
        server.prompt(name=name, description=f"Test {name}")(prompt)


def _add_older_methods(server: MCPServer) -> None:
    async def nothing(_ctx: Any, _params: Any) -> EmptyResult:
        return EmptyResult()

    at = server._lowlevel_server  # the SDK offers these methods, which the newest wire lacks, there alone
    at.add_request_handler("logging/setLevel", SetLevelRequestParams, nothing)
    at.add_request_handler("resources/subscribe", SubscribeRequestParams, nothing)
    at.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, nothing)


def tool_names() -> list[str]:
    """Return the names of all its tools."""
    return [tool.name for tool in _server()._tool_manager.list_tools()]


def _server() -> MCPServer:
    server = MCPServer("Everything", log_level="CRITICAL")
    for name, tool in TOOLS.items():
        server.add_tool(tool, name=name, description=f"Test {name}", structured_output=False)
    server._tool_manager._tools["json_schema_2020_12_tool"].parameters = dict(SCHEMA)
    add_asking_tools(server)
    _add_resources(server)
    _add_prompts(server)
    _add_older_methods(server)

    async def complete(_ref: Any, _argument: Any, _context: Any) -> Completion:
        return Completion(values=["test"], total=1, has_more=False)

    server.completion()(complete)
    return server


def everything() -> Any:
    """Return the ASGI app."""
    return _server().streamable_http_app(event_store=Events(), retry_interval=RETRY)
