"""Examine the receipt of a tool call: who signed what about which call, and whether a result is the one it is for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import IO, Any, Final

from did_agent.cli.examination import Step, failed, held
from did_agent.errors import DidAgentError, DuplicateMember, NotJSON, TooLarge
from did_agent.policy.decide import short_did
from did_agent.tokens.tool_receipt import ToolReceipt, require_result, verify_tool_receipt

MAX_RESULT: Final = 1_048_576  # bytes; no receipt is written for a longer one


def read_result(file: IO[bytes]) -> Mapping[str, Any]:
    """Return the result of a tool call from a file: the result itself, or the JSON-RPC answer around it.

    Raises: Malformed leaves.
    """
    raw = file.read(MAX_RESULT + 1)
    if len(raw) > MAX_RESULT:
        raise TooLarge(f"a result of more than {MAX_RESULT} bytes")
    try:
        # Bounded by its size alone: a result may hold a longer text than any document of ours.
        content: Any = json.loads(raw, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise NotJSON("the file is no JSON") from error
    if isinstance(content, dict) and content.get("jsonrpc") == "2.0":
        content = content.get("result")
    if not isinstance(content, dict):
        raise NotJSON("the file holds no result of a tool call")
    return content


def examine_tool_receipt(
    text: str, *, trusted: frozenset[str], audience: str | None, result: Mapping[str, Any] | None, now: datetime
) -> tuple[Mapping[str, object], Step]:
    """Return what a receipt of a tool call says and what held of it."""
    try:
        found = verify_tool_receipt(text, trusted=trusted, expected_audience=audience, now=now)
    except DidAgentError as error:
        return {}, failed("tool receipt", error)
    unasked = Step(name="audience", holds=None, detail="none was expected")
    steps = (
        held("proof", f"by {found.issuer}"),
        held("signer", "a party that is trusted here"),
        unasked if audience is None else held("audience", audience),
        _compared(found, result),
    )
    return _told(found), held("tool receipt", "", *steps)


def _compared(receipt: ToolReceipt, result: Mapping[str, Any] | None) -> Step:
    if result is None:
        return Step(name="result", holds=None, detail="not compared: say --result")
    try:
        require_result(receipt, result)
    except DidAgentError as error:
        return failed("result", error)
    return held("result", "is the one that was signed for")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DuplicateMember("a member is named twice")
    return members


def _told(receipt: ToolReceipt) -> Mapping[str, object]:
    told: dict[str, object] = {
        "receipt": receipt.id,
        "issuer": receipt.issuer,
        "for": receipt.audience,
        "on behalf of": f"{receipt.principal_kind} {receipt.principal}",
        "actors": [short_did(actor) for actor in receipt.actors],
        "resource": receipt.resource,
        "tool": receipt.tool,
        "decision": receipt.decision,
        "policy": receipt.policy,
        "outcome": "an error" if receipt.is_error else "done",
        "at": f"{receipt.issued_at:%FT%TZ}",
        "arguments": receipt.argument_digest,
        "result": receipt.result_digest,
        "evidence": receipt.evidence,
        "request": receipt.request_id,
    }
    return {name: value for name, value in told.items() if value not in (None, [])}
