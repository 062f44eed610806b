"""Answers a proxy that asks before it lets a request through: external authorization over HTTP, as Envoy has it.

The proxy sends method, path, headers and body of the request.  200 lets it through; any other answer goes to the
client as it is.  A call is judged by its body, so a proxy that leaves it out is told no, and so is one that cuts it.
"""

from __future__ import annotations

from typing import Any, Final, Unpack

from verifier.composition import compose
from verifier.mcp.guard import FOR_THE_GUARD, Guard, metadata_of
from verifier.mcp.sessions import Sessions
from verifier.settings import GuardOptions

# The names of Envoy: what it removes before it passes a request on, and its mark on a body that it cut.
_REMOVE: Final = b"x-envoy-auth-headers-to-remove"
_CUT: Final = b"x-envoy-auth-partial-body"


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
    session belongs to whoever uses it first.
    Raises: Misconfigured.
    """
    parts = compose(resource=resource, bridge=bridge, **options)
    metadata = metadata_of(parts, resource=resource, bridge=bridge, name=name, scopes=scopes)
    return Guard(_let_through, parts, metadata, sessions=Sessions(first_use=True))


async def _let_through(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    is_whole = all(name.lower() != _CUT or value.lower() != b"true" for name, value in scope["headers"])
    headers = [(_REMOVE, b", ".join(FOR_THE_GUARD)), (b"content-length", b"0"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200 if is_whole else 413, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
