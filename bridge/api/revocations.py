"""The revocation feed: pushed in by issuers (RFC 8935), pulled by verifiers with a long poll (ADR 3)."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from bridge.service.revocation import MAX_WAIT, RevocationFeed
from did_agent import errors
from did_agent.adapters.web import status_of
from did_agent.adapters.web_input import read_json, read_query, request_id, require_media_type

MAX_SETS: Final = 400  # of one batch
_NUMBER: Final = re.compile(r"[0-9]{1,15}")
_SUBSCRIBER: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# RFC 8935, section 2.4.
_ERRORS: Final = {
    errors.UntrustedIssuer: "invalid_issuer",
    errors.WrongAudience: "invalid_audience",
    errors.BadSignature: "authentication_failed",
}


class Batch(BaseModel):
    """Security events that are told in one breath, each a signed SET of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sets: Annotated[list[StrictStr], Field(min_length=1, max_length=MAX_SETS)]
    more: StrictBool = False  # another batch follows at once


def routes(feed: RevocationFeed) -> APIRouter:
    """Return both ends of the feed."""
    router = APIRouter()

    async def push(request: Request) -> Response:
        try:
            require_media_type(request, "application/secevent+jwt")
            token = (await request.body()).decode("latin-1")
            await feed.receive(token, request_id=request_id(request))
        except errors.DidAgentError as error:
            return _refuse(error, request)
        return Response(status_code=202)

    async def push_all(request: Request) -> Response:
        try:
            batch = await read_json(request, Batch)
            await feed.receive_all(batch.sets, more=batch.more, request_id=request_id(request))
        except errors.DidAgentError as error:
            return _refuse(error, request)
        return Response(status_code=202)

    async def poll(request: Request) -> Response:
        query = read_query(request)
        after = _whole(query.get("after") or "0", "after", most=2**53 - 1)
        wait = _whole(query.get("wait") or "0", "wait", most=MAX_WAIT)
        subscriber = query.get("subscriber")
        if subscriber is not None and not _SUBSCRIBER.fullmatch(subscriber):
            raise errors.InvalidParameter("subscriber is not a short identifier")
        asked = asyncio.ensure_future(feed.poll(after=after, wait=wait, subscriber=subscriber))
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            # A verifier that went away must not be waited for, and must not hold up a shutdown.
            await asyncio.wait((asked, gone), return_when=asyncio.FIRST_COMPLETED)
            items = asked.result() if asked.done() else ()
        finally:
            asked.cancel()
            gone.cancel()
            await asyncio.gather(asked, gone, return_exceptions=True)
        cursor = max((seq for seq, _ in items), default=after)
        return JSONResponse({"sets": [{"seq": seq, "set": token} for seq, token in items], "cursor": cursor})

    router.add_api_route("/revocations", push, methods=["POST"], response_model=None)
    router.add_api_route("/revocations/batch", push_all, methods=["POST"], response_model=None)
    router.add_api_route("/revocations", poll, methods=["GET"], response_model=None)
    return router


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _whole(text: str, name: str, *, most: int) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > most:
        raise errors.InvalidParameter(f"{name} is not a whole number up to {most}")
    return int(text)


def _refuse(error: errors.DidAgentError, request: Request) -> Response:
    status = status_of(error)
    word = next((code for family, code in _ERRORS.items() if isinstance(error, family)), "invalid_request")
    answer = {"err": word, "description": error.public, "code": error.code, "request_id": request_id(request)}
    return JSONResponse(answer, status_code=400 if status == 401 else status)
