"""Our credentials as JSON Schema 2020-12, for those who read them with other tools; closed like the parsers.

A schema may be laxer than the parser where a rule has no words in JSON Schema (order of dates, number of constraints in
one argument), and never the other way: every member it knows the parser knows, and what the parser takes it takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from did_agent.credential.capability import (
    ENTRY_TYPE,
    MAX_ARGUMENT_NAME,
    MAX_ARGUMENTS,
    MAX_CAPABILITIES,
    MAX_RESOURCES,
    MAX_TOOLS,
)
from did_agent.credential.closed import MAX_URI
from did_agent.credential.constraint import MAX_CLAUSES, MAX_SAFE_INTEGER, MAX_TEXT, MAX_VALUES
from did_agent.credential.context import AGENT_PROFILE
from did_agent.credential.limits import MAX_RATE
from did_agent.credential.model import CAPABILITY_TYPE, IDENTITY_TYPE, MAX_DELEGATION, MAX_DESCRIPTION, MAX_NAME
from did_agent.credential.status import MAX_ENTRIES, PURPOSES
from did_agent.encoding.jcs import canonicalize

CAPABILITY_SCHEMA: Final = "https://w3id.org/did-agent/schemas/agent-capability-credential/v1"
IDENTITY_SCHEMA: Final = "https://w3id.org/did-agent/schemas/agent-identity-credential/v1"

Schema = dict[str, object]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_URI: Final = r"^[A-Za-z][A-Za-z0-9+.-]{0,31}:[!#$%&'()+,./0-9:;=?@A-Z\[\]_a-z~-]{1,2000}$"
_RESOURCE: Final = r"^[A-Za-z][A-Za-z0-9+.-]{0,31}:[!$%&'()+,./0-9:;=?@A-Z\[\]_a-z~-]{1,2000}$"  # no fragment
_STAMP: Final = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(\.[0-9]{1,9})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)$"
)
_INDEX: Final = r"^(0|[1-9][0-9]{0,9})$"


@cache
def published_schemas() -> Mapping[str, Schema]:
    """Return our schemas by the URLs at which they are published."""
    return MappingProxyType({CAPABILITY_SCHEMA: _capability_schema(), IDENTITY_SCHEMA: _identity_schema()})


def published_bytes(url: str) -> bytes:
    """Return the bytes to serve at one of our URLs: canonical JSON, so that its digest is the schema's.

    Raises: KeyError for another URL.
    """
    return canonicalize(published_schemas()[url])


def _capability_schema() -> Schema:
    subject = _closed(
        {
            "id": _ref("uri"),
            "type": {"const": "AIAgent"},
            "onBehalfOf": _ref("uri"),
            "account": _ref("uri"),
            "capability": _array(_ref("capability"), least=1, most=MAX_CAPABILITIES),
            "delegation": _ref("delegation"),
        },
        optional=("onBehalfOf", "account"),
    )
    parts = {
        "capability": _capability(),
        "limits": _limits(),
        "constraint": {"oneOf": [_constraint(kind) for kind in _CONSTRAINTS]},
        "delegation": _delegation(),
        "value": {"anyOf": [{"type": ["null", "boolean", "array", "object"]}, _ref("number"), _ref("text")]},
        "scalar": {"anyOf": [{"type": ["null", "boolean"]}, _ref("number"), _ref("text")]},
        "number": {"type": "number"},
        "text": {"type": "string", "maxLength": MAX_TEXT},
    }
    return _schema(CAPABILITY_SCHEMA, "AgentCapabilityCredential", CAPABILITY_TYPE, subject, parts)


def _identity_schema() -> Schema:
    word = _text(MAX_NAME)
    software: Schema = {
        "type": "object",
        "properties": dict.fromkeys(("name", "version", "model", "environment"), word),
        "additionalProperties": False,
    }
    subject = _closed(
        {
            "id": _ref("uri"),
            "type": {"const": "AIAgent"},
            "agentId": _ref("uri"),
            "name": word,
            "sponsor": _text(MAX_DESCRIPTION),
            "description": {"anyOf": [{"type": "null"}, _text(MAX_DESCRIPTION)]},
            "software": software,
        },
        optional=("description", "software"),
    )
    return _schema(IDENTITY_SCHEMA, "AgentIdentityCredential", IDENTITY_TYPE, subject, {})


def _schema(url: str, title: str, types: list[str], subject: Schema, parts: Mapping[str, object]) -> Schema:
    entry = _ref("status")
    envelope = _closed(
        {
            "@context": {"const": list(AGENT_PROFILE)},
            "id": _ref("uri"),
            "type": {"const": list(types)},
            "issuer": _ref("uri"),
            "validFrom": _ref("stamp"),
            "validUntil": _ref("stamp"),
            "credentialSubject": subject,
            "credentialStatus": {"anyOf": [entry, _array(entry, least=1, most=MAX_ENTRIES)]},
            # What a proof must be, its cryptosuite says.
            "proof": True,
        },
        optional=("credentialStatus", "proof"),
    )
    common = {
        "uri": {"type": "string", "pattern": _URI},
        "stamp": {"type": "string", "pattern": _STAMP},
        "status": _status(),
    }
    return {"$schema": _DIALECT, "$id": url, "title": title, **envelope, "$defs": {**common, **parts}}


def _status() -> Schema:
    return _closed(
        {
            "id": _ref("uri"),
            "type": {"const": "BitstringStatusListEntry"},
            "statusPurpose": {"enum": sorted(PURPOSES)},
            "statusListIndex": {"type": "string", "pattern": _INDEX},
            "statusListCredential": _ref("uri"),
        },
        optional=("id",),
    )


def _delegation() -> Schema:
    whole: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_DELEGATION}
    policy = _closed(
        {
            "type": {"const": "DelegationPolicy"},
            "depth": whole,
            "maxDepth": whole,
            "parent": _closed({"id": _ref("uri"), "digestMultibase": _text(64)}),
        },
        optional=("parent",),
    )
    # A parent is named exactly by the delegated.
    root: Schema = {"properties": {"depth": {"const": 0}}}
    return {**policy, "if": root, "then": {"not": {"required": ["parent"]}}, "else": {"required": ["parent"]}}


def _capability() -> Schema:
    arguments: Schema = {
        "type": "object",
        "maxProperties": MAX_ARGUMENTS,
        "propertyNames": {"minLength": 1, "maxLength": MAX_ARGUMENT_NAME},
        "additionalProperties": _ref("constraint"),
    }
    tools: Schema = {
        "type": "object",
        "maxProperties": MAX_TOOLS,
        "propertyNames": {"pattern": r"^[!#-)+-\[\]-~]{1,128}$"},
        "additionalProperties": arguments,
    }
    resource: Schema = {"type": "string", "pattern": _RESOURCE}
    return _closed(
        {
            "type": {"const": ENTRY_TYPE},
            "resource": {**_array(resource, least=1, most=MAX_RESOURCES), "uniqueItems": True},
            "tools": tools,
            "limits": _ref("limits"),
        },
        optional=("limits",),
    )


def _limits() -> Schema:
    members: dict[str, object] = {
        "maxCalls": _whole(0),
        "windowSeconds": _whole(1),
        "maxRate": {**_whole(1), "maximum": MAX_RATE},
        "singleUse": {"const": True},
        "maxAmount": {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?$"},
        "currency": {"type": "string", "pattern": r"^[A-Z]{3}$"},
        "maxTokens": _whole(0),
    }
    limits = _closed(members, optional=tuple(members))
    dependent = {"windowSeconds": ["maxCalls"], "maxAmount": ["currency"], "currency": ["maxAmount"]}
    return {**limits, "minProperties": 1, "dependentRequired": dependent}


def _constraint(kind: str) -> Schema:
    required, optional = _CONSTRAINTS[kind]
    members = {"constraint_type": {"const": kind}, **required, **optional}
    return _closed(members, optional=tuple(optional))


# ---- pieces


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _closed(members: Mapping[str, object], *, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": dict(members),
        "required": [name for name in members if name not in optional],
        "additionalProperties": False,
    }


def _array(item: Schema, *, most: int, least: int = 0) -> Schema:
    return {"type": "array", "items": item, "minItems": least, "maxItems": most}


def _text(most: int) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": most}


def _whole(least: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": MAX_SAFE_INTEGER}


_LISTED: Final = _array(_ref("value"), most=MAX_VALUES)
_CLAUSES: Final = _array(_ref("constraint"), most=MAX_CLAUSES)
_FLAG: Final[Schema] = {"type": "boolean"}
_BOUND: Final = _ref("number")
# Kind of a constraint: members it must have, members it may have.
_CONSTRAINTS: Final[Mapping[str, tuple[Schema, Schema]]] = {
    "exact": ({"value": _ref("scalar")}, {}),
    "one_of": ({"values": _LISTED}, {}),
    "not_one_of": ({"excluded": _LISTED}, {}),
    "range": ({}, {"min": _BOUND, "max": _BOUND, "min_inclusive": _FLAG, "max_inclusive": _FLAG}),
    "contains": ({"required": _LISTED}, {}),
    "subset": ({"allowed": _LISTED}, {}),
    "wildcard": ({}, {}),
    "all": ({"constraints": _CLAUSES}, {}),
    "any": ({"constraints": _CLAUSES}, {}),
    "prefix": ({"prefix": _ref("text")}, {}),
    "path": ({"root": {"type": "string", "pattern": "^/"}}, {}),
    "url": (
        {"scheme": _text(32), "host": _text(MAX_URI)},
        {"path_prefix": {"type": "string", "pattern": "^/"}},
    ),
    "max_length": ({"value": _whole(0)}, {}),
}
