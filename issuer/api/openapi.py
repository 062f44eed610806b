"""What the issuer's endpoints take and answer (OpenAPI 3.1), those of its interop profile included."""

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
    named,
    one_of,
    probes,
    record,
)
from did_agent.credential.published_schema import published_schemas
from issuer.api import openapi_offers, openapi_trust
from issuer.api.issuing_keys import ISSUER_KEYS
from issuer.api.keys import key_operations
from issuer.api.openapi_delegations import DELEGATIONS
from issuer.api.openapi_enrolment import enrolment_operations
from issuer.api.openapi_grants import GRANTS
from issuer.api.openapi_registry import registry_operations
from issuer.api.organisations import ORGANISATIONS
from issuer.api.principals import PRINCIPALS
from issuer.api.schemas import CreateAgent, IssueCredential, Reason
from issuer.model import Custody, GrantState, State

SECURITY: Final[dict[str, Schema]] = {
    "operator": {"type": "http", "scheme": "bearer", "description": "An access token with `issuer:admin`."},
    "agent": {"type": "http", "scheme": "bearer", "description": "A fresh `vp+jwt` by the agent's key, used once."},
    "wallet": openapi_offers.WALLET,
    "reader": {"type": "http", "scheme": "bearer", "description": "An access token with `registry:read`."},
}
_OPERATOR: Final = ("operator",)
_BOTH: Final = ("operator", "reader")
_OK: Final = {200: Answer("It is.", record(status={"const": "ok"}))}
_AGENT_MEMBERS: Final[dict[str, Schema]] = {
    "agent_id": TEXT,
    "did": MAYBE,
    "name": TEXT,
    "state": one_of(*get_args(State)),
    "sponsor": TEXT,
    "owner": TEXT,
    "organisation": TEXT,
    "description": TEXT,
    "metadata": named(TEXT),
    "redirect_uris": listed(TEXT),
    "tags": listed(TEXT),
    "groups": listed(TEXT),
    "template": MAYBE,
    "custody": one_of(*get_args(Custody)),
    "created": TEXT,
    "changed": TEXT,
}
_AGENT: Final = record(**_AGENT_MEMBERS)
_GRANT: Final = record(
    id=TEXT,
    agent=TEXT,
    agent_id=TEXT,
    state=one_of(*get_args(GrantState)),
    issued=TEXT,
    valid_until=TEXT,
    template=MAYBE,
    role=MAYBE,
    request=MAYBE,
    begun=TEXT,
    renewed_to=MAYBE,
    renewable_until=MAYBE,
    credential=ANY,
)
_INVITED: Final = record(**_AGENT_MEMBERS, enrolment=record(challenge=TEXT, domain=TEXT, expires_in=WHOLE))
_PURPOSE: Final = one_of("revocation", "suspension")
_NUMBER: Final[Schema] = {"type": "string", "pattern": "^[1-9][0-9]{0,5}$"}
_SCHEMA: Final = one_of(*sorted(url.rsplit("/", 2)[1] for url in published_schemas()))
_LIMIT: Final = {"type": "integer", "minimum": 1, "maximum": 100}
_SECURED: Final = record("warnings", verifiableCredential={"type": ["object"]}, warnings=listed(ANY))
_ISSUE: Final[Schema] = {"type": "object", "properties": {"credential": ANY, "options": ANY}}
_UPDATE: Final[Schema] = {
    "type": "object",
    "properties": {"credentialId": TEXT, "credentialStatus": ANY, "status": FLAG},
    "required": ["credentialId", "credentialStatus"],
}


def _get(summary: str, schema: Schema, *auth: str, media: str = "application/json", **path: Schema) -> Operation:
    answers = {200: Answer("Found.", schema, media)}
    return Operation(summary=summary, answers=answers, auth=auth, path=path)


def _cached(summary: str, *, media: str, **path: Schema) -> Operation:
    answers = {200: Answer("Found.", ANY, media), 304: Answer("The same.")}
    return Operation(summary=summary, answers=answers, path=path)


OPERATIONS: Final[dict[str, Operation]] = {
    "POST /agents": Operation(
        summary="Register an agent",
        answers={201: Answer("Registered, with its invitation.", _INVITED)},
        body=CreateAgent,
        auth=_OPERATOR,
    ),
    "GET /agents/{identifier}": _get("Show an agent", _AGENT, *_BOTH),
    "POST /agents/{identifier}/credentials": Operation(
        summary="Issue a credential",
        answers={201: Answer("Issued.", record(credential=ANY))},
        body=IssueCredential,
        auth=_OPERATOR,
    ),
    **{
        f"POST /agents/{{identifier}}/{change}": Operation(
            summary=f"{change.capitalize()} an agent",
            answers={200: Answer("Done.", record(**_AGENT_MEMBERS, propagated=FLAG))},
            body=Reason,
            auth=_OPERATOR,
        )
        for change in ("suspend", "resume", "retire")
    },
    "GET /credentials": Operation(
        summary="List credentials",
        answers={200: Answer("The newest first.", record(credentials=listed(_GRANT), next=MAYBE))},
        query={"agent": TEXT, "state": one_of(*get_args(GrantState)), "limit": _LIMIT, "after": TEXT},
        auth=_OPERATOR,
    ),
    "GET /credentials/{identifier}": _get("Show a credential", _GRANT, *_OPERATOR),
    "POST /credentials/{identifier}/revoke": Operation(
        summary="Revoke a credential",
        answers={200: Answer("Revoked.", record(id=TEXT, state={"const": "revoked"}, propagated=FLAG))},
        body=Reason,
        auth=_OPERATOR,
    ),
    "GET /registry/{identifier}": _get(
        "What an agent is and holds now", record(**_AGENT_MEMBERS, credentials=listed(ANY)), "reader"
    ),
    "GET /status-lists/{purpose}/{number}": _cached(
        "A status list", media="application/vc", purpose=_PURPOSE, number=_NUMBER
    ),
    **DELEGATIONS,
    **ORGANISATIONS,
    **ISSUER_KEYS,
    **PRINCIPALS,
    **GRANTS,
    **key_operations(_AGENT_MEMBERS),
    **enrolment_operations(_AGENT_MEMBERS),
    **registry_operations(_AGENT, _INVITED),
    "GET /contexts/capability/v1": _cached("The JSON-LD context", media="application/ld+json"),
    "GET /schemas/{name}/v1": _get("A JSON schema", ANY, media="application/schema+json", name=_SCHEMA),
    "GET /.well-known/did-agent-issuer": _get("Who this is", record(did=TEXT, url=TEXT)),
    **probes(),
    **openapi_offers.OPERATIONS,
    **openapi_trust.OPERATIONS,
    "POST /vc-api/credentials/issue": Operation(
        summary="Issue for interop (VCALM 0.9, 3.2.1)",
        answers={201: Answer("Issued.", _SECURED)},
        body=_ISSUE,
        query={"statusPurpose": _PURPOSE},
        refusals="vc",
    ),
    "POST /vc-api/credentials/status": Operation(
        summary="Set a status (VCALM 0.9, 3.2.2)", answers={200: Answer("Set.", ANY)}, body=_UPDATE, refusals="vc"
    ),
    "GET /vc-api/credentials/issuers": _get("Who issues", record(issuers=listed(ANY))),
    "GET /vc-api/credentials/{name}": Operation(
        summary="A credential", answers={200: Answer("Found.", _SECURED)}, refusals="vc"
    ),
    "GET /vc-api/status-lists/{purpose}": Operation(
        summary="A status list", answers={200: Answer("Found.", ANY)}, path={"purpose": _PURPOSE}, refusals="vc"
    ),
}
