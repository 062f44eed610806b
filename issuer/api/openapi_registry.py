"""What the registry's endpoints take and answer (OpenAPI 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from did_agent.adapters.openapi import (
    FLAG,
    MAYBE,
    TEXT,
    WHOLE,
    Answer,
    Operation,
    Schema,
    listed,
    named,
    one_of,
    record,
)
from issuer.api.organisations import WAITS
from issuer.api.schemas import Reason
from issuer.api.schemas_registry import (
    ChangeMembers,
    Describe,
    Import,
    Instantiate,
    PutGroup,
    PutTemplate,
    Transfer,
    TurnOn,
)
from issuer.model import Change, State
from issuer.model.registry import MAX_BATCH, Scope, Stopping

_OPERATOR: Final = ("operator",)
_LIMIT: Final = {"type": "integer", "minimum": 1, "maximum": 100}
_STATE: Final = one_of(*get_args(State))
_PAGED: Final[dict[str, Schema]] = {"after": TEXT, "limit": _LIMIT}
_GROUP: Final = record(name=TEXT, description=TEXT, created=TEXT)
_IMPACT: Final = record(
    agents=WHOLE,
    credentials=WHOLE,
    children=WHOLE,
    status_entries=WHOLE,
    tools=listed(TEXT),
    resources=listed(TEXT),
    partial=FLAG,
)
_TEMPLATE: Final = record(
    name=TEXT,
    version=WHOLE,
    sponsor=TEXT,
    description=TEXT,
    metadata=named(TEXT),
    redirect_uris=listed(TEXT),
    tags=listed(TEXT),
    groups=listed(TEXT),
    created=TEXT,
    by=TEXT,
)
_SWITCH: Final[dict[str, Schema]] = {
    "id": TEXT,
    "scope": one_of(*get_args(Scope)),
    "target": TEXT,
    "reason": TEXT,
    "by": TEXT,
    "at": TEXT,
    "stopped": WHOLE,
    "lifted": MAYBE,
    "lifted_by": MAYBE,
}
_HAPPENING: Final = record(
    event=one_of("create", "describe", "transfer", *get_args(Change)),
    before=MAYBE,
    after=_STATE,
    actor=TEXT,
    reason=TEXT,
    at=TEXT,
)
_ROW: Final = record(
    row=WHOLE,
    key=TEXT,
    outcome=one_of("created", "exists", "refused"),
    agent_id=MAYBE,
    code=MAYBE,
    detail=MAYBE,
)


def registry_operations(agent: Schema, invited: Schema) -> Mapping[str, Operation]:
    """Return the operations of the registry, in terms of how an agent and an invited one look."""
    found = Answer("A page of them.", {**record(agents=listed(agent), next=MAYBE), "additionalProperties": True})
    return {
        "GET /agents": Operation(
            summary="Search agents",
            answers={200: found},
            query={
                "name": TEXT,
                "prefix": TEXT,
                "text": TEXT,
                "state": _STATE,
                "sponsor": TEXT,
                "owner": TEXT,
                "tag": TEXT,
                "group": TEXT,
                "template": TEXT,
                "did": TEXT,
                "count": {"const": "true"},
                "order": {"const": "name"},
                **_PAGED,
            },
            auth=("operator", "reader"),
        ),
        "POST /agents/import": Operation(
            summary=f"Import up to {MAX_BATCH} agents",
            answers={
                200: Answer(
                    "What became of each.", record(created=WHOLE, exists=WHOLE, refused=WHOLE, rows=listed(_ROW))
                )
            },
            body=Import,
            auth=_OPERATOR,
        ),
        "PATCH /agents/{identifier}": _act("Describe an agent anew", agent, Describe),
        "POST /agents/{identifier}/transfer": _act("Hand an agent over", agent, Transfer),
        "GET /agents/{identifier}/history": _list("What happened to an agent", "history", _HAPPENING),
        "GET /agents/{identifier}/impact": _look("What a change would end", change=one_of(*get_args(Stopping))),
        "GET /credentials/{identifier}/impact": _look("What a revocation would end"),
        "GET /templates": _list("List blueprints", "templates", _TEMPLATE),
        "GET /templates/{identifier}": Operation(
            summary="Show a blueprint",
            answers={200: Answer("Found.", _TEMPLATE)},
            query={"version": {"type": "string", "pattern": "^[1-9][0-9]{0,5}$"}},
            auth=_OPERATOR,
        ),
        "PUT /templates/{identifier}": _act("Write a version of a blueprint", _TEMPLATE, PutTemplate),
        "POST /templates/{identifier}/instances": Operation(
            summary="Register agents made from a blueprint",
            answers={201: Answer("Registered, with their invitations.", record(agents=listed(invited)))},
            body=Instantiate,
            auth=_OPERATOR,
        ),
        **_groups(agent),
        **_switches(),
    }


def _groups(agent: Schema) -> Mapping[str, Operation]:
    changed = record(name=TEXT, changed=WHOLE)
    return {
        "GET /groups": _list("List groups", "groups", _GROUP),
        "GET /groups/{identifier}": Operation(
            summary="Show a group", answers={200: Answer("Found.", _GROUP)}, auth=_OPERATOR
        ),
        "PUT /groups/{identifier}": _act("Create or describe a group", _GROUP, PutGroup),
        "DELETE /groups/{identifier}": Operation(
            summary="Remove an empty group",
            answers={200: Answer("Removed.", record(name=TEXT, removed=FLAG))},
            auth=_OPERATOR,
        ),
        "GET /groups/{identifier}/members": _list("Who is in a group", "agents", agent, state=_STATE),
        "POST /groups/{identifier}/members": _act("Change who is in a group", changed, ChangeMembers),
    }


def _switches() -> Mapping[str, Operation]:
    lifted = record(**_SWITCH, resumed=WHOLE, propagated=FLAG)
    return {
        "GET /kill-switches": _list("List kill switches", "switches", record(**_SWITCH), on=one_of("true", "false")),
        "GET /kill-switches/impact": Operation(
            summary="What a kill switch would stop",
            answers={200: Answer("Counted.", _IMPACT)},
            query={"scope": one_of(*get_args(Scope)), "target": TEXT},
            required=("scope",),
            auth=_OPERATOR,
        ),
        "POST /kill-switches": Operation(
            summary="Stop a sponsor's, a blueprint's, a group's or all agents",
            answers={201: Answer("Stopped.", record(**_SWITCH, propagated=FLAG)), 202: WAITS},
            body=TurnOn,
            auth=_OPERATOR,
        ),
        "POST /kill-switches/{identifier}/lift": Operation(
            summary="Let go what a switch stopped",
            answers={200: Answer("Done.", lifted), 202: WAITS},
            body=Reason,
            auth=_OPERATOR,
        ),
    }


def _act(summary: str, schema: Schema, body: type) -> Operation:
    return Operation(summary=summary, answers={200: Answer("Done.", schema)}, body=body, auth=_OPERATOR)


def _look(summary: str, **query: Schema) -> Operation:
    return Operation(summary=summary, answers={200: Answer("Counted.", _IMPACT)}, query=query, auth=_OPERATOR)


def _list(summary: str, name: str, item: Schema, **query: Schema) -> Operation:
    page = Answer("A page of them.", record(next=MAYBE, **{name: listed(item)}))
    return Operation(summary=summary, answers={200: page}, query={**query, **_PAGED}, auth=_OPERATOR)
