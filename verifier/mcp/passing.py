"""What is done to the answer of an allowed call on its way out: the outcome is noticed, a receipt is added."""

from __future__ import annotations

from functools import partial
from typing import Any

from did_agent.policy.decide import Decision
from verifier.mcp.operation import Operation
from verifier.mcp.outcome import Outcome
from verifier.mcp.receipts import Receipting
from verifier.model import Admission
from verifier.parts import GuardParts


def receipting(
    send: Any, parts: GuardParts, admission: Admission, operation: Operation, decision: Decision, request_id: str
) -> Any:
    """Return a `send` that adds a receipt where the caller asked for one."""
    if not operation.wants_receipt or parts.receipts is None:
        return send
    write = partial(
        parts.receipts.write,
        admission,
        decision,
        tool=str(operation.tool),
        arguments=operation.arguments,
        request_id=request_id,
    )
    return Receipting(send, identifier=operation.id, write=lambda result: write(result=result))


def noticing(send: Any, parts: GuardParts, operation: Operation | None, request_id: str) -> Outcome | None:
    """Return a `send` that takes back what a call consumed that turns out to have failed; None where nobody asks."""
    if operation is None or operation.tool is None or not parts.refunds_failures:
        return None

    async def report(is_error: bool | None) -> None:
        if is_error:
            await parts.verifier.undo(request_id)

    return Outcome(send, identifier=operation.id, report=report)
