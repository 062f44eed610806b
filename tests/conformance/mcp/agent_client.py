"""Our agent as the MCP client under test: the conformance tool starts it once per scenario.

The server's URL is the last argument; `MCP_CONFORMANCE_SCENARIO` names the scenario and `MCP_CONFORMANCE_CONTEXT` holds
what the client was given beforehand.  Only the public API of `did_agent.client.mcp_oauth` and the MCP SDK are used.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth.extensions.client_credentials import SignedJWTParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull
from mcp_types import ElicitResult, Tool
from pydantic import AnyUrl

from did_agent.client.mcp_oauth import (
    EnterpriseIdentity,
    MemoryStorage,
    enterprise_auth,
    key_auth,
    person_auth,
    secret_auth,
    workload_auth,
)
from did_agent.encoding.strict_json import parse_object
from did_agent.proof.jose import parse_compact

REDIRECT = "http://127.0.0.1:3000/callback"
LATEST = "2026-07-28"
METADATA_URL = "https://conformance-test.local/client-metadata.json"


class Person:
    """Opens the page and consents, as the test's authorization server takes it."""

    def __init__(self) -> None:
        self._answer: dict[str, str] = {}

    async def open(self, url: str) -> None:
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as browser:
            response = await browser.get(url)
        query = parse_qs(urlsplit(response.headers["location"]).query)
        self._answer = {name: values[0] for name, values in query.items()}

    async def answer(self) -> dict[str, str]:
        return self._answer


def assertion_audience(jwt: str) -> str:
    """Whom the platform addressed its JWT to: the one server it may be sent to."""
    return str(parse_object(parse_compact(jwt, max_bytes=8_192, names_did=False).payload)["aud"])


def registered(context: dict[str, Any]) -> OAuthClientInformationFull | None:
    """The registration a scenario begins with."""
    if "client_id" not in context:
        return None
    return OAuthClientInformationFull(
        client_id=context["client_id"],
        client_secret=context.get("client_secret"),
        redirect_uris=[AnyUrl(REDIRECT)],
        token_endpoint_auth_method="client_secret_basic" if context.get("client_secret") else "none",
        issuer=context.get("issuer"),
    )


async def issuer_of(url: str) -> str:
    """What an operator would write into the configuration: the server's one authorization server."""
    parts = urlsplit(url)
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}")
    return str(answer.json()["authorization_servers"][0])


async def auth_for(scenario: str, url: str, context: dict[str, Any]) -> httpx2.Auth:
    """Return the authentication an agent of this kind has."""

    async def given(value: str) -> str:
        return value

    name = scenario.removeprefix("auth/")
    if name == "client-credentials-jwt":
        key = SignedJWTParameters(
            issuer=context["client_id"],
            subject=context["client_id"],
            signing_key=context["private_key_pem"],
            signing_algorithm=context.get("signing_algorithm", "ES256"),
        )
        assertions = key.create_assertion_provider()
        return key_auth(url, issuer=await issuer_of(url), client_id=context["client_id"], assertions=assertions)
    if name == "client-credentials-basic":
        secret = {"client_id": context["client_id"], "client_secret": context["client_secret"]}
        return secret_auth(url, issuer=await issuer_of(url), **secret)
    if name == "enterprise-managed-authorization":
        identity = EnterpriseIdentity(
            token_endpoint=context["idp_token_endpoint"],
            client_id=context["idp_client_id"],
            subject_token=lambda: given(context["idp_id_token"]),
        )
        secret = {"client_id": context["client_id"], "client_secret": context["client_secret"]}
        return enterprise_auth(url, issuer=await issuer_of(url), identity=identity, **secret)
    if name == "wif-jwt-bearer":
        jwt = context["valid_jwt"]
        return workload_auth(url, issuer=assertion_audience(jwt), assertions=lambda _audience: given(jwt))
    person = Person()
    return person_auth(
        url,
        redirect_uri=REDIRECT,
        open_page=person.open,
        answer=person.answer,
        client_metadata_url=METADATA_URL,
        storage=MemoryStorage(registered(context)),
    )


async def agree(_context: Any, _question: Any) -> ElicitResult:
    """Answer what a server asks of the person in between."""
    return ElicitResult(action="accept", content={"confirmed": True, "name": "Jo"})


def arguments_for(tool: Tool, tools: list[Tool]) -> dict[str, Any]:
    """Return arguments of the types a tool wants; an object is the richest schema we were shown."""
    richest = max((one.input_schema for one in tools), key=lambda schema: len(json.dumps(schema)))
    samples = {"number": 5, "integer": 5, "string": "text", "boolean": True, "object": richest}
    properties = tool.input_schema.get("properties", {})
    return {name: samples[shape["type"]] for name, shape in properties.items() if shape.get("type") in samples}


async def main() -> None:
    url = sys.argv[-1]
    scenario = os.environ["MCP_CONFORMANCE_SCENARIO"]
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    # The newest wire is negotiated; before it a client shook hands.
    newest = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", LATEST) >= LATEST
    auth = await auth_for(scenario, url, context)
    async with (
        httpx2.AsyncClient(auth=auth, trust_env=False, timeout=30) as http,
        Client(
            streamable_http_client(url, http_client=http),
            mode="auto" if newest else "legacy",
            elicitation_callback=agree,
        ) as server,
    ):
        tools = (await server.list_tools()).tools
        wanted = [(call["name"], call["arguments"]) for call in context.get("toolCalls", ())]
        for name, arguments in wanted or [(tool.name, arguments_for(tool, tools)) for tool in tools]:
            await server.call_tool(name, arguments)


if __name__ == "__main__":
    asyncio.run(main())
