"""Answers a proxy that asks before it lets a request through: external authorization over HTTP, as Envoy has it.

The proxy sends method, path, headers and body of the request.  200 lets it through; any other answer goes to the
client as it is.  A call is judged by its body, so a proxy that leaves it out is told no, and so is one that cuts it.
"""

from __future__ import annotations

from typing import Any, Final, Unpack

from did_agent.errors import TooLarge, Unavailable
from verifier.composition import compose
from verifier.identifiers import fresh_uuid
from verifier.mcp.answers import ResourceMetadata, refused
from verifier.mcp.asgi import answer_with
from verifier.mcp.guard import FOR_THE_GUARD, Guard, metadata_of
from verifier.mcp.sessions import Sessions
from verifier.parts import GuardParts
from verifier.settings import GuardOptions

# The names of Envoy: what it removes before it passes a request on, and its mark on a body that it cut.
_REMOVE: Final = b"x-envoy-auth-headers-to-remove"
_CUT: Final = b"x-envoy-auth-partial-body"
_REDIRECTS: Final = 300  # status below which all is well


def authorization_service(
    *,
    resource: str,
    bridge: str | None = None,
    name: str | None = None,
    scopes: Any = (),
    **options: Unpack[GuardOptions],
) -> Any:
    """Return an ASGI app that answers for `resource`; the same options as `protect`.

    It never sees what the server answers: lists are not filtered, nothing is hidden, open streams are not cut, and a
    session belongs to whoever uses it first.  JSON presentations are not swapped, and no metrics are shown.
    Raises: Misconfigured.
    """
    parts = compose(resource=resource, bridge=bridge, **options)
    # Their answers of 200 would let a request through that nobody judged, to pages of the server itself.
    parts.swap = parts.metrics_path = None
    parts.probes = False
    metadata = metadata_of(parts, resource=resource, bridge=bridge, name=name, scopes=scopes)
    guard = Guard(_let_through, parts, metadata, sessions=Sessions(first_use=True))

    async def service(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and _is_cut(scope):
            await _refuse_cut(parts, metadata, send)
        elif scope["type"] == "http" and not _is_page(scope, metadata):
            await guard(scope, receive, _no_means_no(send))
        else:
            await guard(scope, receive, send)

    service.observer = guard.observer  # type: ignore[attr-defined]  # for the listener that shows counts
    return service


def _is_page(scope: Any, metadata: ResourceMetadata) -> bool:
    return scope["method"] in ("GET", "HEAD") and scope["path"] in metadata.paths


def _no_means_no(send: Any) -> Any:
    """Return a `send` that makes 403 of every 200 but the one that lets a request through."""

    async def sending(message: Any) -> None:
        # To a client a refusal is a good answer, which its model can read; to the proxy it would be a yes.
        is_good = message["type"] == "http.response.start" and message["status"] < _REDIRECTS
        if is_good and all(name != _REMOVE for name, _ in message["headers"]):
            message = {**message, "status": 403}
        await send(message)

    return sending


def _is_cut(scope: Any) -> bool:
    return any(name.lower() == _CUT and value.strip().lower() != b"false" for name, value in scope["headers"])


async def _refuse_cut(parts: GuardParts, metadata: ResourceMetadata, send: Any) -> None:
    # Before anything of it is judged: what is left out could be what matters.
    error, request_id = TooLarge("the proxy sent a part of the body"), fresh_uuid()
    answer = refused(error, metadata, request_id=request_id)
    try:
        await parts.verifier.refuse(error, action="resource.access", request_id=request_id)
    except Unavailable as unrecorded:
        answer = refused(unrecorded, metadata, request_id=request_id)
    await answer_with(send, answer, request_id)


async def _let_through(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    headers = [(_REMOVE, b", ".join(FOR_THE_GUARD)), (b"content-length", b"0"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
