"""Tools that ask the client for something in between: by a request of their own, or by a result that is no end yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from mcp.server.mcpserver import Context, MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
)

ANSWER: Final = {
    "type": "object",
    "properties": {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    },
    "required": ["username", "email"],
}
DEFAULTS: Final = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
}
_PLAIN: Final = ["option1", "option2", "option3"]
_TITLED: Final = [
    {"const": f"value{number}", "title": f"{word} Option"}
    for number, word in enumerate(("First", "Second", "Third"), 1)
]
ENUMS: Final = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": _PLAIN},
        "titledSingle": {"type": "string", "oneOf": _TITLED},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _PLAIN}},
        "titledMulti": {"type": "array", "items": {"anyOf": _TITLED}},
    },
}


# ---- by a request of their own, as the wires before 2026-07-28 have it


async def sampling(prompt: str, ctx: Context) -> str:
    content = TextContent(type="text", text=prompt)
    message = await ctx.session.create_message(
        [SamplingMessage(role="user", content=content)], max_tokens=100, related_request_id=ctx.request_id
    )
    return f"LLM response: {message.content}"


async def elicitation(message: str, ctx: Context) -> str:
    return await asked(ctx, message, ANSWER)


async def asked(ctx: Context, message: str, schema: Mapping[str, Any]) -> str:
    answer = await ctx.session.elicit_form(message, dict(schema), related_request_id=ctx.request_id)
    return f"Elicitation completed: action={answer.action}, content={answer.content}"


async def defaults(ctx: Context) -> str:
    return await asked(ctx, "Who are you?", DEFAULTS)


async def enums(ctx: Context) -> str:
    return await asked(ctx, "What do you choose?", ENUMS)


# ---- by a result that is no end yet


def form(message: str, name: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(question: str) -> CreateMessageRequest:
    words = SamplingMessage(role="user", content=TextContent(type="text", text=question))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[words], max_tokens=100))


Questions = Mapping[str, Any]
NAME: Final = form("What is your name?", "name")
CONFIRM: Final[Questions] = {"confirm": form("Please confirm", "ok", "boolean")}
# For each tool what it asks, round by round; every second thing: whether it keeps a state meanwhile.
ROUNDS: Final[Mapping[str, tuple[tuple[Questions, ...], bool]]] = {
    "elicitation": (({"user_name": NAME},), False),
    "sampling": (({"capital_question": sample("What is the capital of France?")},), False),
    "list_roots": (({"client_roots": ListRootsRequest()},), False),
    "request_state": ((CONFIRM,), True),
    "tampered_state": ((CONFIRM,), True),
    "multiple_inputs": (
        ({"user_name": NAME, "greeting": sample("Generate a greeting"), "client_roots": ListRootsRequest()},),
        True,
    ),
    "multi_round": (({"step1": NAME}, {"step2": form("What is your favorite color?", "color")}), True),
}


def in_rounds(rounds: tuple[Questions, ...], done: str, ctx: Context, *, keeps: bool) -> InputRequiredResult | str:
    """Ask what is not answered yet; the state counts the rounds that are over."""
    number = int(ctx.request_state or 0) if keeps else 0
    if number < len(rounds) and rounds[number].keys() <= (ctx.input_responses or {}).keys():
        number += 1
    if number < len(rounds):
        return InputRequiredResult(input_requests=dict(rounds[number]), request_state=str(number) if keeps else None)
    return done


def asks_in_rounds(name: str) -> Callable[..., Any]:
    rounds, keeps = ROUNDS[name]

    async def tool(ctx: Context) -> InputRequiredResult | str:
        return in_rounds(rounds, "Thank you: state-ok.", ctx, keeps=keeps)

    return tool


async def capabilities(ctx: Context) -> InputRequiredResult | str:
    known = ctx.client_capabilities
    wanted: dict[str, Any] = {}
    if known is not None and known.elicitation is not None:
        wanted["user_name"] = NAME
    if known is not None and known.sampling is not None:
        wanted["question"] = sample("What is the capital of France?")
    return in_rounds((wanted,), "Thank you.", ctx, keeps=False) if wanted else "Nothing to ask."


async def prompt(ctx: Context) -> InputRequiredResult | str:
    return in_rounds(({"user_context": form("What context?", "context")},), "A prompt with context.", ctx, keeps=False)


async def missing_capability(ctx: Context) -> str:
    if ctx.client_capabilities is None or ctx.client_capabilities.sampling is None:
        data: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "this tool needs sampling", data)
    return "Sampled."


def add_asking_tools(server: MCPServer) -> None:
    """Give a server all of them."""
    add = partial(server.add_tool, structured_output=False)
    older: dict[str, Callable[..., Any]] = {
        "test_sampling": sampling,
        "test_elicitation": elicitation,
        "test_elicitation_sep1034_defaults": defaults,
        "test_elicitation_sep1330_enums": enums,
        "test_missing_capability": missing_capability,
        "test_streaming_elicitation": asks_in_rounds("elicitation"),
        "test_input_required_result_capabilities": capabilities,
    }
    for name in ROUNDS:
        older[f"test_input_required_result_{name}"] = asks_in_rounds(name)
    for name, tool in older.items():
        add(tool, name=name, description=f"Test {name}")
    server.prompt(name="test_input_required_result_prompt", description="A prompt that asks first")(prompt)
