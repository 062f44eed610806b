"""`/trust`: operators say whom their organisation trusts; the list itself is signed, for anyone to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StrictStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_json
from did_agent.clock import format_timestamp
from did_agent.credential.trust import KINDS, Kind
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.tokens.trust_list import MAX_NAMES, MEDIA_TYPE, PATH, TrustEntry
from issuer.access import ADMINS, MANAGERS, PUBLIC
from issuer.api.routes import Route
from issuer.model import HOME, Operator
from issuer.model.trust import TrustLine
from issuer.service.trust import TrustRegistry

MAX_AGE: Final = 2  # s; whoever keeps it longer hears late of what was taken out
Name = Annotated[StrictStr, Field(min_length=1, max_length=2_048)]
Names = Annotated[list[Name], Field(min_length=1, max_length=MAX_NAMES)]
Moment = Annotated[StrictStr, Field(min_length=20, max_length=40)]


class AddTrust(BaseModel):
    """Whom to trust, and for what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: Name
    url: Name | None = None
    types: Annotated[list[Kind], Field(min_length=1, max_length=len(KINDS))] = ["capability", "status"]
    resources: Names
    tools: Names | None = None
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    keys: Annotated[list[Name], Field(max_length=MAX_NAMES)] = []
    note: Annotated[StrictStr, Field(max_length=256)] = ""

    def entry(self) -> TrustEntry:
        """Return what is listed; the service gives it its id.

        Raises: BadTimestamp.
        """
        return TrustEntry(
            id="",
            issuer=self.issuer,
            url=self.url,
            kinds=frozenset(self.types),
            resources=frozenset(self.resources),
            tools=None if self.tools is None else frozenset(self.tools),
            valid_from=None if self.valid_from is None else parse_timestamp(self.valid_from),
            valid_until=None if self.valid_until is None else parse_timestamp(self.valid_until),
            keys=frozenset(self.keys),
        )


def routes(service: TrustRegistry) -> Sequence[Route]:
    """Return the routes of trust."""

    async def add(request: Request, by: Operator) -> Response:
        body = await read_json(request, AddTrust)
        line, version = await service.add(body.entry(), note=body.note, by=by)
        return JSONResponse({**_out(line), "version": version}, status_code=201)

    async def listed(_request: Request, by: Operator) -> Response:
        lines, version = await service.list(by=by)
        return JSONResponse({"trust": [_out(line) for line in lines], "version": version})

    async def show(request: Request, by: Operator) -> Response:
        return JSONResponse(_out(await service.show(request.path_params["identifier"], by=by)))

    async def remove(request: Request, by: Operator) -> Response:
        line, version = await service.remove(request.path_params["identifier"], by=by)
        return JSONResponse({**_out(line), "version": version})

    async def published(request: Request, _by: Operator) -> Response:
        text = await service.published(request.path_params.get("organisation", HOME))
        tag = f'"{digest_uri(text.encode())[-43:]}"'
        headers = {"Cache-Control": f"public, max-age={MAX_AGE}", "ETag": tag, "Access-Control-Allow-Origin": "*"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(text, media_type=MEDIA_TYPE, headers=headers)

    one, auditors = "/trust/{identifier}", MANAGERS | {"auditor"}
    return (
        Route(method="POST", path="/trust", action="trust.add", access=ADMINS, handler=add, control="trust"),
        Route(method="GET", path="/trust", action="trust.list", access=auditors, handler=listed),
        Route(method="GET", path=one, action="trust.show", access=auditors, handler=show),
        Route(method="DELETE", path=one, action="trust.remove", access=ADMINS, handler=remove, control="trust"),
        Route(method="GET", path=PATH, action="trust.read", access=PUBLIC, handler=published),
        Route(
            method="GET",
            path="/organisations/{organisation}" + PATH,
            action="trust.read",
            access=PUBLIC,
            handler=published,
        ),
    )


def _out(line: TrustLine) -> dict[str, object]:
    entry = line.entry
    return {
        "id": entry.id,
        "issuer": entry.issuer,
        "url": entry.url,
        "types": sorted(entry.kinds),
        "resources": sorted(entry.resources),
        "tools": None if entry.tools is None else sorted(entry.tools),
        "valid_from": None if entry.valid_from is None else format_timestamp(entry.valid_from),
        "valid_until": None if entry.valid_until is None else format_timestamp(entry.valid_until),
        "keys": sorted(entry.keys),
        "note": line.note,
        "added": format_timestamp(line.added),
        "added_by": line.added_by,
    }
