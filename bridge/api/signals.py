"""`/signals`: operators and registered sources say how risky an agent or a person is."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from bridge.api.wire import oauth_request
from bridge.model.signals import Signal
from bridge.service.callers import Callers
from bridge.service.signals import Signals
from did_agent.adapters.web_input import Parameters, read_json, request_id


class SignalBody(BaseModel):
    """`POST /signals`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    subject: str = Field(min_length=1, max_length=2_048)  # DID of an agent, or a username
    level: int = Field(ge=0, le=100)
    seconds: int = Field(default=3_600, ge=1, le=31 * 86_400)
    reason: str = Field(default="", max_length=256)


def routes(signals: Signals, callers: Callers) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    async def say(request: Request) -> Response:
        by = await callers.admit(oauth_request(Parameters(), request))
        if request.method == "GET":
            found = await signals.current(by=by)
            return JSONResponse({"signals": [_shown(signal) for signal in found]})
        body = await read_json(request, SignalBody)
        raised = await signals.raise_risk(
            body.subject,
            level=body.level,
            seconds=body.seconds,
            reason=body.reason,
            by=by,
            request_id=request_id(request),
        )
        return JSONResponse(_shown(raised))

    router.add_api_route("/signals", say, methods=["GET", "POST"], response_model=None)
    return router


def _shown(signal: Signal) -> dict[str, object]:
    return {
        "subject": signal.subject,
        "level": signal.risk.level,
        "source": signal.risk.source,
        "until": f"{signal.risk.until:%FT%TZ}",
        "reason": signal.reason,
    }
