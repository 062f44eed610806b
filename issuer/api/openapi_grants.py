"""What the endpoints of credentials, roles, requests, forms and webhooks take and answer (OpenAPI 3.1)."""

from __future__ import annotations

from typing import Final, get_args

from did_agent.adapters.openapi import (
    ANY,
    FLAG,
    MAYBE,
    TEXT,
    WHOLE,
    Answer,
    Operation,
    Schema,
    listed,
    one_of,
    record,
)
from issuer.api.schemas import Reason
from issuer.api.schemas_grants import (
    AddWebhook,
    Approve,
    Assign,
    ChangeWebhook,
    IssueMany,
    LearnTools,
    MakeRequest,
    PutCapability,
    PutPolicy,
    PutRole,
    Renew,
    Unassign,
)
from issuer.forms import FORMS
from issuer.model import GrantState
from issuer.model.grants import AssigneeKind
from issuer.model.requests import RequestState, Wanted
from issuer.model.webhooks import DeliveryState, Scheme

_OPERATOR: Final = ("operator",)
_BOTH: Final = ("operator", "agent")
_LIMIT: Final = {"type": "integer", "minimum": 1, "maximum": 100}
_PAGED: Final[dict[str, Schema]] = {"after": TEXT, "limit": _LIMIT}
_NUMBER: Final[Schema] = {"type": ["integer", "null"]}
_MAYBE_ANY: Final[Schema] = {"type": ["object", "null"]}
_ONE: Final = record(credential=ANY)
_MANY: Final = record(credentials=listed(ANY))
_CHANGED: Final = record(id=TEXT, state=one_of(*get_args(GrantState)), propagated=FLAG)
_CAPABILITY: Final = record(
    name=TEXT,
    version=WHOLE,
    description=TEXT,
    capabilities=listed(ANY),
    valid_seconds=WHOLE,
    max_depth=WHOLE,
    renewable_seconds=WHOLE,
    needs_approval=FLAG,
    managers=FLAG,
    created=TEXT,
    by=TEXT,
    withdrawn=MAYBE,
)
_ROLE_MEMBERS: Final[dict[str, Schema]] = {
    "name": TEXT,
    "description": TEXT,
    "templates": listed(TEXT),
    "created": TEXT,
}
_ASSIGNMENT: Final = record(
    role=TEXT, kind=one_of(*get_args(AssigneeKind)), target=TEXT, by=TEXT, request=MAYBE, created=TEXT
)
_ENTITLEMENT: Final = record(role=TEXT, template=_CAPABILITY)
_POLICY: Final = record(max_valid_seconds=WHOLE, manager_resources=listed(TEXT), separation=FLAG)
_REQUEST_MEMBERS: Final[dict[str, Schema]] = {
    "id": TEXT,
    "agent_id": TEXT,
    "state": one_of(*get_args(RequestState)),
    "wanted": one_of(*get_args(Wanted)),
    "name": MAYBE,
    "capabilities": listed(ANY),
    "valid_seconds": _NUMBER,
    "max_depth": _NUMBER,
    "reason": TEXT,
    "by": TEXT,
    "created": TEXT,
    "expires": TEXT,
    "decided_by": MAYBE,
    "decided": MAYBE,
    "why": MAYBE,
    "credential_id": MAYBE,
}
_REQUEST: Final = record(**_REQUEST_MEMBERS)
_ANSWERED: Final = record(**_REQUEST_MEMBERS, credential=_MAYBE_ANY)
_WEBHOOK: Final = record(
    id=TEXT,
    url=TEXT,
    topics=listed(TEXT),
    description=TEXT,
    scheme=one_of(*get_args(Scheme)),
    generation=WHOLE,
    previous_until=MAYBE,
    disabled=MAYBE,
    by=TEXT,
    created=TEXT,
    public_keys=listed(TEXT),
    secret=MAYBE,
)
_DELIVERY: Final = record(
    id=TEXT,
    type=TEXT,
    state=one_of(*get_args(DeliveryState)),
    attempts=WHOLE,
    outcome=MAYBE,
    created=TEXT,
    next_attempt=MAYBE,
)


def _get(summary: str, schema: Schema, *auth: str, path: dict[str, Schema] | None = None, **query: Schema) -> Operation:
    return Operation(
        summary=summary, answers={200: Answer("Found.", schema)}, query=query, path=path or {}, auth=auth or _OPERATOR
    )


def _do(
    summary: str, schema: Schema, body: type | None = None, *, status: int = 200, auth: tuple[str, ...] = _OPERATOR
) -> Operation:
    return Operation(summary=summary, answers={status: Answer("Done.", schema)}, body=body, auth=auth)


def _page(summary: str, name: str, schema: Schema, *auth: str, **query: Schema) -> Operation:
    answers = {200: Answer("A page of them.", record(**{name: listed(schema), "next": MAYBE}))}
    return Operation(summary=summary, answers=answers, query=query, auth=auth or _OPERATOR)


