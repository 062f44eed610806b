"""The revocation feed: pushed in by issuers (RFC 8935), pulled by verifiers with a long poll (ADR 3)."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from bridge.service.revocation import MAX_WAIT, RevocationFeed, cursor
from did_agent.adapters.web import status_of
from did_agent.adapters.web_input import read_query, request_id, require_media_type
from did_agent.errors import (
    BadJOSE,
    BadSignature,
    DidAgentError,
    InvalidParameter,
    UntrustedIssuer,
    WrongAudience,
    WrongKey,
)

_NUMBER: Final = re.compile(r"[0-9]{1,15}")
_SUBSCRIBER: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# RFC 8935, section 2.4.
_ERRORS: Final = (
    (UntrustedIssuer, "invalid_issuer"),
    (WrongAudience, "invalid_audience"),
    (BadSignature, "authentication_failed"),
    (WrongKey, "invalid_key"),
)


def routes(feed: RevocationFeed) -> APIRouter:
    """Return both ends of the feed."""
    router = APIRouter()

    async def push(request: Request) -> Response:
        try:
            require_media_type(request, "application/secevent+jwt")
            token = (await request.body()).decode("ascii", errors="replace")
            if not token.isascii():
                raise BadJOSE("not a compact JWS")
            await feed.receive(token, request_id=request_id(request))
        except DidAgentError as error:
            return _refuse(error, request)
        return Response(status_code=202)

    async def poll(request: Request) -> Response:
        query = read_query(request)
        after = _whole(query.get("after") or "0", "after", most=2**53 - 1)
        wait = _whole(query.get("wait") or "0", "wait", most=int(MAX_WAIT))
        subscriber = query.get("subscriber")
        if subscriber is not None and not _SUBSCRIBER.fullmatch(subscriber):
            raise InvalidParameter("subscriber is not a short identifier")
        asked = asyncio.ensure_future(feed.poll(after=after, wait=wait, subscriber=subscriber))
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            # A verifier that went away must not be waited for, and must not hold up a shutdown.
            await asyncio.wait((asked, gone), return_when=asyncio.FIRST_COMPLETED)
            items = asked.result() if asked.done() else ()
        finally:
            for task in (asked, gone):
                task.cancel()
            await asyncio.gather(asked, gone, return_exceptions=True)
        sets = [{"seq": item.seq, "set": item.token} for item in items]
        return JSONResponse({"sets": sets, "cursor": cursor(items, after=after)})

    router.add_api_route("/revocations", push, methods=["POST"], response_model=None)
    router.add_api_route("/revocations", poll, methods=["GET"], response_model=None)
    return router


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _whole(text: str, name: str, *, most: int) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > most:
        raise InvalidParameter(f"{name} is not a whole number up to {most}")
    return int(text)


def _refuse(error: DidAgentError, request: Request) -> Response:
    status = status_of(error)
    word = next((code for family, code in _ERRORS if isinstance(error, family)), "invalid_request")
    answer = {"err": word, "description": error.public, "code": error.code, "request_id": request_id(request)}
    return JSONResponse(answer, status_code=400 if status == 401 else status)
