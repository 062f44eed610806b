"""A request that is in order for every route of the issuer; a route that is not here fails the generated matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyrage

from tests.fakes.issuer_world import RESOURCE
from tests.fakes.tenants import (
    BECAUSE,
    CAPABILITY,
    TRUSTED,
    asking,
    coming,
    delegating,
    enrolling,
    rotating,
)

CREATED, ACCEPTED, NO_CONTENT = 201, 202, 204


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request; `$thing` in it stands for something that the asker's organisation has."""

    path: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)
    status: int = 200  # of the answer to those whom the route is open for
    form: Mapping[str, str] | None = None
    home_alone: bool = False  # open to the deployment's own organisation only

    def names_things(self) -> bool:
        """Tell whether it names anything that belongs to an organisation."""
        return "$" in repr((self.path, self.body, self.query)).replace("$fresh", "") or callable(self.body)


def of(identifier: str, body: Any = None, status: int = 200, **more: Any) -> Ask:
    """Return a request about one thing."""
    return Ask(path={"identifier": identifier}, body=body, status=status, **more)


RECIPIENT: Final = str(pyrage.x25519.Identity.generate().to_public())
BLUEPRINT: Final = {"sponsor": "Ops"}
ROW: Final = {"name": "$fresh", "sponsor": "Ops"}
RULE: Final = {"issuer": "https://ci.example", "claims": {"sub": "x"}, "template": "$template", "agent_name": "ci"}
OFFER: Final = {"agent": "$active", "capabilities": [CAPABILITY]}
REQUEST: Final = {"agent": "$active", "capabilities": [CAPABILITY], **BECAUSE}
TRUST: Final = {"issuer": TRUSTED, "resources": [RESOURCE]}
HOOK: Final = {"url": "http://127.0.0.1:9/hook", "topics": ["*"]}
ASSIGN: Final = {"kind": "agent", "target": "$active"}

