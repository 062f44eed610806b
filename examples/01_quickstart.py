"""An agent with its own key, a capability, and a presentation that proves both: offline, in one file."""

from datetime import timedelta
from tempfile import TemporaryDirectory

from did_agent import Agent
from did_agent.clock import system_clock
from did_agent.credential.capability import parse_bare_capability
from did_agent.credential.issuance import build_capability_credential, issue, new_id
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.model import Expected
from did_agent.presentation.verify import ask, judge

SERVER = "https://mcp.example/mcp"
now = system_clock()

# The issuer grants one tool for ten minutes.
issuer = SigningKey.generate()
with TemporaryDirectory() as folder:
    agent = Agent.create("inventory-agent", path=folder)
    granted = build_capability_credential(
        id=new_id(),
        issuer=did_key(issuer.public),
        subject=agent.did,
        valid_from=now,
        valid_until=now + timedelta(minutes=10),
        capabilities=[parse_bare_capability({"resource": [SERVER], "tools": {"update_stock": {}}})],
        max_depth=0,
    )
    agent.add_credential(issue(granted, issuer, now=now))

    # The agent shows it to the server; the server believes what was signed and nothing else.
    shown = agent.present_jwt(SERVER)
    expected = Expected(
        audience=frozenset({SERVER}),
        now=now,
        trusted=TrustedIssuers.of(did_key(issuer.public)),
        max_depth=4,
        challenge="jti",
    )
    verified = judge(ask(shown, expected), {})

print("who:", verified.holder)
print("may call update_stock:", verified.chain.covers(SERVER, "update_stock", {"item": "falafel", "quantity": 7}))
print("may call delete_order:", verified.chain.covers(SERVER, "delete_order", {"order_id": "1"}))
