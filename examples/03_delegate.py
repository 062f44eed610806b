"""One agent hands a narrower capability on to another by its own signature; anybody can check the chain offline."""

from datetime import timedelta
from tempfile import TemporaryDirectory

from did_agent import Agent
from did_agent.clock import system_clock
from did_agent.credential.capability import parse_bare_capability
from did_agent.credential.chain import verify_chain
from did_agent.credential.issuance import build_capability_credential, issue, new_id
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.errors import NotAttenuated
from did_agent.keys.ed25519 import SigningKey

SERVER = "https://mcp.example/mcp"
now = system_clock()
issuer = SigningKey.generate()

with TemporaryDirectory() as folder:
    orders = Agent.create("ordering-assistant", path=folder)
    courier = Agent.create("delivery-agent", path=folder)
    tools = {"create_order": {}, "assign_delivery": {}}
    root = build_capability_credential(
        id=new_id(),
        issuer=did_key(issuer.public),
        subject=orders.did,
        valid_from=now,
        valid_until=now + timedelta(minutes=30),
        capabilities=[parse_bare_capability({"resource": [SERVER], "tools": tools})],
        max_depth=1,
    )
    orders.add_credential(issue(root, issuer, now=now))

    courier.add_credential(orders.delegate(courier.did, resource=SERVER, tools={"assign_delivery": {}}))
    chain = verify_chain(
        courier.chain_for(SERVER),
        holder=courier.did,
        now=system_clock(),
        trusted=TrustedIssuers.of(did_key(issuer.public)),
        max_depth=4,
    )
    try:
        orders.delegate(courier.did, resource=SERVER, tools={"delete_order": {}})
        widened = "handed on"
    except NotAttenuated as error:
        widened = error.code

print("acts now:", "delivery-agent" if chain.leaf.subject == courier.did else "?")
print("for:", "ordering-assistant" if chain.principal == orders.did else "?")
print("assign_delivery:", chain.covers(SERVER, "assign_delivery", {"order_id": "1", "courier": "Ada"}))
print("create_order:", chain.covers(SERVER, "create_order", {"item": "falafel", "quantity": 1}))
print("more than it has:", widened)
