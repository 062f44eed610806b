"""Callers and calls at one resource, and policies they are decided under."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from did_agent.adapters.cedar import Cedar
from did_agent.credential.capability import parse_bare_capability, scopes_of
from did_agent.policy.active import ActivePolicy, activate
from did_agent.policy.caller import DID_NAMESPACE, Principal, VerifiedCaller
from did_agent.policy.decide import Call
from did_agent.policy.document import parse_policy

RESOURCE = "https://mcp.example/mcp"
BRIDGE = "https://bridge.example"
AGENT, OLDER = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp", "did:key:zOlder"
NOW = datetime(2026, 11, 23, 23, tzinfo=UTC)
PERMIT = '@id("base") permit(principal, action, resource);\n'


def person(**changes: Any) -> VerifiedCaller:
    """Return smith, who may order and delete, through an agent that may list and order."""
    values: dict[str, Any] = {
        "principal": Principal(kind="user", id="smith", namespace=BRIDGE),
        "entitlements": frozenset({"tool:list_menu", "tool:create_order", "tool:delete_order"}),
    }
    return _caller(**{**values, **changes})


def alone(**changes: Any) -> VerifiedCaller:
    """Return an agent on its own."""
    principal = Principal(kind="agent", id=AGENT, namespace=DID_NAMESPACE)
    return _caller(**{"principal": principal, "entitlements": None, "actors": (), **changes})


def call(tool: str, **arguments: object) -> Call:
    return Call(resource=RESOURCE, tool=tool, arguments=arguments)


def policy(rules: str = "", *, version: int = 7, issuer: str | None = BRIDGE, **wire: Any) -> ActivePolicy:
    """Return a policy in force at a guard of the bridge."""
    document = parse_policy({"rules": rules, **wire})
    compiled = Cedar().compile(rules) if rules else None
    return activate(document, version=version, rules=compiled, issuer=issuer)


def at(mode: str, **more: Any) -> dict[str, Any]:
    return {RESOURCE: {"mode": mode, **more}}


def _caller(tools: dict[str, Any] | None = None, **changes: Any) -> VerifiedCaller:
    held = parse_bare_capability({"resource": [RESOURCE], "tools": tools or {"list_menu": {}, "create_order": {}}})
    values: dict[str, Any] = {
        "actors": (AGENT,),
        "client_id": AGENT,
        "scopes": scopes_of((held,)),
        "capabilities": (held,),
        "credential_ids": ("urn:uuid:1",),
        "evidence": "sha-256:x",
    }
    return VerifiedCaller(**{**values, **changes})
