"""Credential offers in OpenAPI: for operators, and for wallets (OpenID4VCI 1.0)."""

from __future__ import annotations

from typing import Final, get_args

from did_agent.adapters.openapi import (
    ANY,
    FLAG,
    FORM,
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
from issuer.api.offers import CreateOffer
from issuer.api.schemas import Reason
from issuer.configurations import CONFIGURATIONS, PRE_AUTHORIZED
from issuer.model.offers import OfferState, Verdict
from issuer.notifications import EVENTS

WALLET: Final[Schema] = {
    "type": "http",
    "scheme": "bearer",
    "description": "An access token for an offer, from here or from the bridge; with DPoP if it is bound.",
}
_OPERATOR: Final = ("operator",)
_WALLET: Final = ("wallet",)
_LIMIT: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 100}
_CONFIGURATION: Final = one_of(*CONFIGURATIONS)
_MEMBERS: Final[dict[str, Schema]] = {
    "id": TEXT,
    "agent_id": TEXT,
    "state": one_of(*get_args(OfferState)),
    "configurations": listed(_CONFIGURATION),
    "capabilities": listed(ANY),
    "template": MAYBE,
    "copies": WHOLE,
    "issued": named(WHOLE),
    "enrols": FLAG,
    "needs_approval": FLAG,
    "verdict": {"enum": [*get_args(Verdict), None]},
    "person": MAYBE,
    "made_by": TEXT,
    "created": TEXT,
    "expires": TEXT,
}
_OFFER: Final = record(**_MEMBERS)
_MADE: Final = record(**_MEMBERS, credential_offer=ANY, uri=TEXT, uri_by_reference=TEXT, tx_code=MAYBE)
_CREDENTIALS: Final = record(
    "notification_id",
    credentials=listed(record(credential={"type": ["object", "string"]})),
    notification_id=TEXT,
)
_PROMISE: Final = record(transaction_id=TEXT, interval=WHOLE)
_TOKEN_FORM: Final[Schema] = {
    "type": "object",
    "properties": {
        "grant_type": {"const": PRE_AUTHORIZED},
        "pre-authorized_code": TEXT,
        "tx_code": TEXT,
        "client_id": TEXT,
        "authorization_details": TEXT,
        "resource": TEXT,
    },
    "required": ["grant_type", "pre-authorized_code"],
}
_TOKEN: Final = record(
    "authorization_details",
    access_token=TEXT,
    token_type=one_of("Bearer", "DPoP"),
    expires_in=WHOLE,
    authorization_details=listed(ANY),
)
_REQUEST: Final[Schema] = {
    "type": "object",
    "properties": {
        "credential_configuration_id": _CONFIGURATION,
        "credential_identifier": TEXT,
        "proofs": {"type": "object", "properties": {"jwt": listed(TEXT), "di_vp": listed(ANY)}},
    },
    "required": ["proofs"],
}
_DEFERRED: Final[Schema] = {
    "type": "object",
    "properties": {"transaction_id": TEXT},
    "required": ["transaction_id"],
}
_NOTIFICATION: Final[Schema] = {
    "type": "object",
    "properties": {"notification_id": TEXT, "event": one_of(*EVENTS), "event_description": TEXT},
    "required": ["notification_id", "event"],
}
_ISSUED: Final = {200: Answer("Issued.", _CREDENTIALS), 202: Answer("It waits for an approval.", _PROMISE)}


def _metadata(summary: str, media: str = "application/json", schema: Schema = ANY, **path: Schema) -> Operation:
    answers = {200: Answer("Found.", schema, media), 304: Answer("The same.")}
    return Operation(summary=summary, answers=answers, path=path)


OPERATIONS: Final[dict[str, Operation]] = {
    "POST /offers": Operation(
        summary="Offer credentials to an agent",
        answers={201: Answer("Offered; the links and the transaction code are shown this once.", _MADE)},
        body=CreateOffer,
        auth=_OPERATOR,
    ),
    "GET /offers": Operation(
        summary="List offers",
        answers={200: Answer("A page of them, newest first.", record(offers=listed(_OFFER), next=MAYBE))},
        query={"agent": TEXT, "after": TEXT, "limit": _LIMIT},
        auth=_OPERATOR,
    ),
    "GET /offers/{identifier}": Operation(
        summary="Show an offer", answers={200: Answer("Found.", _OFFER)}, auth=_OPERATOR
    ),
    **{
        f"POST /offers/{{identifier}}/{word}": Operation(
            summary=f"{word.capitalize()} an offer",
            answers={200: Answer("Done.", _OFFER)},
            body=Reason,
            auth=_OPERATOR,
        )
        for word in ("approve", "deny", "withdraw")
    },
    "GET /.well-known/openid-credential-issuer/oid4vci": _metadata("The credential issuer (OpenID4VCI 1.0, 12.2)"),
    "GET /.well-known/oauth-authorization-server/oid4vci": _metadata("Its authorization server (RFC 8414)"),
    "GET /.well-known/jwt-vc-issuer": _metadata("The keys of its SD-JWT VCs"),
    "GET /oid4vci/types/{kind}": _metadata("A type of SD-JWT VC", kind=one_of("identity", "capability")),
    "GET /oid4vci/offers/{handle}": Operation(summary="An offer, by its secret", answers={200: Answer("Found.", ANY)}),
    "GET /token-status-lists/{number}": _metadata(
        "Status of SD-JWT VCs (Token Status List)",
        "application/statuslist+jwt",
        TEXT,
        number={"type": "string", "pattern": "^[1-9][0-9]{0,5}$"},
    ),
    "POST /oid4vci/token": Operation(
        summary="Redeem a pre-authorized code (6.1)",
        answers={200: Answer("Redeemed.", _TOKEN)},
        body=_TOKEN_FORM,
        media=FORM,
        refusals="oauth",
    ),
    "POST /oid4vci/nonce": Operation(
        summary="A fresh nonce for a key proof (7)",
        answers={200: Answer("Good once, for two minutes.", record(c_nonce=TEXT))},
        refusals="oauth",
    ),
    "POST /oid4vci/credential": Operation(
        summary="Ask for a credential (8)", answers=_ISSUED, body=_REQUEST, auth=_WALLET, refusals="oauth"
    ),
    "POST /oid4vci/deferred": Operation(
        summary="Ask again for what was promised (9)", answers=_ISSUED, body=_DEFERRED, auth=_WALLET, refusals="oauth"
    ),
    "POST /oid4vci/notification": Operation(
        summary="Tell what became of credentials (11)",
        answers={204: Answer("Noted.")},
        body=_NOTIFICATION,
        auth=_WALLET,
        refusals="oauth",
    ),
}
