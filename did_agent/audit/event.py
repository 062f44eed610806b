"""The audit event: who, through which agents, did what, on what, with which decision and why (DESIGN 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final, Literal, cast

from did_agent.clock import format_milliseconds
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import BadEvent, DidAgentError

Decision = Literal["allow", "deny"]

MAX_EVENT_BYTES: Final = 32_768  # one event, canonical; larger means somebody logs content, not facts
MAX_DETAILS: Final = 32  # members of `details`


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One decision.  Every field is public by allow-list: no token, key, proof or argument value."""

    id: str  # "urn:uuid:…"; the ledger accepts an id once
    time: datetime
    source: str  # DID of the party that decided
    party: str  # issuer, bridge, verifier, ledger
    principal: str | None
    principal_kind: str | None  # user, agent, service
    actors: tuple[str, ...]  # the agent acting now first
    client_id: str | None
    action: str  # noun.verb: tool.call, token.issue, credential.revoke
    target: str | None  # what the action was done to: tool name, credential id, agent DID
    resource: str | None  # exact identifier of the protected resource
    argument_digest: str | None  # "sha-256:…" over JCS of the arguments
    decision: Decision
    reason: str  # stable code
    explanation: str  # one sentence for people: which term was empty, which rule
    policy: str | None  # policy mode and version
    credential_ids: tuple[str, ...]
    token_id: str | None
    evidence: str | None
    request_id: str | None
    details: Mapping[str, str]

    def to_json(self) -> dict[str, object]:
        """Return the wire object: every member present, absent values as null, time in milliseconds."""
        members: dict[str, object] = {name: getattr(self, name) for name in _MEMBERS}
        members["time"] = format_milliseconds(self.time)
        members["actors"] = list(self.actors)
        members["credential_ids"] = list(self.credential_ids)
        members["details"] = dict(self.details)
        return members

    def canonical(self) -> bytes:
        """Return the bytes the ledger hashes: JCS (RFC 8785) of the wire object.

        Raises: BadEvent when the event is too large or holds what JSON cannot.
        """
        try:
            encoded = canonicalize(self.to_json())
        except DidAgentError as error:
            raise BadEvent(str(error)) from error
        if len(encoded) > MAX_EVENT_BYTES:
            raise BadEvent(f"event has {len(encoded)} bytes, limit {MAX_EVENT_BYTES}")
        return encoded


_TIME_LENGTH: Final = len("2026-01-01T00:00:00.000Z")
_REQUIRED: Final = ("id", "source", "party", "action", "decision", "reason", "explanation")
_OPTIONAL: Final = (
    "principal",
    "principal_kind",
    "client_id",
    "target",
    "resource",
    "argument_digest",
    "policy",
    "token_id",
    "evidence",
    "request_id",
)
_MEMBERS: Final = tuple(field.name for field in fields(AuditEvent))  # in the order of the class
_NAMES: Final = frozenset(_MEMBERS)


def parse_event(wire: object) -> AuditEvent:
    """Return the event a wire object states; members are exact, unknown ones are refused.

    Raises: BadEvent.
    """
    members = require_event(wire)
    return AuditEvent(
        **{name: cast("str", members[name]) for name in (*_REQUIRED, *_OPTIONAL)},  # type: ignore[arg-type]  # checked
        time=parse_timestamp(members["time"]),
        actors=tuple(cast("list[str]", members["actors"])),
        credential_ids=tuple(cast("list[str]", members["credential_ids"])),
        details=dict(cast("dict[str, str]", members["details"])),
    )


def require_event(wire: object) -> dict[str, object]:
    """Return the members of a wire object that states an event.

    Raises: BadEvent.
    """
    if not isinstance(wire, dict) or wire.keys() != _NAMES:
        raise BadEvent("members differ from the schema")
    for name in _REQUIRED:
        if not isinstance(wire[name], str) or not wire[name]:
            raise BadEvent(f"{name} must be a non-empty string")
    for name in _OPTIONAL:
        if wire[name] is not None and not isinstance(wire[name], str):
            raise BadEvent(f"{name} must be a string or null")
    if wire["decision"] not in ("allow", "deny"):
        raise BadEvent("decision must be allow or deny")
    try:
        parse_timestamp(wire["time"])
    except DidAgentError as error:
        raise BadEvent("time is not a timestamp") from error
    _require_strings(wire["actors"], "actors")
    _require_strings(wire["credential_ids"], "credential_ids")
    _require_details(wire["details"])
    return wire


def is_as_written(time: str) -> bool:
    """Return whether a timestamp that was read has the one spelling the log knows: UTC with milliseconds."""
    return len(time) == _TIME_LENGTH and time.endswith("Z")


def _require_strings(value: object, name: str) -> None:
    if not isinstance(value, list):
        raise BadEvent(f"{name} must be a list of strings")
    for item in value:
        if not isinstance(item, str):
            raise BadEvent(f"{name} must be a list of strings")


def _require_details(value: object) -> None:
    if not isinstance(value, dict) or len(value) > MAX_DETAILS:
        raise BadEvent("details must be a small object")
    for item in value.values():
        if not isinstance(item, str):
            raise BadEvent("details must hold strings")
