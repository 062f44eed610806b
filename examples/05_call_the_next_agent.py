"""One agent has the next one do a part of its work: a narrower credential, and the token exchanged for the next hop.

It needs `did-agent up` and two agents, of which the first alone holds a credential:

did-agent agent create planner --sponsor Operations
did-agent agent create storekeeper --sponsor Operations
did-agent cred issue planner --resource http://127.0.0.1:8405/mcp --tool create_order --tool update_stock
"""

import asyncio

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from did_agent import Agent
from did_agent.proof.jwt import unverified_jws

BRIDGE, SERVER = "http://127.0.0.1:8400", "http://127.0.0.1:8405/mcp"


async def main() -> None:
    planner, keeper = Agent.load("planner"), Agent.load("storekeeper")

    # The planner signs over one tool for five minutes; its own token says for whom all of this happens.
    # Here that is itself. With a token for a person (04) the person stays the subject.
    keeper.add_credential(planner.delegate(keeper.did, resource=SERVER, tools={"update_stock": {}}, valid_seconds=300))
    handed_on = await planner.token(BRIDGE, SERVER)

    # The storekeeper proves itself and exchanges the planner's token for its own. It never uses the other one.
    token = await keeper.token(BRIDGE, SERVER, subject_token=handed_on)
    _, claims = unverified_jws(token)
    print("for the planner:", claims["sub"] == planner.did)
    print("acting is the storekeeper:", claims["act"]["sub"] == keeper.did)
    print("may:", claims["scope"])

    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http,
        Client(streamable_http_client(SERVER, http_client=http)) as server,
    ):
        done = await server.call_tool("update_stock", {"item": "falafel", "quantity": 12})
        print("update_stock:", "refused" if done.is_error else "done")
        more = await server.call_tool("create_order", {"item": "falafel", "quantity": 1})
        print("create_order:", more.content[0].text if more.is_error else "done")


asyncio.run(main())
