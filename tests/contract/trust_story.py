"""The part of the honest day that is about whom a deployment trusts."""

from __future__ import annotations

import time
from typing import Any, Final

from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey
from did_agent.tokens.trust_list import PATH

PARTNER: Final = did_key(SigningKey.from_seed(b"p" * 32).public)
# A deployment at an address, and not at a name, has no did:web; tests/integration/test_issuer_trust.py walks these.
ELSEWHERE: Final = {
    "GET /.well-known/did.json",
    "GET /agents/{slug}/did.json",
    "PUT /agents/{identifier}/did-web",
    "DELETE /agents/{identifier}/did-web",
}


def trust(story: Any) -> None:
    """Trust a partner, look at it from all sides, and trust it no more."""
    issuer, admin = story.issuer, story.deployment.token("issuer")
    line = {
        "issuer": PARTNER,
        "url": "https://issuer.partner.example",
        "resources": ["https://urban-bites.example/mcp"],
    }
    made = issuer.send("POST", "/trust", 201, bearer=admin, json=line).json()
    issuer.send("GET", "/trust", 200, bearer=admin)
    issuer.send("GET", f"/trust/{made['id']}", 200, bearer=admin)
    issuer.send("GET", PATH, 200)
    issuer.send("GET", f"/organisations/home{PATH}", 200)
    issuer.send("GET", "/.well-known/did-configuration.json", 200)
    issuer.send("DELETE", f"/trust/{made['id']}", 200, bearer=admin)
    issuer.send("DELETE", f"/trust/{made['id']}", 404, bearer=admin)
    deadline = time.monotonic() + 15
    while story.bridge.http.get(PATH).status_code != 200:  # until the bridge has asked the issuer
        assert time.monotonic() < deadline
        time.sleep(0.1)
    story.bridge.send("GET", PATH, 200)
