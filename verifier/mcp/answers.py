"""What the guard answers by itself: challenges (RFC 6750, section 3; RFC 9728, 5.1), refusals and metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from did_agent.credential.capability import tool_scope
from did_agent.errors import (
    BadDPoPProof,
    DidAgentError,
    DPoPNonceNeeded,
    Malformed,
    NotAuthenticated,
    TooLarge,
    Unavailable,
)
from did_agent.policy.decide import Decision
from did_agent.tokens.dpop import SIGNING_ALGORITHMS
from verifier.mcp.operation import HeaderMismatch, Operation
from verifier.model import Admission

RETRY_AFTER = "2"  # s
NOT_ALLOWED = 1403  # JSON-RPC application code, outside the ranges MCP reserves
DECISION_MEMBER = "org.did-agent/decision"  # of `_meta` in the result of a refused call
_HEADER_MISMATCH = -32020
_INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
# Refusals of a caller whose rights are the scopes of another issuer: there, only a scope can be missing.
_OF_SCOPES = frozenset({"scope_not_granted", "agent_not_capable", "arguments_refused", "user_not_entitled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    challenges: Sequence[str] = ()  # each its own WWW-Authenticate line


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceMetadata:
    """What the protected resource says of itself (RFC 9728, section 2)."""

    resource: str
    bridge: str | None
    name: str | None = None
    scopes: Sequence[str] = ()
    issuers: Sequence[str] = ()  # whose tokens count beside the bridge's
    sessions: tuple[str, str] | None = None  # where a challenge and a session are asked for
    certificates: bool = False  # whether client certificates are known to come in (RFC 8705, 3.3)

    @property
    def url(self) -> str:
        """Where the metadata lies: the well-known part goes between host and path (RFC 9728, 3.1)."""
        parts = urlsplit(self.resource)
        return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}"

    @property
    def paths(self) -> frozenset[str]:
        """The paths it is served under: that form, and the root form some clients try."""
        return frozenset({urlsplit(self.url).path, "/.well-known/oauth-protected-resource"})

    def answer(self) -> Answer:
        """Return the document."""
        members: dict[str, object] = {
            "resource": self.resource,
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
            "dpop_bound_access_tokens_required": False,
            "authorization_details_types_supported": ["attenuating_agent_token"],
        }
        servers = [*(() if self.bridge is None else (self.bridge,)), *self.issuers]
        if servers:
            members["authorization_servers"] = servers
        if self.name is not None:
            members["resource_name"] = self.name
        if self.certificates:
            members["tls_client_certificate_bound_access_tokens"] = True
        if self.sessions is not None:
            members["did_agent_challenge_endpoint"], members["did_agent_session_endpoint"] = self.sessions
        if self.scopes:
            members["scopes_supported"] = list(self.scopes)
        headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=300"}
        return _json(200, members, headers)


def refused(error: DidAgentError, metadata: ResourceMetadata, *, request_id: str) -> Answer:
    """Return the answer to a request that was not admitted or could not be read."""
    if isinstance(error, Unavailable):
        return _problem(503, error, request_id, {"Retry-After": RETRY_AFTER})
    if isinstance(error, HeaderMismatch):
        return _error(400, error.id, _HEADER_MISMATCH, error.public)
    if isinstance(error, Malformed) and not error.code.startswith("bad_jose"):
        return _problem(413 if isinstance(error, TooLarge) else 400, error, request_id, {})
    # Never which check failed: that is for the audit event, not for whoever probes us.
    code = None if isinstance(error, NotAuthenticated) else "invalid_token"
    of_the_proof = isinstance(error, BadDPoPProof | DPoPNonceNeeded)
    challenges = (
        _challenge(metadata, error=None if of_the_proof else code),
        _dpop_challenge(error.code if of_the_proof else code),
    )
    return replace(_problem(401, error, request_id, {}), challenges=challenges)


def denied(
    decision: Decision, operation: Operation, metadata: ResourceMetadata, admission: Admission | None = None
) -> Answer:
    """Return the answer to a call that was decided against.

    Another token would help: 403 with the scopes.  None would: for a tool a result the model can read, else an error.
    """
    scope = _scope_wanted(decision, operation, admission)
    if scope is not None:
        challenge = _challenge(metadata, error="insufficient_scope", scope=scope)
        return replace(_error(403, operation.id, NOT_ALLOWED, decision.explanation), challenges=(challenge,))
    if not operation.is_tool_call:
        return _error(200, operation.id, NOT_ALLOWED, f"Refused: {decision.explanation}.")
    result = {
        "resultType": "complete",
        "isError": True,
        "content": [{"type": "text", "text": f"Refused: {decision.explanation}."}],
        "_meta": {DECISION_MEMBER: {"decision": "deny", "reason": decision.reason}},
    }
    return _json(200, {"jsonrpc": "2.0", "id": operation.id, "result": result}, {})


def denied_plainly(
    decision: Decision, tool: str, metadata: ResourceMetadata, *, request_id: str, admission: Admission | None = None
) -> Answer:
    """Return the answer of a plain HTTP tool to a call that was decided against: always 403, and which scope helps."""
    operation = Operation(id=None, method=None, tool=tool)
    scope = _scope_wanted(decision, operation, admission)
    members = {
        "type": "about:blank",
        "title": "The call was refused.",
        "status": 403,
        "code": decision.reason,
        "detail": decision.explanation,
        "request_id": request_id,
    }
    answer = _json(403, members, {"Content-Type": "application/problem+json"})
    if scope is None:
        return answer
    return replace(answer, challenges=(_challenge(metadata, error="insufficient_scope", scope=scope),))


def _scope_wanted(decision: Decision, operation: Operation, admission: Admission | None) -> str | None:
    """Return all scopes the call needs, in the words of whoever made the token, when a token with them would help."""
    tool = operation.tool or ""
    if admission is None or admission.issuer is None:
        return tool_scope(tool) if decision.reason == "scope_not_granted" else None
    if decision.reason not in _OF_SCOPES:
        return None
    return admission.issuer.scope_for(tool, operation.arguments, held=admission.held)


def plain(members: Mapping[str, object]) -> Answer:
    """Return a good answer of the guard's own."""
    return _json(200, members, {})


