"""Importing agents in batches: a row that cannot be is told of and leaves the others alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import require_media_type
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import InvalidParameter
from issuer.access import OWNERS
from issuer.api.routes import Route
from issuer.api.schemas_registry import Import, ImportedAgent, result_out
from issuer.model import Operator
from issuer.model.registry import RowResult
from issuer.service.imports import Imports, Listed, refused

PATH: Final = "/agents/import"
MAX_IMPORT: Final = 1_048_576  # bytes of a batch
LARGER: Final = MappingProxyType({PATH: MAX_IMPORT})  # bodies that the edge lets through


def routes(service: Imports) -> Sequence[Route]:
    """Return the route of imports."""

    async def run(request: Request, by: Operator) -> Response:
        require_media_type(request, "application/json")
        rows = _batch(parse_object(await request.body(), max_bytes=MAX_IMPORT)).rows
        read = [_read(row, number) for number, row in enumerate(rows, 1)]
        asked: dict[str, Listed] = {}
        for row in read:
            if isinstance(row, Listed):
                asked.setdefault(row.key, row)
        done = {result.key: result for result in await service.run(list(asked.values()), by=by)}
        results = [_result(row, asked, done) for row in read]
        counts = Counter(result.outcome for result in results)
        return JSONResponse(
            {
                **{word: counts[word] for word in ("created", "exists", "refused")},
                "rows": [result_out(result, row=number) for number, result in enumerate(results, 1)],
            }
        )

    return (Route(method="POST", path=PATH, action="agent.import", access=OWNERS, handler=run),)


def _batch(members: Mapping[str, object]) -> Import:
    try:
        return Import.model_validate(members)
    except ValidationError as error:
        raise _invalid(error) from error


def _read(row: Mapping[str, Any], number: int) -> Listed | RowResult:
    try:
        return ImportedAgent.model_validate(row).listed()
    except ValidationError as error:
        key = row.get("key") or row.get("name")
        return refused(key[:128] if isinstance(key, str) else f"row {number}", _invalid(error))


def _result(row: Listed | RowResult, asked: Mapping[str, Listed], done: Mapping[str, RowResult]) -> RowResult:
    if isinstance(row, RowResult):
        return row
    if asked[row.key] is not row:
        return refused(row.key, InvalidParameter("key: another row of this batch has it"))
    return done[row.key]


def _invalid(error: ValidationError) -> InvalidParameter:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    return InvalidParameter(f"{where}: {first['msg']}")
