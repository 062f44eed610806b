"""What the endpoints of trust and did:web take and answer."""

from __future__ import annotations

from typing import Final

from did_agent.adapters.openapi import ANY, MAYBE, TEXT, WHOLE, Answer, Operation, Schema, listed, record
from did_agent.tokens.trust_list import MEDIA_TYPE
from issuer.api.organisations import WAITS
from issuer.api.trust import AddTrust

_OPERATOR: Final = ("operator",)
_MEMBERS: Final[dict[str, Schema]] = {
    "id": TEXT,
    "issuer": TEXT,
    "url": MAYBE,
    "types": listed(TEXT),
    "resources": listed(TEXT),
    "tools": {"type": ["array", "null"], "items": TEXT},
    "valid_from": MAYBE,
    "valid_until": MAYBE,
    "keys": listed(TEXT),
    "note": TEXT,
    "added": TEXT,
    "added_by": TEXT,
}
_LINE: Final = record(**_MEMBERS)
_CHANGED: Final = record(**_MEMBERS, version=WHOLE)
_SIGNED: Final = {200: Answer("Found.", {"type": "string"}, MEDIA_TYPE), 304: Answer("The same as before.")}
_DID: Final = {200: Answer("Found.", ANY, "application/did"), 304: Answer("The same as before.")}

OPERATIONS: Final[dict[str, Operation]] = {
    "POST /trust": Operation(
        summary="Trust an issuer", answers={201: Answer("Listed.", _CHANGED), 202: WAITS}, body=AddTrust, auth=_OPERATOR
    ),
    "GET /trust": Operation(
        summary="List whom we trust",
        answers={200: Answer("Found.", record(trust=listed(_LINE), version=WHOLE))},
        auth=_OPERATOR,
    ),
    "GET /trust/{identifier}": Operation(
        summary="Show a line of trust", answers={200: Answer("Found.", _LINE)}, auth=_OPERATOR
    ),
    "DELETE /trust/{identifier}": Operation(
        summary="Trust an issuer no more", answers={200: Answer("Taken out.", _CHANGED), 202: WAITS}, auth=_OPERATOR
    ),
    "GET /.well-known/did-agent-trust-list": Operation(summary="The signed trust list", answers=_SIGNED),
    "GET /organisations/{organisation}/.well-known/did-agent-trust-list": Operation(
        summary="The signed trust list of an organisation", answers=_SIGNED
    ),
    "GET /.well-known/did.json": Operation(summary="The issuer's did:web document", answers=_DID),
    "GET /.well-known/did-configuration.json": Operation(
        summary="That DID and domain belong together", answers={200: Answer("Found.", ANY), 304: Answer("The same.")}
    ),
    "GET /agents/{slug}/did.json": Operation(summary="An agent's did:web document", answers=_DID),
    "PUT /agents/{identifier}/did-web": Operation(
        summary="Publish an agent's did:web document",
        answers={200: Answer("Published.", record(did=TEXT))},
        auth=_OPERATOR,
    ),
    "DELETE /agents/{identifier}/did-web": Operation(
        summary="Publish it no more", answers={204: Answer("Not published.")}, auth=_OPERATOR
    ),
}