def only_post() -> Answer:
    """Return the answer to another method where only POST has a meaning."""
    return _json(405, {"title": "POST alone has a meaning here", "status": 405}, {"Allow": "POST"})


def method_unknown(operation: Operation, *, by_status: bool) -> Answer:
    """Return the answer to a method no capability can speak of: to every caller there is none."""
    status, name = 404 if by_status else 200, str(operation.method)[:100]
    return _error(status, operation.id, METHOD_NOT_FOUND, f"There is no {name} here")


def session_unknown() -> Answer:
    """Return the answer to a session of somebody else: the same as to no session (DEL-12)."""
    return _error(404, None, _INVALID_REQUEST, "Session not found")


def nothing_here() -> Answer:
    """Return the answer to what would be done under another path than the resource's."""
    return _error(404, None, _INVALID_REQUEST, "Nothing is guarded here")


def _challenge(metadata: ResourceMetadata, *, error: str | None = None, scope: str | None = None) -> str:
    wanted = scope if scope is not None else " ".join(metadata.scopes)
    members = {"error": error, "scope": wanted or None, "resource_metadata": metadata.url}
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in members.items() if value is not None)


def _dpop_challenge(error: str | None) -> str:
    members = {"error": error, "algs": " ".join(SIGNING_ALGORITHMS)}
    return "DPoP " + ", ".join(f'{name}="{value}"' for name, value in members.items() if value is not None)


def _problem(status: int, error: DidAgentError, request_id: str, headers: Mapping[str, str]) -> Answer:
    members = {"type": "about:blank", "title": error.public, "status": status, "code": _public_code(error)}
    return _json(status, {**members, "request_id": request_id}, headers)


def _public_code(error: DidAgentError) -> str:
    open_families = (Malformed, Unavailable, NotAuthenticated, BadDPoPProof, DPoPNonceNeeded)
    return error.code if isinstance(error, open_families) else "invalid_token"


def _error(status: int, identifier: object, code: int, message: str) -> Answer:
    return _json(status, {"jsonrpc": "2.0", "id": identifier, "error": {"code": code, "message": message}}, {})


def _json(status: int, members: object, headers: Mapping[str, str]) -> Answer:
    body = json.dumps(members, ensure_ascii=False).encode()
    defaults = {"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Answer(status=status, headers={**defaults, **headers}, body=body)
