"""The endpoints of OAuth in OpenAPI: tokens, their ends, what is public, and the pages people see."""

from __future__ import annotations

from typing import Final

from bridge.api.revocations import Batch
from bridge.grants import jwt_bearer, token_exchange
from bridge.grants.authorization_code import ACTOR_TYPES, CODE_TYPE
from bridge.grants.token_exchange import SUBJECT_TYPES
from did_agent.adapters.openapi import (
    ANY,
    FLAG,
    FORM,
    HTML,
    TEXT,
    WHOLE,
    Answer,
    Operation,
    Schema,
    listed,
    one_of,
    probes,
    record,
)

CLIENT: Final = ("secret", "assertion")  # how a client proves itself
_ANYONE: Final = (*CLIENT, "")  # or it is public, or proves itself by what it shows


def _form(*required: str, **members: Schema) -> Schema:
    return {"type": "object", "properties": members, "required": list(required)}


_NAMED: Final[dict[str, Schema]] = {
    "client_id": TEXT, "client_secret": TEXT, "client_assertion": TEXT, "client_assertion_type": TEXT,
}  # fmt: skip
_GRANTS: Final = (
    "client_credentials", "authorization_code", "refresh_token", token_exchange.GRANT_TYPE, jwt_bearer.GRANT_TYPE,
    "urn:openid:params:grant-type:ciba",
)  # fmt: skip
_TOKEN_REQUEST: Final = _form(
    "grant_type",
    grant_type=one_of(*_GRANTS),
    scope=TEXT,
    resource={"anyOf": [TEXT, listed(TEXT)]},
    audience=TEXT,
    code=TEXT,
    code_verifier=TEXT,
    redirect_uri=TEXT,
    refresh_token=TEXT,
    auth_req_id=TEXT,
    assertion=TEXT,
    subject_token=TEXT,
    subject_token_type=one_of(*SUBJECT_TYPES, CODE_TYPE),
    actor_token=TEXT,
    actor_token_type=one_of(*ACTOR_TYPES),
    requested_token_type=TEXT,
    authorization_details=TEXT,
    task=TEXT,
    **_NAMED,
)
_TOKEN: Final = record(
    "authorization_details",
    "issued_token_type",
    "refresh_token",
    "task",
    access_token=TEXT,
    token_type={"enum": ["Bearer", "DPoP"]},
    expires_in=WHOLE,
    scope=TEXT,
    issued_token_type=TEXT,
    refresh_token=TEXT,
    authorization_details=listed(ANY),
    task=TEXT,
)
_QUESTION: Final[dict[str, Schema]] = {
    "response_type": TEXT,
    "client_id": TEXT,
    "redirect_uri": TEXT,
    "scope": TEXT,
    "state": TEXT,
    "code_challenge": TEXT,
    "code_challenge_method": TEXT,
    "resource": TEXT,
    "requested_actor": TEXT,
    "dpop_jkt": TEXT,
    "authorization_details": TEXT,
    "task": TEXT,
    "prompt": TEXT,
    "request_uri": TEXT,
}
_SHOWN: Final[Schema] = {"type": "string"}
_METADATA: Final[Schema] = {"type": "object", "required": ["issuer", "token_endpoint", "jwks_uri"]}
_REGISTRATION: Final[Schema] = {
    "type": "object",
    "required": ["client_id", "registration_access_token", "registration_client_uri"],
}


def _page(summary: str, *, body: Schema | None = None, query: dict[str, Schema] | None = None) -> Operation:
    answers = {200: Answer("A page.", _SHOWN, HTML), 303: Answer("On to the next page, or back to the client.")}
    return Operation(summary=summary, answers=answers, body=body, media=FORM, query=query or {}, refusals="page")


