"""Passkeys on our pages: what the one script needs, and what it sends back as an ordinary form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bridge.api.admin import is_plain
from bridge.model import User
from bridge.service.passkeys import OwnPasskeys
from did_agent.adapters.web_input import Parameters, request_id
from did_agent.errors import InvalidParameter, StateConflict

SCRIPT: Final = (Path(__file__).parent / "static" / "passkeys.js").read_text(encoding="utf-8")
MAX_NAME: Final = 64  # characters a person calls a passkey


def routes() -> APIRouter:
    """Return the one script there is."""
    router = APIRouter()

    async def script(_request: Request) -> Response:
        return Response(SCRIPT, media_type="text/javascript", headers={"Cache-Control": "public, max-age=3600"})

    router.add_api_route("/passkeys.js", script, methods=["GET"], response_model=None)
    return router


async def take_form(passkeys: OwnPasskeys, form: Parameters, request: Request, user: User, *, cookie: str) -> bool:
    """Add or remove a passkey when the form says so; tell whether it did.

    Raises: InvalidParameter, StateConflict, NotFound, VerificationError.
    """
    answer, removed, spoken = form.get("new_passkey"), form.get("remove_passkey"), request_id(request)
    if removed is not None:
        await passkeys.remove(user, removed, request_id=spoken)
    elif answer is not None:
        if not await passkeys.sessions.is_fresh(cookie):
            raise StateConflict("sign out and in again first: a passkey is added soon after a login")
        await passkeys.add(user, answer, name=_name(form.get("name")), cookie=cookie, request_id=spoken)
    return answer is not None or removed is not None


def as_attribute(options: object) -> str:
    """Return options as the text of an attribute; the template escapes it."""
    return json.dumps(options)


def _name(text: str | None) -> str:
    name = (text or "").strip() or "Passkey"
    if len(name) > MAX_NAME or not is_plain(name):
        raise InvalidParameter(f"a passkey's name has at most {MAX_NAME} visible characters")
    return name
