"""Forms described for whoever renders them: a JSON Schema (2020-12), and for each field its words, place and widget.

The schemas are those that requests are judged by; where the tools of a resource are known, their names and arguments
become choices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from did_agent.credential.published_schema import CAPABILITY_SCHEMA, published_schemas
from did_agent.errors import NotFound
from issuer.granting import MAX_DEPTH, MAX_SECONDS
from issuer.model.grants import MAX_RENEWABLE, MAX_TEMPLATES
from issuer.model.requests import MAX_SECONDS as MAX_WAIT
from issuer.webhooks import TOPICS

Schema = dict[str, object]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_PARTS: Final = ("limits", "constraint", "value", "scalar", "number", "text")
# Which constraints make sense for an argument, by the type its tool declares; the first is proposed.
_FITTING: Final[Mapping[str, tuple[str, ...]]] = {
    "string": ("one_of", "exact", "prefix", "path", "url", "max_length", "not_one_of", "wildcard"),
    "integer": ("range", "exact", "one_of", "wildcard"),
    "number": ("range", "exact", "one_of", "wildcard"),
    "boolean": ("exact", "wildcard"),
    "array": ("subset", "contains", "wildcard"),
}
_TEXT: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 256}
_NAME: Final[Schema] = {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$"}
_SECONDS: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": MAX_SECONDS, "default": MAX_SECONDS}
_DEPTH: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": MAX_DEPTH, "default": 1}
_FLAG: Final[Schema] = {"type": "boolean", "default": False}
_RENEWABLE: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": MAX_RENEWABLE, "default": 0}

# Field: label, help, widget.
_WORDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "capabilities": ("Capabilities", "What the agent may do: tools at resources, each with its limits.", "list"),
    "template": ("Capability template", "Instead of capabilities: what was prepared under a name.", "select"),
    "templates": ("Capability templates", "What everybody with this role may have.", "multiselect"),
    "role": ("Role", "Instead of capabilities: all that a role gives.", "select"),
    "name": ("Name", "Small letters, digits and hyphens.", "text"),
    "description": ("Description", "What it is for.", "textarea"),
    "reason": ("Reason", "Why; whoever decides reads it, and the audit log keeps it.", "textarea"),
    "valid_seconds": ("Valid for", "Seconds a credential lives; at most a day.", "duration"),
    "max_depth": ("Handing on", "How often it may be handed on to another agent.", "number"),
    "renewable_seconds": ("Renewable for", "Seconds in all that the agent may renew it; 0 for not at all.", "duration"),
    "on_behalf_of": ("On behalf of", "The person or service it is for, if it is for one alone.", "text"),
    "needs_approval": ("Needs approval", "Nobody grants it alone.", "switch"),
    "managers": ("Managers may grant it", "Otherwise admins alone.", "switch"),
    "agent": ("Agent", "Its id or DID.", "agent"),
    "expires_in": ("Decide within", "Seconds until the request is over.", "duration"),
    "url": ("Address", "An https URL of your own.", "url"),
    "topics": ("Events", "What it is told of.", "multiselect"),
    "scheme": ("Signature", "v1a: Ed25519, a public key is enough to check it.  v1: a shared secret.", "select"),
    "resource": ("Resource", "Exact identifier of the MCP server.", "combobox"),
    "tools": ("Tools", "Which tools, and with which arguments.", "tools"),
    "limits": ("Limits", "Ceilings on use; those of the whole life count from each credential anew.", "group"),
    "maxCalls": ("Calls", "How many in all, or in each window.", "number"),
    "windowSeconds": ("Window", "Seconds that the calls are for.", "duration"),
    "maxRate": ("Calls a minute", "At most.", "number"),
    "singleUse": ("Once", "One call ever.", "switch"),
    "maxAmount": ("Amount", "What its calls may cost in all.", "money"),
    "currency": ("Currency", "Three letters, such as EUR.", "text"),
}


def describe_form(
    name: str,
    *,
    resources: Sequence[str] = (),
    resource: str | None = None,
    tools: Mapping[str, object] | None = None,
    templates: Sequence[str] = (),
    roles: Sequence[str] = (),
) -> Schema:
    """Return the description of a form, with what is known as choices.

    Raises: NotFound.
    """
    if name not in FORMS:
        raise NotFound("there is no such form")
    title, path, required, fields = FORMS[name]
    members = {field: _field(field) for field in fields}
    if "template" in members and templates:
        members["template"] = {**_NAME, "enum": sorted(templates)}
    if "templates" in members and templates:
        members["templates"] = {**members["templates"], "items": {**_NAME, "enum": sorted(templates)}}
    if "role" in members and roles:
        members["role"] = {**_NAME, "enum": sorted(roles)}
    schema: Schema = {
        "$schema": _DIALECT,
        "title": title,
        "type": "object",
        "properties": members,
        "required": list(required),
        "additionalProperties": False,
        "$defs": _parts(resources, resource, tools or {}),
    }
    return {"form": name, "submit": {"method": "POST", "path": path}, "schema": schema, "ui": _hints(fields)}


def _field(name: str) -> Schema:
    return dict(_FIELDS[name])


def _hints(fields: Sequence[str]) -> Schema:
    shown = list(fields)
    if "capabilities" in fields:
        shown += ["resource", "tools", "limits", "maxCalls", "windowSeconds", "maxRate", "singleUse", "maxAmount"]
        shown.append("currency")
    words = {name: dict(zip(("label", "help", "widget"), _WORDS[name], strict=True)) for name in shown}
    order: Schema = {"": list(fields)}
    if "capabilities" in fields:
        order["capabilities"] = ["resource", "tools", "limits"]
    return {"order": order, "fields": words}


def _parts(resources: Sequence[str], resource: str | None, tools: Mapping[str, object]) -> Schema:
    published = cast("Mapping[str, Schema]", published_schemas()[CAPABILITY_SCHEMA]["$defs"])
    capability = {**published["capability"]}
    members = {**cast("Schema", capability["properties"])}
    del members["type"]  # requests say it without (`parse_bare_capability`)
    named = {**cast("Schema", members["resource"])}
    known = [resource] if resource is not None else list(resources)
    if known:
        named["examples"] = [known]
    members["resource"] = named
    if tools:
        members["tools"] = _known_tools(cast("Schema", members["tools"]), tools)
    required = [name for name in cast("list[str]", capability["required"]) if name != "type"]
    return {
        "capability": {**capability, "properties": members, "required": required},
        **{part: published[part] for part in _PARTS},
    }


def _known_tools(schema: Schema, tools: Mapping[str, object]) -> Schema:
    """Return the schema of tools with those known by name; others may have come up since."""
    offered = {name: _known_tool(cast("Schema", schema["additionalProperties"]), tools[name]) for name in sorted(tools)}
    return {**schema, "properties": offered}


def _known_tool(anything: Schema, known: object) -> Schema:
    said = known if isinstance(known, dict) else {}
    found: Schema = {**anything, "title": str(said.get("title") or "")[:128]} if said.get("title") else {**anything}
    if said.get("description"):
        found["description"] = str(said["description"])[:512]
    declared = said.get("inputSchema")
    arguments = declared.get("properties") if isinstance(declared, dict) else None
    if isinstance(arguments, dict):
        found["properties"] = {
            str(name): {"$ref": "#/$defs/constraint", **_proposal(one)} for name, one in sorted(arguments.items())
        }
    return found


def _proposal(declared: object) -> Schema:
    """Return which constraints fit an argument as its tool declares it."""
    said = declared if isinstance(declared, dict) else {}
    values = said.get("enum")
    kinds = _FITTING.get(str(said.get("type")), ("wildcard",))
    hint: Schema = {"constraints": list(kinds)}
    if isinstance(values, list):
        hint["values"] = values[:256]
    found: Schema = {"x-ui": hint}
    if said.get("description"):
        found["description"] = str(said["description"])[:512]
    return found


_FIELDS: Final[Mapping[str, Schema]] = {
    "capabilities": {"type": "array", "items": {"$ref": "#/$defs/capability"}, "minItems": 1, "maxItems": 16},
    "template": _NAME,
    "templates": {"type": "array", "items": _NAME, "minItems": 1, "maxItems": MAX_TEMPLATES, "uniqueItems": True},
    "role": _NAME,
    "name": _NAME,
    "description": {"type": "string", "maxLength": 512, "default": ""},
    "reason": _TEXT,
    "valid_seconds": _SECONDS,
    "max_depth": _DEPTH,
    "renewable_seconds": _RENEWABLE,
    "on_behalf_of": {"type": "string", "maxLength": 512},
    "needs_approval": _FLAG,
    "managers": _FLAG,
    "agent": _TEXT,
    "expires_in": {"type": "integer", "minimum": 1, "maximum": MAX_WAIT},
    "url": {"type": "string", "format": "uri", "maxLength": 1024},
    "topics": {"type": "array", "items": {"enum": sorted(TOPICS)}, "minItems": 1, "uniqueItems": True},
    "scheme": {"enum": ["v1a", "v1"], "default": "v1a"},
}
# Form: title, where it is sent, what must be filled in, its fields in their order.
FORMS: Final[Mapping[str, tuple[str, str, tuple[str, ...], tuple[str, ...]]]] = {
    "capability": (
        "Grant capabilities",
        "/agents/{agent}/credentials",
        (),
        ("template", "capabilities", "valid_seconds", "max_depth", "renewable_seconds", "on_behalf_of"),
    ),
    "capability-template": (
        "Capability template",
        "/capabilities",
        ("name", "capabilities"),
        (
            "name",
            "description",
            "capabilities",
            "valid_seconds",
            "max_depth",
            "renewable_seconds",
            "needs_approval",
            "managers",
        ),
    ),
    "role": ("Role", "/roles", ("name", "templates"), ("name", "description", "templates")),
    "request": (
        "Ask for rights",
        "/requests",
        ("reason",),
        ("agent", "role", "template", "capabilities", "valid_seconds", "max_depth", "reason", "expires_in"),
    ),
    "webhook": ("Webhook", "/webhooks", ("url", "topics"), ("url", "topics", "description", "scheme")),
}
