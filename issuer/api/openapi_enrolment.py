"""What the endpoints of enrolment and attestation take and answer (OpenAPI 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
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
    named,
    one_of,
    record,
)
from issuer.api.schemas import Enrol, Reason
from issuer.api.schemas_enrolment import Attest, CreateToken, EnrolByToken, HandOut, Possession, PutPolicy, PutRule
from issuer.model.enrolment import Asking, Rebind, Source, Verdict

_OPERATOR: Final = ("operator",)
_MAYBE_ANY: Final[Schema] = {"type": ["object", "null"]}
_PAGE: Final = {"after": TEXT, "limit": {"type": "integer", "minimum": 1, "maximum": 100}}
_TOKEN_MEMBERS: Final[dict[str, Schema]] = {
    "id": TEXT,
    "template": TEXT,
    "groups": listed(TEXT),
    "owner": TEXT,
    "needs_approval": FLAG,
    "note": TEXT,
    "uses": WHOLE,
    "left": WHOLE,
    "created": TEXT,
    "expires": TEXT,
    "by": TEXT,
    "ended": MAYBE,
}
_TOKEN: Final = record(**_TOKEN_MEMBERS)
_APPLICATION_MEMBERS: Final[dict[str, Schema]] = {
    "id": TEXT,
    "agent_id": TEXT,
    "did": TEXT,
    "asking": one_of(*get_args(Asking)),
    "source": one_of(*get_args(Source)),
    "source_id": TEXT,
    "owner": TEXT,
    "by": TEXT,
    "asked": TEXT,
    "verdict": one_of(*get_args(Verdict)),
    "decided": MAYBE,
    "decided_by": MAYBE,
    "reason": MAYBE,
}
_RULE: Final = record(
    name=TEXT,
    issuer=TEXT,
    jwks=_MAYBE_ANY,
    jwks_uri=MAYBE,
    claims=named(TEXT),
    template=TEXT,
    agent_name=TEXT,
    tags=listed(TEXT),
    metadata=named(TEXT),
    sponsor=MAYBE,
    owner=TEXT,
    needs_approval=FLAG,
    rebind=one_of(*get_args(Rebind)),
    created=TEXT,
    by=TEXT,
)
_POLICY: Final = record(template=MAYBE, needs_approval=FLAG)
_STATE: Final = record(agent_id=TEXT, did=TEXT, verdict=one_of(*get_args(Verdict)))


def _paged(summary: str, name: str, one: Schema, **filters: Schema) -> Operation:
    answers = {200: Answer("A page.", record(**{name: listed(one), "next": MAYBE}))}
    return Operation(summary=summary, answers=answers, query={**filters, **_PAGE}, auth=_OPERATOR)


def enrolment_operations(agent: Mapping[str, Schema]) -> dict[str, Operation]:
    """Return what the endpoints take and answer; `agent` are the members of an agent."""
    enrolled = record(**agent, identity_credential=_MAYBE_ANY, application=MAYBE)
    answers = {201: Answer("Enrolled.", enrolled), 202: Answer("The key waits for the owner's word.", enrolled)}
    decided = {200: Answer("Decided.", record(**_APPLICATION_MEMBERS, agent=record(**agent)))}
    application = record(**_APPLICATION_MEMBERS)
    sealed = record(**agent, identity_credential=ANY, sealed_key=TEXT)
    return {
        "POST /agents/{identifier}/enrolment": Operation(summary="Answer an invitation", answers=answers, body=Enrol),
        "POST /enrolments": Operation(summary="Enrol by a token", answers=answers, body=EnrolByToken),
        "POST /attestations": Operation(summary="Enrol as an attested workload", answers=answers, body=Attest),
        "POST /enrolments/state": Operation(
            summary="What became of a key that asked", answers={200: Answer("Found.", _STATE)}, body=Possession
        ),
        "GET /enrolments": _paged(
            "Keys that wait or waited", "enrolments", application, verdict=one_of(*get_args(Verdict))
        ),
        **{
            f"POST /enrolments/{{identifier}}/{word}": Operation(
                summary=f"{word.capitalize()} a key", answers=decided, body=Reason, auth=_OPERATOR
            )
            for word in ("approve", "reject")
        },
        "PUT /enrolment-policies": Operation(
            summary="Say whether owners are asked",
            answers={200: Answer("Said.", _POLICY)},
            body=PutPolicy,
            auth=_OPERATOR,
        ),
        "GET /enrolment-policies": Operation(
            summary="What is said of approval",
            answers={200: Answer("All.", record(policies=listed(_POLICY), next=MAYBE))},
            auth=_OPERATOR,
        ),
        "POST /enrolment-tokens": Operation(
            summary="Make an enrolment token",
            answers={201: Answer("Made; its secret is shown this once.", record(**_TOKEN_MEMBERS, token=TEXT))},
            body=CreateToken,
            auth=_OPERATOR,
        ),
        "GET /enrolment-tokens": _paged("List enrolment tokens", "enrolment_tokens", _TOKEN),
        "DELETE /enrolment-tokens/{identifier}": Operation(
            summary="Withdraw an enrolment token", answers={200: Answer("Withdrawn.", _TOKEN)}, auth=_OPERATOR
        ),
        "GET /attestation-rules": _paged("List attestation rules", "attestation_rules", _RULE),
        "PUT /attestation-rules/{identifier}": Operation(
            summary="Keep an attestation rule", answers={200: Answer("Kept.", _RULE)}, body=PutRule, auth=_OPERATOR
        ),
        "DELETE /attestation-rules/{identifier}": Operation(
            summary="Remove an attestation rule",
            answers={200: Answer("Removed.", record(name=TEXT, removed={"const": True}))},
            auth=_OPERATOR,
        ),
        "POST /agents/{identifier}/custodial-key": Operation(
            summary="Make an agent's key here and hand it out sealed",
            answers={201: Answer("Made; it is shown this once.", sealed)},
            body=HandOut,
            auth=_OPERATOR,
        ),
    }
