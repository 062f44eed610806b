"""The honest day of an operator of the bridge with people, operators and organisations."""

from __future__ import annotations

from typing import Any

from did_agent.did.key import did_key
from did_agent.keys.ed25519 import SigningKey


def tenants(sent: Any) -> None:
    """Say who operates, whose people are, and whose agents act for whom."""
    operator = did_key(SigningKey.generate().public)
    sent("PUT", f"/operators/{operator}", body={"name": "Jo", "organisation": "acme", "role": "manager"})
    sent("GET", "/operators")
    sent("DELETE", f"/operators/{operator}", 204)
    sent("PUT", "/user-groups", body={"username": "smith", "groups": ["staff"]})
    sent("PUT", "/user-organisations", body={"username": "smith", "organisation": "home"})
    sent("PUT", "/lendings/acme/globex")
    sent("GET", "/lendings")
    sent("DELETE", "/lendings/acme/globex", 204)