_ENDED: Final = record(name=TEXT, revoked=WHOLE, propagated=FLAG)
GRANTS: Final[dict[str, Operation]] = {
    "POST /agents/{identifier}/credentials/collect": _do("Issue what an agent's roles give it", _MANY, status=201),
    "GET /agents/{identifier}/entitlements": _get(
        "What an agent's roles give it", record(entitlements=listed(_ENTITLEMENT)), *_BOTH
    ),
    "POST /credentials/bulk": _do("Issue many credentials, all or none", _MANY, IssueMany, status=201),
    "POST /credentials/collect": _do("Take what one's roles give", _MANY, status=201, auth=("agent",)),
    "POST /credentials/{identifier}/renew": _do("Renew a credential", _ONE, Renew, status=201, auth=("agent",)),
    "POST /credentials/{identifier}/suspend": _do("Suspend a credential", _CHANGED, Reason),
    "POST /credentials/{identifier}/resume": _do("Resume a credential", _CHANGED, Reason),
    "POST /capabilities": _do("Add a capability template or its next version", _CAPABILITY, PutCapability, status=201),
    "GET /capabilities": _page("List capability templates", "capabilities", _CAPABILITY, **_PAGED),
    "GET /capabilities/{identifier}": _get(
        "Show a capability template", _CAPABILITY, version={"type": "integer", "minimum": 1, "maximum": 999_999}
    ),
    "POST /capabilities/{identifier}/withdraw": _do(
        "Withdraw a capability template and revoke what came from it", _ENDED, Reason
    ),
    "GET /granting-policy": _get("What managers may grant", _POLICY),
    "PUT /granting-policy": _do("Decide what managers may grant", _POLICY, PutPolicy),
    "PUT /known-tools": _do("Say which tools a resource has", record(resource=TEXT, tools=listed(TEXT)), LearnTools),
    "POST /roles": _do("Create or change a role", record(**_ROLE_MEMBERS, revoked=WHOLE), PutRole, status=201),
    "GET /roles": _page("List roles", "roles", record(**_ROLE_MEMBERS), **_PAGED),
    "GET /roles/{identifier}": _get("Show a role", record(**_ROLE_MEMBERS)),
    "POST /roles/{identifier}/remove": _do("Remove a role and revoke what came from it", _ENDED, Reason),
    "GET /roles/{identifier}/assignments": _page("Who has a role", "assignments", _ASSIGNMENT, **_PAGED),
    "POST /roles/{identifier}/assign": _do("Give a role", _ASSIGNMENT, Assign, status=201),
    "POST /roles/{identifier}/unassign": _do(
        "Take a role away and revoke what came from it", record(role=TEXT, revoked=WHOLE, propagated=FLAG), Unassign
    ),
    "POST /requests": _do("Ask for rights", _REQUEST, MakeRequest, status=201, auth=_BOTH),
    "GET /requests": _page(
        "List requests", "requests", _REQUEST, *_BOTH, agent=TEXT, state=one_of(*get_args(RequestState)), **_PAGED
    ),
    "GET /requests/{identifier}": _get("Show a request and what came of it", _ANSWERED, *_BOTH),
    "POST /requests/{identifier}/approve": _do("Approve a request, or less of it", _ANSWERED, Approve),
    "POST /requests/{identifier}/deny": _do("Deny a request", _REQUEST, Reason),
    "POST /requests/{identifier}/withdraw": _do("Take one's request back", _REQUEST, Reason, auth=_BOTH),
    "GET /forms": _get("Which forms are described", record(forms=listed(record(form=TEXT, title=TEXT)))),
    "GET /forms/{name}": _get(
        "A form, described",
        record(form=TEXT, submit=record(method=TEXT, path=TEXT), schema=ANY, ui=ANY),
        path={"name": one_of(*sorted(FORMS))},
        resource=TEXT,
    ),
    "POST /webhooks": _do("Add a webhook", _WEBHOOK, AddWebhook, status=201),
    "GET /webhooks": _page("List webhooks", "webhooks", _WEBHOOK),
    "GET /webhooks/{identifier}": _get("Show a webhook", _WEBHOOK),
    "PATCH /webhooks/{identifier}": _do("Change a webhook", _WEBHOOK, ChangeWebhook),
    "DELETE /webhooks/{identifier}": _do("Remove a webhook", record(id=TEXT, removed=FLAG)),
    "POST /webhooks/{identifier}/rotate": _do("Give a webhook another key", _WEBHOOK),
    "POST /webhooks/{identifier}/test": _do("Send a test", record(delivery=TEXT), status=202),
    "GET /webhooks/{identifier}/deliveries": _page(
        "What was delivered", "deliveries", _DELIVERY, state=one_of(*get_args(DeliveryState)), **_PAGED
    ),
    "POST /webhooks/{identifier}/deliveries/{delivery}/resend": _do("Deliver again", record(delivery=TEXT), status=202),
}
