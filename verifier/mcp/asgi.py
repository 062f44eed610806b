"""ASGI as far as the guard needs it: read a body once, hand it on, answer, and rewrite what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

from did_agent.encoding.strict_json import MAX_BODY
from did_agent.errors import InvalidParameter, PeerUnavailable, TooLarge
from verifier.mcp.answers import Answer
from verifier.mcp.operation import PARAMETER

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]

MAX_REWRITTEN: Final = 1_048_576  # bytes of an answer that is rewritten
BODY_SECONDS: Final = 15.0  # s a body may take to come in (LIM-02)
_SINGLE: Final = frozenset(
    {
        b"host",
        b"mcp-method",
        b"mcp-name",
        b"mcp-protocol-version",
        b"mcp-session-id",
        b"content-encoding",
        b"content-type",
        b"did-agent-receipt",
    }
)
_COPIES: Final = PARAMETER.encode()


def single_headers(scope: Scope) -> Mapping[str, str]:
    """Return the headers the guard decides by.

    Raises: InvalidParameter when one of them is there twice: what stands behind might read the other.
    """
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.lower()
        if name in _SINGLE or name.startswith(_COPIES):
            text = name.decode("latin-1")
            if text in found:
                raise InvalidParameter(f"more than one {text} header")
            found[text] = value.decode("latin-1")
    return found


def has_body(scope: Scope) -> bool:
    """Tell whether a request says that it brings a body."""
    lowered = [(name.lower(), value.strip()) for name, value in scope["headers"]]
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in lowered)


async def read_body(receive: Any, *, seconds: float = BODY_SECONDS) -> bytes:
    """Return the whole body of a request.

    Raises: TooLarge, InvalidParameter when it does not come in time or not to its end.
    """
    received = bytearray()
    with _Patience(seconds):
        while True:
            message: Message = await receive()
            if message["type"] == "http.disconnect":
                raise InvalidParameter("the body did not come to its end")
            received += message.get("body", b"")
            _require_bounded(received)
            if not message.get("more_body", False):
                return bytes(received)


class _Patience:
    """Bounds the time of a block; as `asyncio.timeout`, at a third of its price, which every request would pay."""

    __slots__ = ("_alarm", "_is_over", "_seconds", "_task")

    def __init__(self, seconds: float) -> None:
        self._seconds, self._is_over = seconds, False
        self._task: asyncio.Task[Any] | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._alarm = asyncio.get_running_loop().call_later(self._seconds, self._end)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        is_ours = self._is_over and self._task is not None and self._task.uncancel() == 0
        if is_ours and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise InvalidParameter("the body did not come in time") from error

    def _end(self) -> None:
        self._is_over = True
        if self._task is not None:
            self._task.cancel()


def _require_bounded(body: bytes | bytearray) -> None:
    if len(body) > MAX_BODY:
        raise TooLarge(f"a body of more than {MAX_BODY} bytes")


def replay(body: bytes, receive: Any) -> Any:
    """Return a `receive` that brings `body` once more."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Any:
        return waiting.pop() if waiting else await receive()

    return replayed


async def answer_with(send: Any, answer: Answer, request_id: str) -> None:
    """Send a whole answer."""
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers += [(b"www-authenticate", challenge.encode("latin-1")) for challenge in answer.challenges]
    headers += [(b"content-length", str(len(answer.body)).encode()), (b"x-request-id", request_id.encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


class Rewriting:
    """Collects a whole answer, rewrites its body, and sends it on; `rewrite` gets the body and its media type."""

    def __init__(self, send: Any, rewrite: Callable[[bytes, str], bytes]) -> None:
        self._send, self._rewrite = send, rewrite
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        """Take one ASGI message.

        Raises: TooLarge, PeerUnavailable for an answer that is encoded.
        """
        if message["type"] == "http.response.start":
            self._start = {**message, "headers": readable(message.get("headers", []))}
            return
        self._body += message.get("body", b"")
        if len(self._body) > MAX_REWRITTEN:
            raise TooLarge("the answer is too long to be rewritten")
        if message.get("more_body", False) or self._start is None:
            return
        headers = [pair for pair in self._start.get("headers", []) if pair[0].lower() != b"content-length"]
        rewritten = self._rewrite(bytes(self._body), media_type(headers))
        headers.append((b"content-length", str(len(rewritten)).encode()))
        await self._send({**self._start, "headers": headers})
        await self._send({"type": "http.response.body", "body": rewritten})


def readable(headers: Any) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer that is read here in UTF-8, so that the client reads it in nothing else.

    Raises: PeerUnavailable for one that is encoded, which nobody asked for.
    """
    if any(name.lower() == b"content-encoding" for name, _ in headers):
        raise PeerUnavailable("an encoded answer, which cannot be looked into")
    kind = media_type(headers).encode()
    return [(name, kind) if name.lower() == b"content-type" else (name, value) for name, value in headers]


def media_type(headers: Any) -> str:
    """Return the media type of an answer without its parameters; empty when it has none."""
    types = [value for name, value in headers if name.lower() == b"content-type"]
    return types[0].decode("latin-1").split(";")[0].strip().lower() if types else ""
