"""`protect`: an ASGI wrapper that admits, decides and records before an MCP server sees anything.

Outermost and framework-free.  It understands every wire of Streamable HTTP by reading the body, and lets answers
stream through untouched, apart from the list of tools.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Unpack
from urllib.parse import urlsplit

from did_agent.adapters.observing import Observer, Seen, watching
from did_agent.adapters.peer_certificate import HEADERS, peer_certificate
from did_agent.errors import DidAgentError, Revoked, Unavailable
from did_agent.policy.decide import Decision
from verifier.composition import compose
from verifier.http import keys_alone, read_credential
from verifier.identifiers import fresh_uuid
from verifier.mcp.answers import (
    Answer,
    ResourceMetadata,
    denied,
    method_unknown,
    nothing_here,
    refused,
    session_unknown,
)
from verifier.mcp.asgi import Rewriting, Scope, answer_with, has_body, read_body, replay, single_headers
from verifier.mcp.caller import enter, leave
from verifier.mcp.definitions import definitions
from verifier.mcp.hiding import disguised
from verifier.mcp.listing import filter_listing
from verifier.mcp.operation import LISTENING, Operation, has_headers, parse_operation
from verifier.mcp.pages import carrying, pages
from verifier.mcp.passing import noticing, receipting
from verifier.mcp.screening import Screening
from verifier.mcp.sessions import Sessions
from verifier.mcp.swapping import Asked, addresses, swap
from verifier.model import Admission
from verifier.parts import GuardParts
from verifier.settings import GuardOptions
from verifier.streams import CutSend, StreamCut
from verifier.swap import Swap

FOR_THE_GUARD: Final = (b"authorization", b"dpop", *HEADERS)
_FOR_US_AND_ENCODINGS: Final = (*FOR_THE_GUARD, b"accept-encoding")  # what is compressed cannot be read
_READING: Final = ("GET", "HEAD", "OPTIONS")  # methods that call no tool
_WITHOUT_BODY: Final = (*_READING, "DELETE")


def protect(  # each is one thing a deployment may have to say
    app: Any,
    *,
    resource: str,
    bridge: str | None = None,
    name: str | None = None,
    scopes: Sequence[str] = (),
    hide_tools: bool = False,
    **options: Unpack[GuardOptions],
) -> Any:
    """Return `app` behind the guard for `resource`, believing tokens of `bridge`.

    `resource` and `bridge` are exact identifiers without trailing slash.  With `trusted_issuers` (DIDs) presentations
    are accepted too; with `ledger` events are delivered there.  With `strict_delegation` "agents" or "full" a token
    counts only as far as the signed credentials behind it.  With `hide_tools` a tool the caller may not see answers as
    one that does not exist.  With `issuers` their tokens count too, and a bridge is not needed.  What is None comes
    from `DID_AGENT_*` settings.
    Raises: Misconfigured.
    """
    parts = compose(resource=resource, bridge=bridge, **options)
    metadata = metadata_of(parts, resource=resource, bridge=bridge, name=name, scopes=scopes)
    return Guard(app, parts, metadata, hide_tools=hide_tools)


def metadata_of(
    parts: GuardParts, *, resource: str, bridge: str | None, name: str | None, scopes: Sequence[str]
) -> ResourceMetadata:
    """Return what the guarded resource says of itself (RFC 9728)."""
    return ResourceMetadata(
        resource=resource,
        bridge=bridge,
        name=name,
        scopes=scopes,
        certificates=bool(parts.proxies.networks),
        issuers=parts.issuers,
        sessions=None if parts.swap is None else addresses(resource),
    )


@dataclass(slots=True, kw_only=True)
class _Request:
    """One request as far as it was understood so far."""

    scope: Scope
    id: str
    body: bytes
    admission: Admission
    seen: Seen
    operation: Operation | None = None
    decision: Decision | None = None
    is_hidden: bool = False
    visible: frozenset[str] = frozenset()  # tools, where they are listed


class Guard:
    """The wrapper itself; `protect` makes it."""

    def __init__(
        self,
        app: Any,
        parts: GuardParts,
        metadata: ResourceMetadata,
        *,
        hide_tools: bool = False,
        sessions: Sessions | None = None,
    ) -> None:
        self._app, self._parts, self._metadata, self._hide_tools = app, parts, metadata, hide_tools
        parts_of = urlsplit(metadata.resource)
        self._path, self._origin = parts_of.path or "/", f"{parts_of.scheme}://{parts_of.netloc}"
        self._sessions = Sessions() if sessions is None else sessions
        self.observer = Observer.of("guard", metadata.resource)
        self._pages = pages(parts, metadata, self.observer)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            async with self.observer.working(), self._parts.running():
                await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._parts.ensure_running()
            request_id = fresh_uuid()
            with self.observer.request(scope, request_id) as seen:
                await self._http(scope, receive, watching(send, seen), request_id, seen)
        # Any other kind of connection is not MCP and is dropped.

    async def _http(self, scope: Scope, receive: Any, send: Any, request_id: str, seen: Seen) -> None:
        seen.route = scope["path"] if scope["path"] in (self._path, *self._pages) else None
        page = self._pages.get(scope["path"]) if scope["method"] in ("GET", "HEAD") else None
        if page is not None:
            await answer_with(send, await page(), request_id)
            return
        send = self._with_nonce(scope, send)
        if self._parts.swap is not None and self._origin + scope["path"] in (self._metadata.sessions or ()):
            await answer_with(send, await self._swap(self._parts.swap, scope, receive, request_id), request_id)
            return
        try:
            headers = single_headers(scope)
            admission = await self._admit(scope, request_id)
            body = await read_body(receive) if scope["method"] == "POST" else b""
            request = _Request(scope=scope, id=request_id, body=body, admission=admission, seen=seen)
            answer = await self._judge(request, headers)
        except DidAgentError as error:
            await answer_with(send, refused(error, self._metadata, request_id=request_id), request_id)
            return
        if answer is not None:
            await answer_with(self._receipting(request, send), answer, request_id)
            return
        await self._stream(request, receive, CutSend(send))

    async def _admit(self, scope: Scope, request_id: str) -> Admission:
        verifier = self._parts.verifier
        try:
            certificate = peer_certificate(scope, self._parts.proxies)
            shown = read_credential(
                scope["headers"],
                scope.get("query_string", b""),
                method=scope["method"],
                url=self._origin + scope["path"],
                certificate=None if certificate is None else certificate.der,
            )
            return await verifier.admit(shown)
        except DidAgentError as error:
            try:
                await verifier.refuse(error, action="resource.access", request_id=request_id)
            except Unavailable as unrecorded:
                raise unrecorded from error
            raise

    async def _judge(self, request: _Request, headers: Mapping[str, str]) -> Answer | None:
        """Return the answer to what goes no further; what was understood is kept in `request`."""
        scope, admission = request.scope, request.admission
        session = headers.get("mcp-session-id")
        if session is not None and not self._sessions.belongs(session, admission.caller):
            await self._refuse(
                request,
                action="resource.access",
                reason="session_unknown",
                explanation="a session that this caller did not open, or that is no more",
            )
            return session_unknown()
        if scope["path"] != self._path and scope["method"] not in _READING:
            # An app may answer to more names than its own (`/mcp/`, `//mcp`): what is not judged is not passed on.
            await self._refuse(
                request,
                action="resource.access",
                reason="not_found",
                explanation=f"{scope['method'][:20]} of another path than that of the resource",
            )
            return nothing_here()
        if scope["method"] != "POST":
            return await self._judge_method(request)
        operation = request.operation = await self._understand(request, headers)
        self.observer.joins(request.seen, operation.trace, request.id)
        if operation.tool is not None:
            return await self._decide(request, operation, operation.tool)
        if operation.method == "tools/list":
            request.visible = await self._visible(request)
            return None
        if operation.is_open:
            return None
        await self._refuse(
            request,
            action="mcp.method",
            reason="method_not_allowed",
            explanation=f"no capability speaks of {str(operation.method)[:100]}",
        )
        return method_unknown(operation, by_status=has_headers(headers))

    async def _judge_method(self, request: _Request) -> Answer | None:
        # A server that looks at the body alone would take a call from any method.
        method = request.scope["method"]
        if method in _WITHOUT_BODY and not has_body(request.scope):
            return None
        await self._refuse(
            request,
            action="resource.access",
            reason="method_not_allowed",
            explanation=f"{method[:20]} with a body, or unknown here",
        )
        return nothing_here()

    async def _understand(self, request: _Request, headers: Mapping[str, str]) -> Operation:
        verifier = self._parts.verifier
        try:
            # A body takes its time, and whoever was admitted before it may have been revoked meanwhile.
            await verifier.revocations.require_live(request.admission.revocable_ids, verifier.clock())
            return parse_operation(request.body, headers)
        except DidAgentError as error:
            await self._refuse(request, action="resource.access", reason=error.code, explanation=error.public)
            raise

    async def _decide(self, request: _Request, operation: Operation, tool: str) -> Answer | None:
        if self._parts.pinned is not None:
            ask = partial(definitions, self._app, url=self._metadata.resource, scope=request.scope)
            await self._parts.pinned.ensure_known(tool, ask, self._parts.verifier.clock())
        decision = await self._parts.verifier.decide(
            request.admission, tool=tool, arguments=operation.arguments, request_id=request.id
        )
        request.decision = decision
        if decision.allowed:
            return None
        if self._hide_tools and operation.is_tool_call and tool not in await self._visible(request):
            request.is_hidden = True
            return None
        return denied(decision, operation, self._metadata, request.admission)

    async def _swap(self, swapping: Swap, scope: Scope, receive: Any, request_id: str) -> Answer:
        try:
            certificate = peer_certificate(scope, self._parts.proxies)
            types = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"content-type"]
        except DidAgentError as error:
            return refused(error, self._metadata, request_id=request_id)
        shown = keys_alone(
            scope["headers"],
            method=scope["method"],
            url=self._origin + scope["path"],
            certificate=None if certificate is None else certificate.der,
        )
        asked = Asked(
            shown=shown,
            media_type=types[0].split(";")[0].strip().lower() if len(types) == 1 else "",
            read=partial(read_body, receive),
            request_id=request_id,
        )
        return await swap(asked, swapping=swapping, verifier=self._parts.verifier, metadata=self._metadata)

    def _with_nonce(self, scope: Scope, send: Any) -> Any:
        """Return `send`, handing out the present nonce to who uses DPoP where nonces are demanded (RFC 9449, 8.2)."""
        nonces = self._parts.nonces
        if nonces is None or not any(name.lower() == b"dpop" for name, _ in scope["headers"]):
            return send
        fresh = (b"dpop-nonce", nonces.current(self._parts.verifier.clock()).encode())

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), fresh]}
            await send(message)

        return sending

    async def _refuse(self, request: _Request, *, action: str, reason: str, explanation: str) -> None:
        await self._parts.verifier.record(
            request.admission,
            action=action,
            allowed=False,
            reason=reason,
            explanation=explanation,
            request_id=request.id,
        )

    async def _stream(self, request: _Request, receive: Any, send: CutSend) -> None:
        """Pass a request on for as long as its caller stands; what only listens ends with its credential too."""
        admission, operation = request.admission, request.operation
        listens = request.scope["method"] == "GET" or (operation is not None and operation.method in LISTENING)
        until = admission.valid_until if listens else None
        now = self._parts.verifier.clock()
        try:
            with self._parts.streams.open(admission, until=until, now=now):
                await self._pass_on(request, receive, send)
        except StreamCut:
            await self._refuse(
                request,
                action="stream.end",
                reason="no_longer_admitted",
                explanation="what admitted the caller ended while the answer was under way",
            )
            if send.started:
                await send.end()
            else:
                ended = refused(Revoked("ended meanwhile"), self._metadata, request_id=request.id)
                await answer_with(send, ended, request.id)

    async def _pass_on(self, request: _Request, receive: Any, send: Any) -> None:
        # The credential was for us; what stands behind must not be able to use or leak it (DEL-13).
        scope, operation, body = request.scope, request.operation, request.body
        left_out = _FOR_US_AND_ENCODINGS if self._reads_answer(request) else FOR_THE_GUARD
        headers = carrying([pair for pair in scope["headers"] if pair[0].lower() not in left_out])
        if request.is_hidden:
            body, headers, reveal = disguised(body, headers)
            send = Rewriting(send, reveal)
        else:
            send = self._screened(request, send)
        outcome = noticing(send, self._parts, operation, request.id)
        sending = self._receipting(request, send if outcome is None else outcome)
        if scope["method"] == "POST":
            receive = replay(body, receive)
        entered = enter(request.admission.caller, request.decision, request_id=request.id)
        try:
            watched = self._sessions.watch(sending, request.admission.caller)
            await self._app({**scope, "headers": headers}, receive, watched)
        finally:
            leave(entered)
            if outcome is not None:
                await outcome.finish()

    def _reads_answer(self, request: _Request) -> bool:
        operation, pinned = request.operation, self._parts.pinned
        asks = operation is not None and (operation.method == "tools/list" or operation.wants_receipt)
        return asks or request.is_hidden or (pinned is not None and pinned.is_active())

    def _screened(self, request: _Request, send: Any) -> Any:
        operation, pinned = request.operation, self._parts.pinned
        if operation is not None and operation.method == "tools/list":
            return Rewriting(send, self._filter_for(request))
        if pinned is not None and pinned.is_active():
            return Screening(send, is_visible=pinned.shows, changed=pinned.known.forget)
        return send

    def _filter_for(self, request: _Request) -> Callable[[bytes, str], bytes]:
        pinned = self._parts.pinned

        def visible(tool: Mapping[str, Any]) -> bool:
            return str(tool.get("name")) in request.visible and (pinned is None or pinned.shows(tool))

        return lambda body, media_type: filter_listing(body, media_type=media_type, is_visible=visible)

    def _receipting(self, request: _Request, send: Any) -> Any:
        operation, decision = request.operation, request.decision
        if operation is None or decision is None or request.is_hidden:
            return send
        return receipting(send, self._parts, request.admission, operation, decision, request.id)

    async def _visible(self, request: _Request) -> frozenset[str]:
        try:
            return self._parts.verifier.visible_tools(request.admission)
        except Unavailable as error:
            await self._refuse(request, action="tools.list", reason=error.code, explanation=error.detail)
            raise