REQUESTS: Final[Mapping[str, Ask]] = {
    # agents
    "POST /agents": Ask(body=ROW, status=CREATED),
    "GET /agents": Ask(),
    "POST /agents/import": Ask(body={"rows": [ROW]}),
    "GET /agents/{identifier}": of("$active"),
    "PATCH /agents/{identifier}": of("$active", {"description": "else"}),
    "POST /agents/{identifier}/transfer": of("$active", {"owner": "$person", **BECAUSE}),
    "GET /agents/{identifier}/history": of("$active"),
    "GET /agents/{identifier}/impact": of("$active"),
    "POST /agents/{identifier}/suspend": of("$active", BECAUSE),
    "POST /agents/{identifier}/resume": of("$suspended", BECAUSE),
    "POST /agents/{identifier}/retire": of("$active", BECAUSE),
    "GET /registry/{identifier}": of("$did"),
    "GET /registry/{identifier}/keys": of("$did"),
    "GET /self": Ask(),
    # did:web
    "GET /.well-known/did.json": Ask(),
    "GET /.well-known/did-configuration.json": Ask(),
    "GET /agents/{slug}/did.json": Ask(path={"slug": "$slug"}),
    "PUT /agents/{identifier}/did-web": of("$active"),
    "DELETE /agents/{identifier}/did-web": of("$published", status=NO_CONTENT),
    # keys and enrolment
    "POST /agents/{identifier}/enrolment": of("$pending", enrolling, CREATED),
    "POST /agents/{identifier}/keys": of("$active", rotating, CREATED),
    "GET /agents/{identifier}/keys": of("$active"),
    "POST /agents/{identifier}/recovery": of("$active", BECAUSE, CREATED),
    "POST /agents/{identifier}/custodial-key": of("$pending", {"recipient": RECIPIENT}, CREATED),
    "POST /enrolment-tokens": Ask(body={"template": "$template"}, status=CREATED),
    "GET /enrolment-tokens": Ask(),
    "DELETE /enrolment-tokens/{identifier}": of("$enrolment_token"),
    "POST /enrolments": Ask(body=coming, status=CREATED),
    "GET /enrolments": Ask(),
    "POST /enrolments/state": Ask(body=asking),
    "POST /enrolments/{identifier}/approve": of("$application", BECAUSE),
    "POST /enrolments/{identifier}/reject": of("$application", BECAUSE),
    "PUT /enrolment-policies": Ask(body={"template": "$template", "needs_approval": False}),
    "GET /enrolment-policies": Ask(),
    "GET /attestation-rules": Ask(),
    "PUT /attestation-rules/{identifier}": of("$fresh", RULE),
    "DELETE /attestation-rules/{identifier}": of("$rule"),
    "POST /attestations": Ask(body={"attestation": "x.y.z", "possession": "x.y.z"}, status=400),
    # blueprints, groups, switches
    "GET /templates": Ask(),
    "PUT /templates/{identifier}": of("$fresh", BLUEPRINT),
    "GET /templates/{identifier}": of("$template"),
    "POST /templates/{identifier}/instances": of("$template", {"count": 1}, CREATED),
    "GET /groups": Ask(),
    "PUT /groups/{identifier}": of("$fresh", {"description": "those"}),
    "GET /groups/{identifier}": of("$group"),
    "DELETE /groups/{identifier}": of("$group"),
    "GET /groups/{identifier}/members": of("$group"),
    "POST /groups/{identifier}/members": of("$group", {"add": ["$active"]}),
    # people
    "GET /principals": Ask(),
    "PUT /principals/{identifier}": of("$fresh", {"sponsors": ["Ops"]}),
    "DELETE /principals/{identifier}": of("$person", status=NO_CONTENT),
    # switches
    "GET /kill-switches": Ask(),
    "GET /kill-switches/impact": Ask(query={"scope": "sponsor", "target": "Nobody"}),
    "POST /kill-switches": Ask(body={"scope": "sponsor", "target": "$fresh", **BECAUSE}, status=CREATED),
    "POST /kill-switches/{identifier}/lift": of("$switch", BECAUSE),
    # credentials
    "POST /agents/{identifier}/credentials": of("$active", {"capabilities": [CAPABILITY]}, CREATED),
    "POST /agents/{identifier}/credentials/collect": of("$active", status=CREATED),
    "GET /agents/{identifier}/entitlements": of("$active"),
    "POST /credentials/bulk": Ask(
        body={"entries": [{"agent": "$active", "capabilities": [CAPABILITY]}]}, status=CREATED
    ),
    "POST /credentials/collect": Ask(status=CREATED),
    "GET /credentials": Ask(),
    "GET /credentials/{identifier}": of("$credential"),
    "GET /credentials/{identifier}/impact": of("$credential"),
    "POST /credentials/{identifier}/renew": of("$credential", {}, 409),  # too early: it may ask,
    "POST /credentials/{identifier}/suspend": of("$credential", BECAUSE),
    "POST /credentials/{identifier}/resume": of("$paused", BECAUSE),
    "POST /credentials/{identifier}/revoke": of("$credential", BECAUSE),
    # what may be granted
    "POST /capabilities": Ask(body={"name": "$fresh", "capabilities": [CAPABILITY]}, status=CREATED),
    "GET /capabilities": Ask(),
    "GET /capabilities/{identifier}": of("$capability"),
    "POST /capabilities/{identifier}/withdraw": of("$capability", BECAUSE),
    "GET /granting-policy": Ask(),
    "PUT /granting-policy": Ask(body={"manager_resources": [RESOURCE]}),
    "PUT /known-tools": Ask(body={"resource": RESOURCE, "tools": {"a": {}}}),
    "POST /roles": Ask(body={"name": "$fresh", "templates": ["$capability"]}, status=CREATED),
    "GET /roles": Ask(),
    "GET /roles/{identifier}": of("$role"),
    "POST /roles/{identifier}/remove": of("$role", BECAUSE),
    "GET /roles/{identifier}/assignments": of("$role"),
    "POST /roles/{identifier}/assign": of("$role", ASSIGN, CREATED),
    "POST /roles/{identifier}/unassign": of("$assigned", {**ASSIGN, **BECAUSE}),
    "POST /requests": Ask(body=REQUEST, status=CREATED),
    "GET /requests": Ask(),
    "GET /requests/{identifier}": of("$request"),
    "POST /requests/{identifier}/approve": of("$request", BECAUSE),
    "POST /requests/{identifier}/deny": of("$request", BECAUSE),
    "POST /requests/{identifier}/withdraw": of("$own_request", BECAUSE),
    "GET /forms": Ask(),
    "GET /forms/{name}": Ask(path={"name": "capability"}),
    # status and delegations
    "GET /status-lists/{purpose}/{number}": Ask(path={"purpose": "revocation", "number": "1"}),
    "GET /token-status-lists/{number}": Ask(path={"number": "1"}),
    "POST /delegations": Ask(body=delegating, status=CREATED),
    "GET /delegations": Ask(),
    "POST /delegations/{identifier}/revoke": of("$delegation", BECAUSE),
    # organisations, their keys, and trust
    "GET /issuer-keys": Ask(),
    "POST /issuer-keys": Ask(body=BECAUSE, status=CREATED),
    "GET /issuer-keys/{identifier}/impact": of("$issuer_key"),
    "POST /issuer-keys/{identifier}/retire": of("$issuer_key", BECAUSE, 409),  # it signs: it may be asked for
    "POST /issuer-keys/{identifier}/revoke": of("$issuer_key", BECAUSE),
    "POST /organisations": Ask(body={"name": "$fresh"}, status=CREATED, home_alone=True),
    "GET /organisations": Ask(),
    "POST /organisations/{identifier}/suspend": of("$organisation", BECAUSE, home_alone=True),
    "POST /organisations/{identifier}/resume": of("$organisation", BECAUSE, home_alone=True),
    "PUT /organisations/{identifier}/resources": of("$organisation", {"resources": [RESOURCE]}, home_alone=True),
    "PUT /dual-control": Ask(body={"dual_control": []}),
    "GET /proposals": Ask(),
    "POST /proposals/{identifier}/approve": of("$proposal", status=CREATED),
    "POST /proposals/{identifier}/reject": of("$proposal"),
    "POST /trust": Ask(body=TRUST, status=CREATED),
    "GET /trust": Ask(),
    "GET /trust/{identifier}": of("$trust"),
    "DELETE /trust/{identifier}": of("$trust"),
    "GET /.well-known/did-agent-trust-list": Ask(),
    "GET /organisations/{organisation}/.well-known/did-agent-trust-list": Ask(path={"organisation": "home"}),
    # offers, as operators make them and as wallets take them
    "POST /offers": Ask(body=OFFER, status=CREATED),
    "GET /offers": Ask(),
    "GET /offers/{identifier}": of("$offer"),
    "POST /offers/{identifier}/withdraw": of("$offer", BECAUSE),
    "POST /offers/{identifier}/approve": of("$waiting_offer", BECAUSE),
    "POST /offers/{identifier}/deny": of("$waiting_offer", BECAUSE),
    "GET /.well-known/openid-credential-issuer/oid4vci": Ask(),
    "GET /.well-known/oauth-authorization-server/oid4vci": Ask(),
    "GET /.well-known/jwt-vc-issuer": Ask(),
    "GET /oid4vci/types/{kind}": Ask(path={"kind": "capability"}),
    "GET /oid4vci/offers/{handle}": Ask(path={"handle": "unknown"}, status=404),
    "POST /oid4vci/token": Ask(form={"grant_type": "none"}, status=400),
    "POST /oid4vci/nonce": Ask(),
    "POST /oid4vci/credential": Ask(body={}, status=401),
    "POST /oid4vci/deferred": Ask(body={}, status=401),
    "POST /oid4vci/notification": Ask(body={}, status=401),
    # webhooks
    "POST /webhooks": Ask(body=HOOK, status=CREATED),
    "GET /webhooks": Ask(),
    "GET /webhooks/{identifier}": of("$webhook"),
    "PATCH /webhooks/{identifier}": of("$webhook", {"enabled": False}),
    "DELETE /webhooks/{identifier}": of("$webhook"),
    "POST /webhooks/{identifier}/rotate": of("$webhook"),
    "POST /webhooks/{identifier}/test": of("$webhook", status=ACCEPTED),
    "GET /webhooks/{identifier}/deliveries": of("$webhook"),
    "POST /webhooks/{identifier}/deliveries/{delivery}/resend": Ask(
        path={"identifier": "$webhook", "delivery": "$delivery"}, status=ACCEPTED
    ),
    # the issuer itself
    "GET /contexts/capability/v1": Ask(),
    "GET /schemas/{name}/v1": Ask(path={"name": "agent-capability-credential"}),
    "GET /.well-known/did-agent-issuer": Ask(),
    "GET /livez": Ask(),
    "GET /readyz": Ask(),
}
