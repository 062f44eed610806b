"""Log lines: one record a line, as JSON of allow-listed fields or as text; nothing in it can begin another (OPS-01).

What a library says goes through the same door.  A failure is shown by its type and the places it went through, without
its words, which may hold what was sent; and whatever looks like a signed token is cut out (OPS-02).
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic_settings import BaseSettings, SettingsConfigDict

from did_agent.adapters.tracing import Trace
from did_agent.clock import format_milliseconds

Format = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]

MAX_MESSAGE: Final = 1_000  # characters
MAX_PLACES: Final = 30  # of a failure
MAX_FOREIGN: Final = 120  # characters of what other libraries say, without its arguments
DEBUG: Final = "DID_AGENT_DEBUG"  # shows the words of failures, too
# All that a line may hold beside time, level, logger and message; a record brings the first part as `extra`.
FIELDS: Final = ("party", "method", "route", "status", "ms", "code")
CUT: Final = "[cut]"
_KNOWN: Final = ("did_agent", "uvicorn", "asyncio", "alembic", "opentelemetry")  # whose words are shown whole
_SECRETS: Final = re.compile(
    r"[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,}~?"  # a compact JWS
    r"|(?i:(?:bearer|dpop|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|(?i:(?:code|token|secret|password|assertion|verifier|code_verifier|client_secret|passphrase)=)[^&\s\"']+"
    r"|AGE-SECRET-KEY-[0-9A-Z]+"
)
_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


class LogSettings(BaseSettings):
    """How processes of a deployment log."""

    model_config = SettingsConfigDict(env_prefix="DID_AGENT_", frozen=True, extra="ignore")

    log_format: Format = "text"  # text for people, json: one object a line
    log_level: Level | None = None  # None: warning as text, info as JSON, which then has a line for each request


def set_up_logs(settings: LogSettings | None = None) -> None:
    """Have everything that this process logs go to stderr in one form, whatever a library set up before."""
    settings = settings or LogSettings()
    level = settings.log_level or ("info" if settings.log_format == "json" else "warning")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONLines() if settings.log_format == "json" else TextLines())
    # Libraries tell of addresses and headers below a warning; what all parties say begins with one name.
    logging.basicConfig(handlers=[handler], level=logging.ERROR if level == "error" else logging.WARNING, force=True)
    logging.getLogger("did_agent").setLevel(level.upper())


class _Lines(logging.Formatter):
    """Makes the members of a line, in order."""

    def members(self, record: logging.LogRecord) -> dict[str, object]:
        """Return all that is said of a record."""
        members: dict[str, object] = {
            "time": format_milliseconds(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": shown(_message(record)),
            **_extra(record),
            **_context(),
        }
        if record.exc_info is not None and record.exc_info[1] is not None:
            members |= _failure(record.exc_info[1])
        return members


class JSONLines(_Lines):
    """One JSON object a line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return json.dumps(self.members(record), ensure_ascii=True)


class TextLines(_Lines):
    """One line of text: level, message, and the rest in brackets."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        members = self.members(record)
        rest = " ".join(
            f"{name}={value}"
            for name, value in members.items()
            if name not in ("time", "level", "logger", "message", "at")
        )
        at = members.get("at")
        places = "".join(f"\n    {place}" for place in at) if isinstance(at, list) else ""
        return f"{members['level']}: {members['message']}{f' [{rest}]' if rest else ''}{places}"


# Of the request that is being answered; a mutable holder would be shared by tasks that outlive it.
_request: ContextVar[tuple[str, str, Trace | None] | None] = ContextVar("did_agent_request", default=None)


def log_for(party: str, request_id: str, trace: Trace | None) -> Callable[[], None]:
    """Have lines of this task say which request they belong to, until what is returned is called."""
    token = _request.set((party, request_id, trace))
    return lambda: _request.reset(token)


def shown(text: str) -> str:
    """Return outside text fit for a line: bounded, without what looks like a secret, control characters as escapes."""
    cut = _SECRETS.sub(CUT, text[: 4 * MAX_MESSAGE])[:MAX_MESSAGE]
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", cut)


def _message(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0] not in _KNOWN:
        return str(record.msg)[:MAX_FOREIGN]  # what a library puts into its words may be what was sent
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # a record whose arguments do not fit must not end in a line of its own
        return str(record.msg)


def _extra(record: logging.LogRecord) -> Mapping[str, object]:
    found = ((name, getattr(record, name, None)) for name in FIELDS)
    return {name: shown(value) if isinstance(value, str) else value for name, value in found if value is not None}


def _context() -> Mapping[str, object]:
    found = _request.get()
    if found is None:
        return {}
    party, request_id, trace = found
    said = {"party": party, "request_id": request_id}
    return said if trace is None else {**said, "trace_id": trace.trace_id, "span_id": trace.span_id}


def _failure(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)[-MAX_PLACES:]
    places = [f"{'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno} {frame.name}" for frame in frames]
    words = {"words": shown(str(error))} if DEBUG in os.environ else {}
    return {"error": type(error).__name__, **words, "at": places}
