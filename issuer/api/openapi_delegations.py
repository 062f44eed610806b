"""What the endpoints of delegations take and answer (OpenAPI 3.1)."""

from __future__ import annotations

from typing import Final

from did_agent.adapters.openapi import ANY, FLAG, MAYBE, TEXT, WHOLE, Answer, Operation, Schema, listed, record
from issuer.api.delegations import RegisterDelegation
from issuer.api.schemas import Reason

_MEMBERS: Final[dict[str, Schema]] = {
    "id": TEXT,
    "agent_id": TEXT,
    "delegator": TEXT,
    "parent": TEXT,
    "subject": TEXT,
    "depth": WHOLE,
    "valid_until": TEXT,
    "revoked": MAYBE,
}
_LIMIT: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 100}

DELEGATIONS: Final[dict[str, Operation]] = {
    "POST /delegations": Operation(
        summary="Give a credential that an agent is about to make a status",
        answers={201: Answer("Registered, with its places.", record(**_MEMBERS, credentialStatus=listed(ANY)))},
        body=RegisterDelegation,
        auth=("agent",),
    ),
    "GET /delegations": Operation(
        summary="List what agents handed on",
        answers={200: Answer("A page of them.", record(delegations=listed(record(**_MEMBERS)), next=MAYBE))},
        query={"agent": TEXT, "to": TEXT, "parent": TEXT, "after": TEXT, "limit": _LIMIT},
        auth=("operator", "agent"),
    ),
    "POST /delegations/{identifier}/revoke": Operation(
        summary="Revoke a delegation and all made from it",
        answers={200: Answer("Revoked.", record(**_MEMBERS, ended=WHOLE, propagated=FLAG))},
        body=Reason,
        auth=("operator", "agent"),
    ),
}
