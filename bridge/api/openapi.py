"""What the bridge's endpoints take and answer (OpenAPI 3.1): for programs; people's pages are named alone."""

from __future__ import annotations

from typing import Final

from bridge.api.admin import PlaceBody, ResourceBody, UserBody
from bridge.api.authzen import EvaluationBody, EvaluationsBody
from bridge.api.clients import ClientBody
from bridge.api.ending import SubjectBody
from bridge.api.federation import IdentityBody, IssuerName, TrustedIssuerBody
from bridge.api.keys import RevocationBody, RotationBody
from bridge.api.openapi_oauth import CLIENT, OAUTH
from bridge.api.operators import OperatorBody
from bridge.api.policy import ApprovalBody, GroupsBody, PolicyBody, RollbackBody
from bridge.api.signals import SignalBody
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

SECURITY: Final[dict[str, Schema]] = {
    "operator": {"type": "http", "scheme": "bearer", "description": "An access token with `bridge:admin`."},
    "registration": {"type": "http", "scheme": "bearer", "description": "The token of RFC 7592, or the initial one."},
    "secret": {"type": "http", "scheme": "basic", "description": "A client's id and secret."},
    "assertion": {
        "type": "apiKey",
        "in": "query",
        "name": "client_assertion",
        "description": "In the form: `private_key_jwt` (RFC 7523), with `client_assertion_type`.",
    },
}

_DONE: Final = {204: Answer("Done.")}
_OPERATOR: Final = ("operator",)
_RESOURCE: Final = record(
    resource=TEXT,
    name=TEXT,
    built_in=FLAG,
    binding=one_of("any", "required"),
    admits=one_of("agents", "clients"),
    signing_alg=TEXT,
    organisation=TEXT,
    shared_with=listed(TEXT),
    scopes=named(TEXT),
)
_USER: Final = record(
    username=TEXT,
    name=TEXT,
    rights=named(listed(TEXT)),
    groups=listed(TEXT),
    organisation=TEXT,
    operates=listed(TEXT),
)
_LENDING: Final = record(giver=TEXT, taker=TEXT, since=TEXT)
_OF_ORGANISATION: Final = record(did=TEXT, name=TEXT, organisation=TEXT, role=TEXT, added=TEXT)
_CLIENT: Final = record(
    "client_secret",
    client_id=TEXT,
    name=TEXT,
    redirect_uris=listed(TEXT),
    auth_method=TEXT,
    agent=MAYBE,
    keys=listed(ANY),
    certificate_name={"type": ["object", "null"]},
    resources=listed(TEXT),
    require_pushed=FLAG,
    operates=FLAG,
    client_secret=TEXT,
)
_ISSUER: Final = record(
    issuer=TEXT, name=TEXT, jwks_uri=MAYBE, vouches_for_users=FLAG, rules=listed(ANY)
)  # fmt: skip
_KEY: Final = record(
    kid=TEXT, algorithm=TEXT, state=TEXT, provider=TEXT, activates=MAYBE, replaced=MAYBE, revoked=MAYBE
)  # fmt: skip
_TASK: Final = record(
    task=TEXT, name=TEXT, principal=TEXT, principal_kind=TEXT, client_id=TEXT, resource=TEXT, started=TEXT
)  # fmt: skip
_SIGNAL: Final = record(subject=TEXT, level=WHOLE, source=TEXT, until=TEXT, reason=TEXT)
_POLICY_RECORD: Final = record(
    version=WHOLE,
    digest=TEXT,
    published=TEXT,
    by=TEXT,
    note=TEXT,
    restores={"type": ["integer", "null"]},
    approvers=listed(TEXT),
)
_POLICY: Final = {"type": "object", "required": ["version", "policy", "cases"]}
_DECISION: Final = record(decision=FLAG, context=ANY)
_DECISIONS: Final = {"anyOf": [_DECISION, record(evaluations=listed(_DECISION))]}


def _admin(summary: str, answer: Schema | None, body: type | None = None, status: int = 200) -> Operation:
    answers = _DONE if answer is None else {status: Answer("Done.", answer)}
    return Operation(summary=summary, answers=answers, body=body, auth=_OPERATOR)


