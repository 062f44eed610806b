"""Routes of the ledger: one door in for parties, reading for callers with `audit:read`."""

from __future__ import annotations

import base64
import hashlib
from typing import Final, Protocol

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from did_agent.adapters.web_input import bearer, plain_app, read_query, request_id, require_media_type
from did_agent.errors import DidAgentError, NotFound
from did_agent.tokens.access_token import HOME
from ledger.api.erasing import add_erasing
from ledger.api.searching import add_searching, number_in, question_of, wire_row
from ledger.api.witnesses import add_witnesses
from ledger.erasing import Erasing
from ledger.model import MAX_PAGE, Accepted
from ledger.service import LedgerService
from ledger.witnessing import Witnessing
from verifier.http import bearer_alone
from verifier.model import Admission
from verifier.service import Verifier, require_scope

READ_SCOPE: Final = "audit:read"


class Watch(Protocol):
    """Watches over the ledger."""

    async def ready(self) -> tuple[int, dict[str, object]]:
        """Return the status and the members of the answer to whether all parts are well."""
        ...

    def taken(self, body: bytes, taken: Accepted) -> None:
        """Note what became of a delivery."""
        ...


def ledger_api(  # noqa: C901, PLR0915  # one short handler per route
    service: LedgerService,
    verifier: Verifier,
    *,
    did: str,
    watch: Watch | None = None,
    witnessing: Witnessing | None = None,
    erasing: Erasing | None = None,
) -> FastAPI:
    """Return the ledger's API."""
    app = plain_app(title="did-agent ledger")

    async def require(request: Request, scope: str) -> Admission:
        try:
            admission = await verifier.admit(bearer_alone(bearer(request)))
            require_scope(admission, scope)
        except DidAgentError as error:
            await verifier.refuse(error, action=scope.replace(":", "."), request_id=request_id(request))
            raise
        return admission

    async def require_reader(request: Request) -> str | None:
        return _view(await require(request, READ_SCOPE))

    @app.post("/events")
    async def take(request: Request) -> JSONResponse:
        require_media_type(request, "application/json")
        body = await request.body()
        taken = await service.take(bearer(request), body)
        if watch is not None:
            watch.taken(body, taken)
        members = {"accepted": taken.accepted, "duplicates": taken.duplicates, "size": taken.size}
        return JSONResponse({**members, "refused": list(taken.refused)} if taken.refused else members)

    @app.get("/events")
    async def rows(request: Request) -> JSONResponse:
        whose = await require_reader(request)
        found = await service.log.rows(question_of(read_query(request), whose))
        return JSONResponse({"events": [wire_row(row) for row in found], "size": await service.log.size()})

    @app.get("/checkpoint")
    async def checkpoint(request: Request) -> Response:
        await require_reader(request)
        query = read_query(request)
        note = await service.log.checkpoint(number_in(query, "size", None) if query.get("size") else None)
        if note is None:
            raise NotFound("there is no such checkpoint")
        tag = f'"{hashlib.sha256(note.encode()).hexdigest()[:32]}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return PlainTextResponse(note, headers={"ETag": tag})

    @app.get("/checkpoints")
    async def checkpoints(request: Request) -> JSONResponse:
        await require_reader(request)
        query = read_query(request)
        limit = min(number_in(query, "limit", 100), MAX_PAGE)
        found = await service.log.checkpoints(number_in(query, "after", 0), limit)
        return JSONResponse({"checkpoints": [{"size": one.size, "note": one.note, "made": one.made} for one in found]})

    @app.get("/proofs/inclusion")
    async def inclusion(request: Request) -> JSONResponse:
        whose = await require_reader(request)
        query = read_query(request)
        identifier = query.get("id")
        if identifier is None:
            seq = number_in(query, "seq", None)
            if whose is not None:
                await service.require_own(seq, whose)
        else:
            seq = await service.find(identifier, organisation=whose)
        at = number_in(query, "size", None) if query.get("size") else None
        size, root, path = await service.prove_inclusion(seq, at)
        members = {"seq": seq, "size": size, "root": _base64(root), "proof": [_base64(node) for node in path]}
        return JSONResponse(members)

    @app.get("/proofs/consistency")
    async def consistency(request: Request) -> JSONResponse:
        await require_reader(request)
        query = read_query(request)
        old, new = number_in(query, "from", None), number_in(query, "to", None)
        path = await service.prove_consistency(old, new)
        return JSONResponse({"from": old, "to": new, "proof": [_base64(node) for node in path]})

    @app.get("/export")
    async def export(request: Request) -> StreamingResponse:
        whose = await require_reader(request)
        return StreamingResponse(service.log.export(whose), media_type="application/jsonl")

    add_searching(app, service, require_reader)
    if witnessing is not None:
        add_witnesses(app, witnessing, require_reader)
    if erasing is not None:
        add_erasing(app, erasing, require)

    @app.get("/key")
    async def key() -> JSONResponse:
        return JSONResponse({"origin": service.origin, "did": did})

    @app.get("/livez")
    async def livez() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        status, members = (200, {"status": "ok", "parts": {}, "size": await service.log.size()})
        if watch is not None:
            status, members = await watch.ready()
        return JSONResponse(members, status_code=status)

    return app


def _view(admission: Admission) -> str | None:
    """Return whose events alone a reader sees: its organisation's; None for those who run the deployment (WEB-02)."""
    return None if admission.organisation == HOME else admission.organisation


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
