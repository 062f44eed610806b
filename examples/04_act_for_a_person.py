"""An agent acts for a person who consents in a browser: authorization code with `requested_actor`, proven by a VP.

It needs `did-agent up`, the agent, and somebody to act for (`user add` asks for a password):

did-agent user add jo --name "Jo Smith" --allow http://127.0.0.1:8405/mcp=list_menu
did-agent agent create assistant --sponsor Jo --redirect-uri http://127.0.0.1/callback
did-agent cred issue assistant --resource http://127.0.0.1:8405/mcp --tool list_menu --tool create_order
"""

import asyncio
import hashlib
import secrets
from urllib.parse import urlencode

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from did_agent import Agent
from did_agent.client.mcp_oauth import LoopbackRedirect
from did_agent.encoding import base64url
from did_agent.proof.jwt import unverified_jws

BRIDGE, SERVER = "http://127.0.0.1:8400", "http://127.0.0.1:8405/mcp"


async def main() -> None:
    agent = Agent.load("assistant")
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    async with LoopbackRedirect() as redirect:
        question = {
            "response_type": "code",
            "client_id": agent.did,
            "requested_actor": agent.did,  # whom the person is asked about, and who must prove itself
            "redirect_uri": redirect.uri,
            "resource": SERVER,
            "state": state,
            "code_challenge": base64url.encode(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        await redirect.open(f"{BRIDGE}/authorize?{urlencode(question)}")
        answer = await redirect.answer()
    if answer.get("state") != state or answer.get("iss") != BRIDGE:
        raise SystemExit("the answer belongs to another question, or comes from another server")
    token = await agent.redeem(BRIDGE, SERVER, code=answer["code"], code_verifier=verifier, redirect_uri=redirect.uri)

    _, claims = unverified_jws(token)
    print("on behalf of:", claims["sub"], "- acting:", claims["act"]["sub"], "- may:", claims["scope"])
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http,
        Client(streamable_http_client(SERVER, http_client=http)) as server,
    ):
        print((await server.call_tool("list_menu", {})).content[0].text)


asyncio.run(main())
