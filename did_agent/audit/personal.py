"""Which fields of an event are about people, and the salted commitments that stand for them in the log (AUD-05).

The log hashes the commitment and not the value, so that a value can be erased and every proof still holds.  A
commitment is the digest of a disclosure as RFC 9901 (SD-JWT) section 4.2 has it: salt, name and value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from did_agent.encoding import base64url
from did_agent.encoding.jcs import canonicalize_strings
from did_agent.errors import BadLog

SEALED: Final = "sealed:sha-256:"
SALT_BYTES: Final = 16

_DETAILS: Final = "details."
_IDENTIFIERS: Final = ("did:", "urn:", "https:", "http:")  # of agents, issuers and things, where no user is meant
_PEOPLE: Final = "user."  # actions whose target is a person
_SUBJECTS: Final = ("risk.", "revocation.")  # actions whose target may be one
_ROLES: Final = ("role.assign", "role.unassign")
_TO_A_PERSON: Final = " user "  # in the target of a role: "<role> user <who>"
_OF_A_PERSON: Final = "for"  # the detail that names on whose behalf
_KEPT: Final = frozenset({"organisation", "task", "trace_id", "span_id", "leaf"})  # details that name no person
_TEXTS: Final = ("principal", "target", "client_id", "explanation")


def personal_fields(event: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the fields of a wire event that name people, and whom each names, in the order they were found.

    A field of `details` is called `details.<name>`.
    """
    people = _people(event)
    if not people:
        return {}
    found = {name: _named(people, said) for name in _TEXTS if (said := event[name])}
    for name, said in event["details"].items():
        if name not in _KEPT:
            found[_DETAILS + name] = _named(people, said)
    return {name: named for name, named in found.items() if named}


def commitment(field: str, salt: str, value: str) -> str:
    """Return what stands in the log for the value of a field."""
    disclosure = base64url.encode(canonicalize_strings([salt, field, value]))
    return SEALED + base64url.encode(hashlib.sha256(disclosure.encode("ascii")).digest())


def is_sealed(text: str) -> bool:
    """Tell whether a value stands as its commitment alone."""
    return text.startswith(SEALED)


def value_of(event: Mapping[str, Any], field: str) -> str:
    """Return the text of a field.

    Raises: BadLog when the event has none of that name.
    """
    name = field.removeprefix(_DETAILS)
    holder = event if name == field else event.get("details")
    said = holder.get(name) if isinstance(holder, Mapping) else None
    if not isinstance(said, str):
        raise BadLog(f"a salt for {field[:64]}, which the event does not have")
    return said


def replaced(event: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Return an event with other values in some fields."""
    changed, details = dict(event), dict(event["details"])
    for field, value in values.items():
        name = field.removeprefix(_DETAILS)
        (changed if name == field else details)[name] = value
    changed["details"] = details
    return changed


def committed(event: Mapping[str, Any], salts: Mapping[str, str]) -> dict[str, Any]:
    """Return an opened event as the log hashed it.

    Raises: BadLog when a salt is for no field.
    """
    return replaced(event, {field: commitment(field, salt, value_of(event, field)) for field, salt in salts.items()})


def _people(event: Mapping[str, Any]) -> tuple[str, ...]:
    people, kind, action, target = [], event["principal_kind"], event["action"], event["target"] or ""
    if kind == "user" or (kind != "agent" and not _is_identifier(event["principal"])):
        people.append(event["principal"])
    if action.startswith(_PEOPLE) or (action.startswith(_SUBJECTS) and not _is_identifier(target)):
        people.append(target)
    elif action in _ROLES and _TO_A_PERSON in target:
        people.append(target.partition(_TO_A_PERSON)[2])
    people.append(event["details"].get(_OF_A_PERSON))
    return tuple(dict.fromkeys(one for one in people if one))


def _is_identifier(name: str | None) -> bool:
    return name is not None and name.startswith(_IDENTIFIERS)


def _named(people: tuple[str, ...], said: str) -> tuple[str, ...]:
    return tuple([person for person in people if person in said])
