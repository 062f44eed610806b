"""Routes of witnesses: they deliver what they signed, and readers see it under its checkpoint."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse

from did_agent.adapters.openapi import TEXT, WHOLE, Answer, Operation, listed, record
from did_agent.adapters.web_input import read_json, read_query
from did_agent.audit.cosignature import MAX_LINE
from did_agent.errors import InvalidParameter
from ledger.witnessing import CosignedNote, Witnessing

_DIGITS: Final = 15  # of a size
_SHOWN: Final = record(size=WHOLE, checkpoint=TEXT, cosignatures=listed(TEXT))

WITNESS_OPERATIONS: Final[dict[str, Operation]] = {
    "POST /checkpoints/{size}/cosignatures": Operation(
        summary="Co-sign a checkpoint, as a witness that the ledger is set up with",
        answers={200: Answer("Taken.", record(size=WHOLE, witness=TEXT, time=TEXT))},
        body=record(cosignature=TEXT),
    ),
    "GET /checkpoints/{size}/cosignatures": Operation(
        summary="What witnesses signed of one checkpoint",
        answers={200: Answer("The checkpoint and their lines.", _SHOWN)},
        auth=("reader",),
    ),
    "GET /cosignatures": Operation(
        summary="The newest checkpoint that a witness signed; over so many rows at least, the one that most signed",
        answers={200: Answer("The checkpoint and their lines.", _SHOWN)},
        query={"least": {"type": "integer", "minimum": 0, "maximum": 10**_DIGITS - 1}},
        auth=("reader",),
    ),
}


class CosignatureBody(BaseModel):
    """`POST /checkpoints/{size}/cosignatures`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    cosignature: str = Field(min_length=1, max_length=MAX_LINE)


def add_witnesses(app: FastAPI, witnessing: Witnessing, require_reader: Callable[[Request], Awaitable[Any]]) -> None:
    """Add the routes; `require_reader` refuses whoever may not read the log."""

    @app.post("/checkpoints/{size}/cosignatures")
    async def take(request: Request, size: str) -> JSONResponse:
        body = await read_json(request, CosignatureBody)
        found = await witnessing.take(_size(size), body.cosignature)
        return JSONResponse({"size": _size(size), "witness": found.name, "time": f"{found.time:%FT%TZ}"})

    @app.get("/checkpoints/{size}/cosignatures")
    async def of(request: Request, size: str) -> JSONResponse:
        await require_reader(request)
        return JSONResponse(_wire(await witnessing.show(_size(size))))

    @app.get("/cosignatures")
    async def newest(request: Request) -> JSONResponse:
        await require_reader(request)
        least = read_query(request).get("least")
        return JSONResponse(_wire(await witnessing.show(None, least=None if least is None else _size(least))))


def _wire(found: CosignedNote) -> dict[str, object]:
    return {"size": found.size, "checkpoint": found.note, "cosignatures": list(found.lines)}


def _size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < len(text) <= _DIGITS:
        raise InvalidParameter("a checkpoint is named by its number of rows")
    return int(text)
