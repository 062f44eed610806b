"""Which operation a Streamable HTTP request asks for, read from its body and held against its headers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from did_agent.adapters.tracing import TRACEPARENT, TRACESTATE, Trace, parse_trace
from did_agent.encoding.strict_json import MAX_BODY, parse_json
from did_agent.errors import InvalidParameter
from did_agent.tokens.tool_receipt import MEMBER as RECEIPT_MEMBER
from verifier.methods import is_method

FIRST_VERSION_WITH_HEADERS: Final = "2026-07-28"  # from here on Mcp-Method and Mcp-Name must agree with the body
# What an admitted caller may ask without a capability; everything else needs one, and only tools have any.
OPEN_METHODS: Final = frozenset(
    {
        "initialize",
        "server/discover",
        "ping",
        "tools/list",
        "resources/list",
        "prompts/list",
        "resources/templates/list",
    }
)
MAX_TOOL_NAME: Final = 128  # characters; no capability can name a longer one, and every name goes into the record
TOOLS_CALL: Final = "tools/call"
RECEIPT_HEADER: Final = "did-agent-receipt"  # asks for a receipt, as `_meta` does
PARAMETER: Final = "mcp-param-"  # headers that copy an argument; which one, only the tool's schema says
LISTENING: Final = frozenset({"subscriptions/listen"})  # answered by a stream that stays open
_UTF_8: Final = frozenset({"", "charset=utf-8", 'charset="utf-8"'})  # parameters of a media type that change nothing
_BASE64_PREFIX: Final = "=?base64?"
_NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


class HeaderMismatch(InvalidParameter):
    """Header and body name different operations: JSON-RPC error -32020."""

    code = "header_mismatch"
    public = "The Mcp headers do not agree with the body."
    id: str | int | float | None = None  # of the request


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One JSON-RPC message as far as the guard must understand it."""

    id: str | int | float | None  # None for notifications and responses
    method: str | None  # None for a response to a request of the server
    tool: str | None = None  # what a capability must name: a tool, or a method that is no tool call as itself
    arguments: Mapping[str, object] = field(default_factory=dict)
    wants_receipt: bool = False
    trace: Trace | None = None  # that the message belongs to

    @property
    def is_tool_call(self) -> bool:
        """Whether it calls a tool, and not a method judged like one."""
        return self.method == TOOLS_CALL

    @property
    def is_open(self) -> bool:
        """Whether every admitted caller may ask for it."""
        return self.method is None or self.method in OPEN_METHODS or self.method.startswith("notifications/")


def has_headers(headers: Mapping[str, str]) -> bool:
    """Tell whether a request is is of a wire that repeats method and name in headers."""
    return headers.get("mcp-protocol-version", "") >= FIRST_VERSION_WITH_HEADERS


def parse_operation(body: bytes, headers: Mapping[str, str]) -> Operation:
    """Return the operation of a POST.

    Batches, which an older wire had, are refused: one request, one decision.  A method that is not open to everybody
    is judged like a tool of its own name, with its parameters as arguments: a capability may name `resources/read`
    and bound its `uri`.
    Raises: Malformed, HeaderMismatch.
    """
    _require_one_reading(headers)
    message = parse_json(body, max_bytes=MAX_BODY)
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise InvalidParameter("the body is not one JSON-RPC 2.0 message")
    method, parameters = message.get("method"), message.get("params", {})
    identifier = message.get("id")
    if isinstance(identifier, bool) or not isinstance(identifier, str | int | float | None):
        raise InvalidParameter("id is not a string or number")
    if method is None:
        return Operation(id=None, method=None)
    if not isinstance(method, str) or not isinstance(parameters, dict):
        raise InvalidParameter("method is not a string or params not an object")
    trace = _trace(parameters.get("_meta"))
    try:
        _require_agreement(method, parameters, headers)
        if method == TOOLS_CALL:
            return replace(_tool_call(identifier, parameters, headers), trace=trace)
    except HeaderMismatch as mismatch:
        mismatch.id = identifier
        raise
    operation = Operation(id=identifier, method=method, trace=trace)
    if operation.is_open or not is_method(method) or len(method) > MAX_TOOL_NAME:
        return operation
    arguments = {name: value for name, value in parameters.items() if name != "_meta"}
    return replace(operation, tool=method, arguments=arguments)


def _tool_call(
    identifier: str | float | None, parameters: Mapping[str, object], headers: Mapping[str, str]
) -> Operation:
    tool, arguments = parameters.get("name"), parameters.get("arguments")
    if not isinstance(tool, str) or len(tool) > MAX_TOOL_NAME or not isinstance(arguments, dict | None):
        raise InvalidParameter("tools/call needs a name and an object of arguments")
    if is_method(tool):
        raise InvalidParameter("a tool has the name of a method")  # or a right to the one would be one to the other
    copied = [_decoded(value) for name, value in headers.items() if name.startswith(PARAMETER)]
    if copied and not set(copied) <= set(_scalars(arguments)):
        raise HeaderMismatch("an Mcp-Param header says what no argument says")
    meta = parameters.get("_meta")
    wants = headers.get(RECEIPT_HEADER) == "1" or (isinstance(meta, dict) and meta.get(RECEIPT_MEMBER) is True)
    return Operation(id=identifier, method=TOOLS_CALL, tool=tool, arguments=arguments or {}, wants_receipt=wants)


def _trace(meta: object) -> Trace | None:
    """Return the trace that the `_meta` of a message names (SEP-414)."""
    return parse_trace(meta.get(TRACEPARENT), meta.get(TRACESTATE)) if isinstance(meta, dict) else None


def _scalars(value: object) -> Iterator[str]:
    """Return every string, integer and boolean inside arguments as a header would write it."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _scalars(item)
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, str | int):
        yield str(value)


def _require_one_reading(headers: Mapping[str, str]) -> None:
    # A server that reads UTF-7 when it is told to, or unpacks first, would see another call than the one judged.
    _, _, parameters = headers.get("content-type", "").lower().partition(";")
    if parameters.strip() not in _UTF_8:
        raise InvalidParameter("the body is said to be in another encoding than UTF-8")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise InvalidParameter("the body is said to be packed")


def _require_agreement(method: str, parameters: Mapping[str, object], headers: Mapping[str, str]) -> None:
    required = has_headers(headers)
    shown_method, shown_name = headers.get("mcp-method"), headers.get("mcp-name")
    if shown_method != method and (required or shown_method is not None):
        raise HeaderMismatch("Mcp-Method differs from the body")
    member = _NAMED.get(method)
    name = None if member is None else parameters.get(member)
    if member is None:
        return
    if shown_name is None and not required:
        return
    if shown_name is None or _decoded(shown_name) != name:
        raise HeaderMismatch("Mcp-Name differs from the body")


def _decoded(value: str) -> str:
    if not (value.startswith(_BASE64_PREFIX) and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[len(_BASE64_PREFIX) : -2], validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise HeaderMismatch("Mcp-Name is not base64") from error
