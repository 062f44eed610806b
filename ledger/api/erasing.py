"""The route of erasure: `POST /erasures` for who holds `audit:erase`."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse

from did_agent.adapters.openapi import TEXT, WHOLE, Answer, Operation, record
from did_agent.adapters.web_input import read_json, request_id
from did_agent.errors import InvalidParameter
from did_agent.tokens.access_token import HOME
from ledger.erasing import Erasing, month_before
from ledger.model import Erasure
from verifier.model import Admission

ERASE_SCOPE: Final = "audit:erase"
_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)

ERASING_OPERATIONS: Final[dict[str, Operation]] = {
    "POST /erasures": Operation(
        summary="End the personal fields of one person, of the months before one, or both; nothing brings them back",
        answers={200: Answer("How many keys ended, and in how many rows they stood.", record(keys=WHOLE, rows=WHOLE))},
        body=record("person", "before", person=TEXT, before=TEXT),
        auth=("reader",),
    ),
}


class ErasureBody(BaseModel):
    """`POST /erasures`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    person: str | None = Field(default=None, min_length=1, max_length=512)
    before: str | None = Field(default=None, max_length=7)


def add_erasing(app: FastAPI, erasing: Erasing, require: Callable[[Request, str], Awaitable[Admission]]) -> None:
    """Add the route; `require` refuses whoever has not the scope."""

    @app.post("/erasures")
    async def erase(request: Request) -> JSONResponse:
        by = await require(request, ERASE_SCOPE)
        body = await read_json(request, ErasureBody)
        if body.person is None and body.before is None:
            raise InvalidParameter("whose fields, or those before which month: person, before")
        if body.before is not None and not _is_over(body.before, erasing):
            raise InvalidParameter("before is a month like 2026-01, at most the present one")
        whose = None if by.organisation == HOME else by.organisation
        asked = Erasure(person=body.person, before=body.before, organisation=whose)
        erased = await erasing.erase(asked, by=by, request_id=request_id(request))
        return JSONResponse({"keys": erased.keys, "rows": erased.rows})


def _is_over(month: str, erasing: Erasing) -> bool:
    return _MONTH.fullmatch(month) is not None and month <= month_before(erasing.service.clock(), 0)
