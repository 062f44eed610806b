"""The caller of the request at hand, and what was decided, for use inside a tool."""

from __future__ import annotations

from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Protocol

from did_agent.errors import NotAuthenticated
from did_agent.policy.caller import VerifiedCaller
from did_agent.policy.decide import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """Whose request it is, and the decision where one was needed."""

    caller: VerifiedCaller
    decision: Decision | None
    request_id: str


class Write(Protocol):
    """Makes a statement of a call."""

    def __call__(self, caller: VerifiedCaller, decision: Decision | None, *, request_id: str) -> str: ...


Entered = Token[_Call | None]

# The MCP SDK runs each handler in the context of the request that brought it, on every wire.
_call: ContextVar[_Call | None] = ContextVar("did_agent_call", default=None)


def current_caller() -> VerifiedCaller:
    """Return who is calling the tool that runs now.

    Raises: NotAuthenticated outside a guarded request.
    """
    return _current().caller


def current_decision() -> Decision:
    """Return the decision that let the tool run that runs now: its explanation, policy and capabilities.

    Raises: NotAuthenticated outside a guarded call.
    """
    decision = _current().decision
    if decision is None:
        raise NotAuthenticated("nothing was decided here: this is no call of a tool")
    return decision


def current_statement(write: Write) -> str | None:
    """Return what `write` makes of the request at hand; None where none is guarded."""
    call = _call.get()
    return None if call is None else write(call.caller, call.decision, request_id=call.request_id)


def enter(caller: VerifiedCaller, decision: Decision | None = None, *, request_id: str = "") -> Entered:
    """Make `caller` the current one; for guards alone."""
    return _call.set(_Call(caller=caller, decision=decision, request_id=request_id))


def leave(entered: Entered) -> None:
    """Undo `enter`."""
    _call.reset(entered)


def _current() -> _Call:
    call = _call.get()
    if call is None:
        raise NotAuthenticated("there is no guarded request here")
    return call
