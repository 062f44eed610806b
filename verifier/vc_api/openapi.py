"""What the VC-API of verifier and holder takes and answers (OpenAPI 3.1; VCALM 0.9, 3.3 and 3.4)."""

from __future__ import annotations

from typing import Final

from did_agent.adapters.openapi import ANY, FLAG, TEXT, Answer, Operation, Schema, listed, record

_VERDICT: Final[Schema] = {
    "type": "object",
    "required": ["verified", "problemDetails"],
    "properties": {"verified": FLAG},
}
_SECURED: Final[Schema] = {"type": ["object", "string"]}
_OK: Final = {200: Answer("It is.", record(status={"const": "ok"}))}
_POLICY: Final[Schema] = {"type": "string", "enum": ["proof", "issuer"]}


def _question(**members: Schema) -> Schema:
    return {"type": "object", "properties": {**members, "options": ANY}, "required": sorted(members)}


_PRESENT: Final = Operation(
    summary="Present",
    answers={201: Answer("Presented.", record("warnings", verifiablePresentation=ANY, warnings=listed(ANY)))},
    body=_question(presentation=ANY),
    refusals="vc",
)
_RESOLUTION: Final = "application/ld+json"

OPERATIONS: Final[dict[str, Operation]] = {
    "POST /credentials/verify": Operation(
        summary="Verify a credential",
        answers={200: Answer("The verdict.", _VERDICT)},
        body=_question(verifiableCredential=_SECURED),
        query={"policy": _POLICY},
        refusals="vc",
    ),
    "POST /presentations/verify": Operation(
        summary="Verify a presentation",
        answers={200: Answer("The verdict.", _VERDICT)},
        body=_question(verifiablePresentation=_SECURED),
        query={"policy": _POLICY},
        refusals="vc",
    ),
    "POST /challenges": Operation(
        summary="Ask for a challenge", answers={200: Answer("It is.", record(challenge=TEXT))}
    ),
    "POST /credentials/derive": Operation(
        summary="Leave things out",
        answers={201: Answer("Derived.", record("warnings", verifiableCredential=ANY, warnings=listed(ANY)))},
        body=_question(verifiableCredential=ANY),
        refusals="vc",
    ),
    "POST /presentations": _PRESENT,
    "POST /presentations/prove": _PRESENT,
    "GET /1.0/identifiers/{identifier}": Operation(
        summary="Resolve a DID or dereference a DID URL",
        answers={200: Answer("The result.", ANY, _RESOLUTION)},
        refusals="did",
    ),
    "GET /livez": Operation(summary="Is it alive?", answers=_OK),
    "GET /readyz": Operation(summary="Is it ready?", answers=_OK),
}  # fmt: skip
