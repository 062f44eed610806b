"""What the ledger's endpoints take and answer (OpenAPI 3.1)."""

from __future__ import annotations

from typing import Final

from did_agent.adapters.openapi import ANY, TEXT, WHOLE, Answer, Operation, Schema, listed, one_of, probes, record
from ledger.api.erasing import ERASING_OPERATIONS
from ledger.api.witnesses import WITNESS_OPERATIONS

SECURITY: Final[dict[str, Schema]] = {
    "party": {"type": "http", "scheme": "bearer", "description": "An audit-batch+jwt over the body, by its sender."},
    "reader": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token with `audit:read`; with `audit:erase` to erase.",
    },
}
_NUMBER: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}

_FILTERS: Final[dict[str, Schema]] = {
    "after": _NUMBER,
    "before": _NUMBER,
    "limit": _NUMBER,
    "newest": one_of("true", "false"),
    "principal": TEXT,
    "actor": TEXT,
    "target": TEXT,
    "action": TEXT,
    "decision": one_of("allow", "deny"),
    "reason": TEXT,
    "request_id": TEXT,
    "credential": TEXT,
    "task": TEXT,
    "since": TEXT,
    "until": TEXT,
    "id": TEXT,
}
_TAKEN: Final = record("refused", accepted=WHOLE, duplicates=WHOLE, size=WHOLE, refused=listed(TEXT))


def _read(summary: str, answer: Answer, *required: str, **query: Schema) -> Operation:
    return Operation(summary=summary, answers={200: answer}, query=query, required=required, auth=("reader",))


OPERATIONS: Final[dict[str, Operation]] = {
    "POST /events": Operation(
        summary="Deliver audit events",
        answers={
            200: Answer("Taken.", record("refused", accepted=WHOLE, duplicates=WHOLE, size=WHOLE, refused=listed(TEXT)))
        },
        body=record(events=listed(ANY)),
        auth=("party",),
    ),
    "GET /events": _read(
        "Read the log",
        Answer(
            "A page of it.",
            record(events=listed(record("salts", seq=WHOLE, leaf=TEXT, event=ANY, salts=ANY)), size=WHOLE),
        ),
        **_FILTERS,
    ),
    "GET /events/stream": _read(
        "The live end of the log as server-sent events, for a minute at a time",
        Answer("One event `row` for each, its id the row number.", TEXT, "text/event-stream"),
        **_FILTERS,
    ),
    "GET /usage": _read(
        "Decisions by the hour, and what was refused most",
        Answer(
            "Counts of at most 31 days.",
            record(
                hours=listed(record(hour=TEXT, allow=WHOLE, deny=WHOLE)),
                refusals=listed(record(reason=TEXT, count=WHOLE)),
            ),
        ),
        "since",
        "until",
        since=TEXT,
        until=TEXT,
    ),
    "GET /checkpoint": Operation(
        summary="The signed checkpoint, the newest or that of a size",
        answers={200: Answer("A signed note.", TEXT, "text/plain"), 304: Answer("The same.")},
        query={"size": _NUMBER},
        auth=("reader",),
    ),
    "GET /checkpoints": _read(
        "Every signed checkpoint, the smallest first",
        Answer("A page of them.", record(checkpoints=listed(record(size=WHOLE, note=TEXT, made=WHOLE)))),
        after=_NUMBER,
        limit=_NUMBER,
    ),
    "GET /proofs/inclusion": _read(
        "That a row is in the log: one of its number or the event's id is asked for",
        Answer("The proof.", record(seq=WHOLE, size=WHOLE, root=TEXT, proof=listed(TEXT))),
        seq=_NUMBER,
        id=TEXT,
        size=_NUMBER,
    ),
    "GET /proofs/consistency": _read(
        "That the log only grew",
        Answer("The proof.", record(**{"from": WHOLE}, to=WHOLE, proof=listed(TEXT))),
        "from",
        "to",
        **{"from": _NUMBER},
        to=_NUMBER,
    ),
    "GET /export": _read("The whole log", Answer("One event a line.", TEXT, "application/jsonl")),
    "GET /key": Operation(summary="Who seals", answers={200: Answer("This one.", record(origin=TEXT, did=TEXT))}),
    **ERASING_OPERATIONS,
    **WITNESS_OPERATIONS,
    **probes(size={"type": ["integer", "null"]}),
}
