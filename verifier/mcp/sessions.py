"""Who a session of the older wires belongs to: nobody else may use it (DEL-12)."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any, Final

from did_agent.policy.caller import Principal, VerifiedCaller

MAX_SESSIONS: Final = 10_000  # sessions whose owner is remembered; the oldest goes first
MAX_EACH: Final = 100  # of one owner, where callers choose the ids: nobody can push others' out

# The person and every agent in between, however the rights of the next token differ.
_Owner = tuple[Principal, tuple[str, ...], str]


class Sessions:
    """Session ids and their owners; `first_use` where the answers that open sessions are never seen."""

    def __init__(self, *, first_use: bool = False) -> None:
        self._first_use = first_use
        self._owners: OrderedDict[str, _Owner] = OrderedDict()
        self._taken: dict[_Owner, deque[str]] = {}  # by first use

    def belongs(self, session: str, caller: VerifiedCaller) -> bool:
        """Tell whether `caller` opened the session, or, with `first_use`, whether nobody else used it before."""
        if self._first_use and session not in self._owners:
            self._take(session, caller)
        return self._owners.get(session) == _owner(caller)

    def watch(self, send: Any, caller: VerifiedCaller) -> Any:
        """Return a `send` that remembers the session an answer opens."""

        async def watching(message: Any) -> None:
            if message["type"] == "http.response.start":
                for name, value in message.get("headers", []):
                    if name.lower() == b"mcp-session-id":
                        self._remember(value.decode("latin-1"), caller)
            await send(message)

        return watching

    def _take(self, session: str, caller: VerifiedCaller) -> None:
        taken = self._taken.setdefault(_owner(caller), deque())
        if len(taken) >= MAX_EACH:
            self._owners.pop(taken.popleft(), None)
        taken.append(session)
        self._remember(session, caller)

    def _remember(self, session: str, caller: VerifiedCaller) -> None:
        self._owners[session] = _owner(caller)
        while len(self._owners) > MAX_SESSIONS:
            self._forget(*self._owners.popitem(last=False))

    def _forget(self, session: str, owner: _Owner) -> None:
        taken = self._taken.get(owner)
        if taken is not None and session in taken:
            taken.remove(session)
            if not taken:
                del self._taken[owner]


def _owner(caller: VerifiedCaller) -> _Owner:
    return caller.principal, caller.actors, caller.client_id
