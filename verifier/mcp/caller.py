"""The caller of the request at hand, for use inside a tool."""

from __future__ import annotations

from contextvars import ContextVar, Token

from did_agent.errors import NotAuthenticated
from did_agent.policy.caller import VerifiedCaller

# The MCP SDK runs each handler in the context of the request that brought it, on every wire.
_caller: ContextVar[VerifiedCaller | None] = ContextVar("did_agent_caller", default=None)


def current_caller() -> VerifiedCaller:
    """Return who is calling the tool that runs now.

    Raises: NotAuthenticated outside a guarded request.
    """
    caller = _caller.get()
    if caller is None:
        raise NotAuthenticated("there is no guarded request here")
    return caller


def enter(caller: VerifiedCaller) -> Token[VerifiedCaller | None]:
    """Make `caller` the current one; for the guard alone."""
    return _caller.set(caller)


def leave(token: Token[VerifiedCaller | None]) -> None:
    """Undo `enter`."""
    _caller.reset(token)