OAUTH: Final[dict[str, Operation]] = {
    "GET /.well-known/oauth-authorization-server": Operation(
        summary="Metadata (RFC 8414)", answers={200: Answer("The metadata.", _METADATA)}
    ),
    "GET /.well-known/did-agent-trust-list": Operation(
        summary="The issuer's trust list, as it was signed",
        answers={200: Answer("Found.", {"type": "string"}, "application/trust-list+jwt"), 304: Answer("The same.")},
    ),
    "GET /.well-known/jwks.json": Operation(
        summary="Keys (RFC 7517)", answers={200: Answer("The keys.", record(keys=listed(ANY)))}
    ),
    "POST /token": Operation(
        summary="Ask for a token (OAuth 2.1, 3.2; RFC 8693)",
        answers={200: Answer("The token.", _TOKEN)},
        body=_TOKEN_REQUEST,
        media=FORM,
        auth=_ANYONE,
        refusals="oauth",
    ),
    "POST /challenge": Operation(
        summary="Ask for a challenge",
        answers={
            200: Answer(
                "The challenge.",
                record(attestation_challenge=TEXT, c_nonce=TEXT, expires_in=WHOLE, domain=TEXT),
            )
        },
    ),
    "POST /par": Operation(
        summary="Push an authorization request (RFC 9126)",
        answers={201: Answer("Its name.", record(request_uri=TEXT, expires_in=WHOLE))},
        body=_form(**_QUESTION, **{name: schema for name, schema in _NAMED.items() if name != "client_id"}),
        media=FORM,
        auth=CLIENT,
        refusals="oauth",
    ),
    "POST /introspect": Operation(
        summary="Introspect a token (RFC 7662)",
        answers={
            200: Answer(
                "What it says.", {"type": "object", "required": ["active"], "properties": {"active": FLAG}}
            )
        },
        body=_form("token", token=TEXT, token_type_hint=TEXT, **_NAMED),
        media=FORM,
        auth=CLIENT,
        refusals="oauth",
    ),
    "POST /revoke": Operation(
        summary="Revoke a token (RFC 7009)",
        answers={200: Answer("It has ended, or was nothing.")},
        body=_form("token", token=TEXT, token_type_hint=TEXT, **_NAMED),
        media=FORM,
        auth=_ANYONE,
        refusals="oauth",
    ),
    "POST /tasks/complete": Operation(
        summary="End a task and all that was given for it",
        answers={200: Answer("It is over.", record(task=TEXT, completed=FLAG))},
        body=_form("task", task=TEXT, **_NAMED),
        media=FORM,
        auth=("operator", *CLIENT),
        refusals="oauth",
    ),
    "POST /register": Operation(
        summary="Register a client (RFC 7591)",
        answers={201: Answer("The registration.", _REGISTRATION)},
        body=_form("redirect_uris", redirect_uris=listed(TEXT), client_name=TEXT, token_endpoint_auth_method=TEXT),
        auth=("registration", ""),
        refusals="oauth",
    ),
    "GET /register/{client_id}": Operation(
        summary="Read a registration (RFC 7592)",
        answers={200: Answer("The registration.", _REGISTRATION)},
        auth=("registration",),
        refusals="oauth",
    ),
    "DELETE /register/{client_id}": Operation(
        summary="Delete a registration (RFC 7592)",
        answers={204: Answer("Deleted.")},
        auth=("registration",),
        refusals="oauth",
    ),
    "GET /revocations": Operation(
        summary="What has ended, with a long poll",
        answers={
            200: Answer("The news.", record(sets=listed(record(seq=WHOLE, set=TEXT)), cursor=WHOLE))
        },
        query={
            "after": {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
            "wait": {"type": "integer", "minimum": 0, "maximum": 25},
            "subscriber": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,64}$"},
        },
    ),
    "POST /revocations": Operation(
        summary="Tell what has ended (RFC 8935)",
        answers={202: Answer("Heard.")},
        body=TEXT,
        media="application/secevent+jwt",
        refusals="event",
    ),
    "GET /status-lists/tokens/{number}": Operation(
        summary="What became of long-lived tokens (Token Status List)",
        answers={200: Answer("The list, a JWT.", TEXT, "application/statuslist+jwt"), 304: Answer("The same.")},
    ),
    "POST /revocations/batch": Operation(
        summary="Tell much that has ended", answers={202: Answer("Heard.")}, body=Batch, refusals="event"
    ),
    "GET /evidence/{digest}": Operation(
        summary="The delegations behind a token", answers={200: Answer("They are.", record(credentials=listed(ANY)))}
    ),
    "GET /authorize": _page("Ask a person (OAuth 2.1, 4.1)", query=_QUESTION),
    "POST /authorize": _page("Answer the page", body=_form(csrf_token=TEXT, decision=TEXT), query=_QUESTION),
    "GET /account": _page("A person's agents"),
    "POST /account": _page("Sign in or out, or withdraw", body=_form(csrf_token=TEXT, withdraw=TEXT)),
    "GET /account/receipts/{consent_id}": Operation(
        summary="A receipt",
        answers={200: Answer("The receipt, a JWT.", TEXT, "application/consent-receipt+jwt")},
        refusals="page",
    ),
    "POST /bc-authorize": Operation(
        summary="Ask a person who is elsewhere (OpenID CIBA 7)",
        answers={200: Answer("They are asked.", record(auth_req_id=TEXT, expires_in=WHOLE, interval=WHOLE))},
        body=_form(scope=TEXT, login_hint=TEXT, binding_message=TEXT, requested_expiry=TEXT, resource=TEXT, task=TEXT,
            **_NAMED,
        ),
        media=FORM,
        auth=CLIENT,
        refusals="oauth",
    ),
    "GET /account/requests/{digest}": _page("What an agent asks"),
    "POST /account/requests/{digest}": _page("Answer an agent", body=_form(csrf_token=TEXT, decision=TEXT)),
    "GET /login/upstream": _page("To the company's provider"),
    "GET /login/upstream/again": _page("To the company's provider, as somebody else"),
    "GET /login/upstream/callback": _page("Back from the company's provider", query={"state": TEXT, "code": TEXT}),
    "GET /bridge.css": Operation(summary="Colours", answers={200: Answer("CSS.", TEXT, "text/css")}),
    "GET /passkeys.js": Operation(
        summary="The one script", answers={200: Answer("JavaScript.", TEXT, "text/javascript")}
    ),
    **probes(),
}  # fmt: skip
