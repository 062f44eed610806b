"""A guard around a tiny inner server, with keys, revocations and records a test can see and change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from did_agent.audit.event import AuditEvent
from did_agent.credential.capability import parse_bare_capability, scopes_of
from did_agent.credential.issuance import build_capability_credential, issue, new_id
from did_agent.credential.status import VerifiedStatusList
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.errors import AuditUnavailable, Revoked, StatusUnavailable, WrongKey
from did_agent.keys.ed25519 import PublicKey, SigningKey
from did_agent.keys.jwk import thumbprint
from did_agent.presentation.present import present_jwt
from did_agent.tokens.access_token import AccessToken, encode_access_token
from verifier.doors.presentation import PresentationDoor
from verifier.doors.token import TokenDoor
from verifier.mcp.answers import ResourceMetadata
from verifier.mcp.caller import current_caller
from verifier.mcp.guard import Guard
from verifier.parts import GuardParts
from verifier.policies import NoPolicies
from verifier.ports import PolicySource
from verifier.service import Verifier

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BRIDGE, RESOURCE = "https://bridge.example", "https://mcp.example/mcp"
BRIDGE_KEY = SigningKey.from_seed(b"b" * 32)
ISSUER_KEY, AGENT_KEY, OTHER_KEY = (SigningKey.from_seed(letter * 32) for letter in (b"i", b"a", b"o"))
AGENT, OTHER, ISSUER = did_key(AGENT_KEY.public), did_key(OTHER_KEY.public), did_key(ISSUER_KEY.public)
TOOLS = {"list_menu": {}, "update_stock": {"quantity": {"constraint_type": "range", "min": 0, "max": 9}}}


@dataclass
class World:
    """What the guard learns from outside, as a test wants it."""

    ended: set[str] = field(default_factory=set)
    silent: bool = False
    full: bool = False
    events: list[AuditEvent] = field(default_factory=list)
    spent: set[str] = field(default_factory=set)
    received: list[Mapping[str, Any]] = field(default_factory=list)  # what reached the inner server
    callers: list[Any] = field(default_factory=list)
    session: str | None = None
    now: datetime = NOW
    policies: PolicySource = field(default_factory=NoPolicies)

    async def find(self, kid: object) -> PublicKey:
        if kid != thumbprint(BRIDGE_KEY.public):
            raise WrongKey("no such key")
        return BRIDGE_KEY.public

    async def require_live(self, ids: Iterable[str], _now: datetime) -> None:
        if self.silent:
            raise StatusUnavailable("silent")
        if self.ended & set(ids):
            raise Revoked("ended")

    async def get(self, urls: Iterable[str]) -> Mapping[str, VerifiedStatusList]:
        return {}

    async def spend(self, purpose: str, key: str, *, expires: datetime) -> bool:
        fresh = key not in self.spent
        self.spent.add(key)
        return fresh

    async def record(self, event: AuditEvent) -> None:
        if self.full:
            raise AuditUnavailable("full")
        self.events.append(event)

    async def inner(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.received.append({"headers": headers, "body": message.get("body", b""), "path": scope["path"]})
        self.callers.append(current_caller())
        asked = json.loads(message.get("body") or b"{}")
        tools = [{"name": name} for name in (*TOOLS, "delete_order")]
        result: dict[str, Any] = {"ok": True}
        if asked.get("method") == "tools/list":
            result = {"tools": tools, "cacheScope": "public", "ttlMs": 1}
        body = json.dumps({"jsonrpc": "2.0", "id": asked.get("id"), "result": result}).encode()
        kind = b"application/json"
        if headers.get("accept") == "text/event-stream":
            body, kind = b"event: message\r\ndata: " + body + b"\r\n\r\n", b"text/event-stream"
        extra = [] if self.session is None else [(b"mcp-session-id", self.session.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind), *extra]})
        await send({"type": "http.response.body", "body": body})

    def verifier(self) -> Verifier:
        trusted = TrustedIssuers.of(ISSUER)
        return Verifier(
            resource=RESOURCE,
            source=did_key(OTHER_KEY.public),
            party="verifier",
            doors=(
                TokenDoor(resource=RESOURCE, issuer=BRIDGE, keys=self),
                PresentationDoor(resource=RESOURCE, trusted=trusted, statuses=self),
            ),
            revocations=self,
            policies=self.policies,
            audit=self,
            clock=lambda: self.now,
            replay=self,
        )

    def guard(self) -> Guard:
        spool: Any = None
        parts = GuardParts(verifier=self.verifier(), spool=spool, background=[])
        return Guard(self.inner, parts, ResourceMetadata(resource=RESOURCE, bridge=BRIDGE, name="Test"))

    async def send(
        self,
        credential: str | None,
        message: object = None,
        *,
        method: str = "POST",
        path: str = "/mcp",
        content: bytes | None = None,
        guard: Guard | None = None,
        headers: list[tuple[str, str]] | None = None,
        scheme: str = "Bearer",
    ) -> httpx2.Response:
        sent = list(headers or [])
        if credential is not None:
            sent.append(("Authorization", f"{scheme} {credential}"))
        body = content if content is not None else json.dumps(message).encode()
        transport = httpx2.ASGITransport(app=guard or self.guard())
        async with httpx2.AsyncClient(transport=transport, base_url="https://mcp.example") as http:
            return await http.request(method, path, content=body if method == "POST" else None, headers=sent)


def token(**changes: Any) -> str:
    """Return an honest token of the agent on its own, with some claims changed."""
    capability = parse_bare_capability({"resource": [RESOURCE], "tools": TOOLS})
    values: dict[str, Any] = {
        "issuer": BRIDGE,
        "subject": AGENT,
        "subject_profile": "ai_agent",
        "audience": RESOURCE,
        "client_id": AGENT,
        "issued_at": NOW,
        "expires": NOW + timedelta(seconds=300),
        "id": new_id(),
        "scopes": scopes_of((capability,)),
        "capabilities": (capability,),
        "credential_ids": ("urn:uuid:c1",),
        **changes,
    }
    key = values.pop("key", BRIDGE_KEY)
    return encode_access_token(AccessToken(**values), key=key, kid=thumbprint(BRIDGE_KEY.public))


def credential(**changes: Any) -> dict[str, Any]:
    """Return a capability credential without status, good for half an hour."""
    values: dict[str, Any] = {
        "id": new_id(),
        "issuer": ISSUER,
        "subject": AGENT,
        "valid_from": NOW - timedelta(minutes=1),
        "valid_until": NOW + timedelta(minutes=30),
        "capabilities": [parse_bare_capability({"resource": [RESOURCE], "tools": TOOLS})],
        "max_depth": 0,
        **changes,
    }
    return issue(build_capability_credential(**values), ISSUER_KEY, now=NOW)


def presentation(document: dict[str, Any] | None = None, *, audience: str = RESOURCE) -> str:
    return present_jwt([document or credential()], key=AGENT_KEY, audience=audience, now=NOW)


def call(tool: str, **arguments: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