ADMINISTRATION: Final[dict[str, Operation]] = {
    "GET /resources": _admin("List resources", record(resources=listed(_RESOURCE))),
    "PUT /resources": _admin("Register a resource", _RESOURCE, ResourceBody),
    "GET /users": _admin("List people", record(users=listed(_USER))),
    "PUT /users/{username}": _admin("Make or change a person's account", _USER, UserBody),
    "DELETE /users/{username}": _admin("Delete a person's account", None),
    "PUT /user-organisations": _admin("Say whose a person is, and as what they operate it", _USER, PlaceBody),
    "GET /lendings": _admin("List whose agents act for whom", record(lendings=listed(_LENDING))),
    "PUT /lendings/{giver}/{taker}": _admin("Let agents of one organisation act for another", _LENDING),
    "DELETE /lendings/{giver}/{taker}": _admin("Take that back", None),
    "PUT /user-groups": _admin("Set a person's groups", _USER, GroupsBody),
    "GET /operators": _admin("List operators of organisations", record(operators=listed(_OF_ORGANISATION))),
    "PUT /operators/{did}": _admin("Let somebody operate an organisation", _OF_ORGANISATION, OperatorBody),
    "DELETE /operators/{did}": _admin("Take that back", None),
    "GET /clients": _admin("List clients", record(clients=listed(_CLIENT))),
    "PUT /clients/{client_id}": _admin("Register a client", _CLIENT, ClientBody),
    "DELETE /clients/{client_id}": _admin("Delete a client", None),
    "GET /trusted-issuers": _admin("List whom the bridge believes", record(trusted_issuers=listed(_ISSUER))),
    "PUT /trusted-issuers": _admin("Believe an issuer", _ISSUER, TrustedIssuerBody),
    "DELETE /trusted-issuers": _admin("Believe an issuer no more", None, IssuerName),
    "PUT /identities": _admin("Link a provider's user to an account", None, IdentityBody),
    "GET /signing-keys": _admin("List signing keys", record(signing_keys=listed(_KEY))),
    "POST /signing-keys": _admin("Rotate", _KEY, RotationBody, status=201),
    "POST /signing-keys/{kid}/revoke": _admin("Revoke a signing key", None, RevocationBody),
    "POST /revoke-subject": _admin("End everything of a subject", None, SubjectBody),
    "GET /tasks": _admin("List running tasks", record(tasks=listed(_TASK))),
    "GET /signals": Operation(
        summary="List risk signals",
        answers={200: Answer("They are.", record(signals=listed(_SIGNAL)))},
        auth=(*_OPERATOR, *CLIENT),
    ),
    "POST /signals": Operation(
        summary="Say how risky somebody is",
        answers={200: Answer("Done.", _SIGNAL)},
        body=SignalBody,
        auth=(*_OPERATOR, *CLIENT),
    ),
    "GET /policy": _admin("Show the policy", _POLICY),
    "PUT /policy": _admin("Publish a policy", _POLICY_RECORD, PolicyBody),
    "GET /policy/versions": _admin("List versions", record(versions=listed(_POLICY_RECORD))),
    "GET /policy/versions/{number}": _admin("Show a version", _POLICY),
    "POST /policy/approvals": _admin(
        "Approve a policy", record(digest=TEXT, approvers=listed(TEXT)), ApprovalBody
    ),
    "POST /policy/rollback": _admin("Go back to a version", _POLICY_RECORD, RollbackBody),
    "POST /upstream/test": _admin("Examine the upstream provider", record(issuer=TEXT, ok=FLAG, steps=listed(ANY))),
}  # fmt: skip

DECISIONS: Final[dict[str, Operation]] = {
    "GET /policy/bundle": Operation(
        summary="Fetch the signed policy",
        answers={200: Answer("The bundle, a JWT.", TEXT, "application/policy-bundle+jwt"), 304: Answer("The same.")},
        auth=("", *_OPERATOR, *CLIENT),  # "": before anything was published
    ),
    "POST /access/v1/evaluation": Operation(
        summary="Decide (AuthZEN 1.0)",
        answers={200: Answer("The decision.", _DECISION)},
        body=EvaluationBody,
        auth=(*_OPERATOR, *CLIENT),
    ),
    "POST /access/v1/evaluations": Operation(
        summary="Decide on several (AuthZEN 1.0)",
        answers={200: Answer("The decisions.", _DECISIONS)},
        body=EvaluationsBody,
        auth=(*_OPERATOR, *CLIENT),
    ),
    "GET /.well-known/authzen-configuration": Operation(
        summary="Where decisions are made", answers={200: Answer("The metadata.", named(TEXT))}
    ),
}

OPERATIONS: Final[dict[str, Operation]] = {**OAUTH, **ADMINISTRATION, **DECISIONS}
