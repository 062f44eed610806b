"""`credentialSchema`: JsonSchema and JsonSchemaCredential (VC JSON Schema 1.0); the one door to jsonschema.

Three results: success, failure, and indeterminate, which is never taken for success.  Schemas are evidence; nothing is
fetched, also not by `$ref`.  What a stranger's schema may cost, `schema_bounds` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Literal

from did_agent.credential import schema_bounds
from did_agent.credential.identifier import is_url
from did_agent.credential.published_schema import published_schemas
from did_agent.credential.related import has_digests, parse_digests
from did_agent.credential.schema_format import FORMATS
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import DidAgentError, Malformed, SchemaIndeterminate, SchemaViolated

Result = Literal["success", "failure", "indeterminate"]
JSONObject = Mapping[str, object]
Source = JSONObject | bytes  # a schema as it came; bytes where its digest is to be checked

MAX_SCHEMAS: Final = 4  # of one credential; what follows is not looked at, and so not believed
MAX_INSTANCE: Final = 65_536  # bytes of the canonical form of a credential
# The text of the standard names the first, its test suite the second.
META_SCHEMAS: Final = frozenset(
    {
        "https://www.w3.org/ns/credentials/json-schema/v2.json",
        "https://www.w3.org/2022/credentials/v2/json-schema-credential-schema.json",
    }
)

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_KNOWN: Final = ("JsonSchema", "JsonSchemaCredential")
_DIALECTS: Final[Mapping[str, str]] = {
    "https://json-schema.org/draft/2020-12/schema": "Draft202012Validator",
    "https://json-schema.org/draft/2019-09/schema": "Draft201909Validator",
    "http://json-schema.org/draft-07/schema": "Draft7Validator",
    "https://json-schema.org/draft-07/schema": "Draft7Validator",  # not its name, but what people write
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaOutcome:
    """What one entry of `credentialSchema` came to."""

    source: JSONObject  # the entry
    result: Result
    detail: str = ""

    @property
    def error(self) -> DidAgentError | None:
        """The error that stands for this result, None for success alone."""
        if self.result == "success":
            return None
        return SchemaViolated(self.detail) if self.result == "failure" else SchemaIndeterminate(self.detail)


def schema_urls(document: JSONObject) -> tuple[str, ...]:
    """Return the URLs of the schemas that must be had before `validate` can decide."""
    named = [entry.get("id") for entry in _entries(document)[:MAX_SCHEMAS] if _kind(entry) in _KNOWN]
    ours = published_schemas()
    return tuple(dict.fromkeys(url for url in named if is_url(url) and url not in ours))


def validate(
    document: JSONObject,
    schemas: Mapping[str, Source],
    *,
    credentials: Mapping[str, JSONObject] = _NOTHING,
    bundled: Mapping[str, JSONObject] = _NOTHING,
) -> Iterator[SchemaOutcome]:
    """Yield the outcome of each entry; the whole credential is validated, whatever secures it.

    `schemas` is what was found at the URLs, believed by nobody.  `credentials` are the JsonSchemaCredentials among
    them whose proofs have been verified; one that is in `schemas` alone decides nothing.  `bundled` are schemas of the
    operator's own, trusted like ours.
    """
    evidence = _Evidence(schemas=schemas, credentials=credentials, bundled={**bundled, **published_schemas()})
    instance: Any = {name: value for name, value in document.items() if name != "proof"}
    entries = _entries(document)
    for entry in entries[:MAX_SCHEMAS]:
        yield _outcome(entry, instance, evidence)
    for entry in entries[MAX_SCHEMAS:]:
        yield SchemaOutcome(source=entry, result="indeterminate", detail=f"more than {MAX_SCHEMAS} schemas")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    schemas: Mapping[str, Source]
    credentials: Mapping[str, JSONObject]
    bundled: Mapping[str, JSONObject]


def _outcome(entry: JSONObject, instance: Any, evidence: _Evidence) -> SchemaOutcome:
    try:
        _judge(entry, instance, evidence)
    except SchemaIndeterminate as error:
        return SchemaOutcome(source=entry, result="indeterminate", detail=error.detail)
    except (SchemaViolated, Malformed) as error:
        return SchemaOutcome(source=entry, result="failure", detail=error.detail)
    return SchemaOutcome(source=entry, result="success")


def _judge(entry: JSONObject, instance: Any, evidence: _Evidence) -> None:
    """Return when the instance follows the schema of one entry."""
    kind, url = _kind(entry), entry.get("id")
    if kind not in _KNOWN:
        raise SchemaIndeterminate("a kind of schema that is not known")
    if not is_url(url):
        raise SchemaViolated("credentialSchema has no URL as its id")
    ours = kind == "JsonSchema" and url in evidence.bundled
    pinned = _require_digests(entry, evidence.bundled[url] if ours else evidence.schemas.get(url))
    schema = _of_credential(url, evidence) if kind == "JsonSchemaCredential" else _of_url(url, evidence)
    dialect = _dialect(schema)
    if not is_url(schema.get("$id")):
        raise SchemaViolated("$id of the schema is missing or not a URL")
    if kind == "JsonSchema" and str(schema["$id"]).rstrip("#") != url.rstrip("#"):
        raise SchemaViolated("$id of the schema is not the URL it was found at")
    if not ours:
        schema_bounds.require_bounded(schema, pinned=pinned)
        if len(canonicalize(instance)) > MAX_INSTANCE:
            raise SchemaIndeterminate(f"the credential has more than {MAX_INSTANCE} bytes")
    _run(schema, instance, dialect, None if ours else schema_bounds.MAX_STEPS)


def _of_url(url: str, evidence: _Evidence) -> JSONObject:
    found = evidence.bundled.get(url) or evidence.schemas.get(url)
    if found is None:
        raise SchemaIndeterminate("the schema is not at hand")
    return parse_object(found) if isinstance(found, bytes) else found


def _of_credential(url: str, evidence: _Evidence) -> JSONObject:
    """Return the schema in a JsonSchemaCredential (VC JSON Schema, 2.2)."""
    found = evidence.credentials.get(url)
    if found is None:
        raise SchemaIndeterminate("no verified credential of the schema is at hand")
    subject, own = found.get("credentialSubject"), found.get("credentialSchema")
    types = found.get("type")
    # Otherwise a credential that its issuer made for another URL would be served here.
    if found.get("id") != url or not isinstance(types, list) or "JsonSchemaCredential" not in types:
        raise SchemaViolated("not a JsonSchemaCredential with this id")
    if not isinstance(own, dict) or own.get("id") not in META_SCHEMAS or own.get("type") != "JsonSchema":
        raise SchemaViolated("credentialSchema of a JsonSchemaCredential is not the one there is")
    schema = subject.get("jsonSchema") if isinstance(subject, dict) and subject.get("type") == "JsonSchema" else None
    if not isinstance(schema, dict):
        raise SchemaViolated("credentialSubject is not a JsonSchema with its jsonSchema")
    return schema


def _require_digests(entry: JSONObject, found: Source | None) -> bool:
    """Return whether the entry pins the schema by digests, all of which it has."""
    digests = parse_digests(entry)
    if not digests:
        return False
    if found is None:
        raise SchemaIndeterminate("the schema is not at hand")
    if has_digests(found if isinstance(found, bytes) else canonicalize(found), digests):
        return True
    if isinstance(found, bytes):
        raise SchemaViolated("the schema has another digest")
    # The digest is of the bytes that were served; a value read from them may be right in any spelling.
    raise SchemaIndeterminate("a digest cannot be checked without the bytes of the schema")


def _entries(document: JSONObject) -> Sequence[JSONObject]:
    value = document.get("credentialSchema", [])
    return [entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, dict)]


def _kind(entry: JSONObject) -> object:
    value = entry.get("type")
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _dialect(schema: JSONObject) -> str:
    name = schema.get("$schema")
    if not isinstance(name, str):
        raise SchemaViolated("$schema is missing")
    dialect = name.removesuffix("#")
    if dialect not in _DIALECTS:
        raise SchemaIndeterminate("the dialect of the schema is not known")
    return dialect


# ---- the library


def _run(schema: JSONObject, instance: Any, dialect: str, max_steps: int | None) -> None:
    # Loaded when a schema is met; most verifications meet none.
    import jsonschema
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    kind = _validators()[dialect]
    # The library picks another class where it meets `$schema` again, one that does not count its steps.
    rules: Any = {name: value for name, value in schema.items() if name != "$schema"}
    registry: Registry[Any] = Registry()
    try:
        kind.check_schema(schema, format_checker=jsonschema.FormatChecker(formats=()))
        checker = kind(rules, registry=registry, format_checker=_checker(max_steps))
        broken = next(iter(checker.iter_errors(instance)), None)
    except jsonschema.SchemaError as error:
        raise SchemaViolated("the schema is not a JSON Schema") from error
    except schema_bounds.StepsExceededError as error:
        raise SchemaIndeterminate("validating takes too many steps") from error
    # `$ref` leads the library to parts that no dialect describes, and there to whatever Python makes of them.
    except (Unresolvable, RecursionError, re.error, AttributeError, TypeError, ValueError, LookupError) as error:
        raise SchemaIndeterminate(f"the schema cannot be used: {type(error).__name__}") from error
    if broken is not None:
        where = "/".join(str(part)[:40] for part in broken.absolute_path)
        raise SchemaViolated(f"{broken.validator} at /{where}"[:200])


@cache
def _validators() -> Mapping[str, Any]:
    """Return a validator class for each dialect, each of whose keywords counts its steps."""
    import jsonschema
    from jsonschema import validators

    extend: Any = validators.extend
    kinds = {dialect: getattr(jsonschema, name) for dialect, name in _DIALECTS.items()}
    return {
        dialect: extend(kind, {name: _counted(name, judge) for name, judge in kind.VALIDATORS.items()})
        for dialect, kind in kinds.items()
    }


def _counted(name: str, of_library: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    judge: Callable[..., Any] = _pattern if name == "pattern" else of_library

    def counted(validator: Any, value: Any, instance: Any, schema: JSONObject) -> Iterator[Any]:
        validator.format_checker.spend(name, value, instance, schema)
        yield from judge(validator, value, instance, schema) or ()

    return counted


def _pattern(_validator: Any, value: str, instance: object, _schema: JSONObject) -> Iterator[Any]:
    """`pattern` as ECMA-262 has it, where `$` is the end and not the place before a last line feed."""
    import jsonschema

    ends = value.endswith("$") and not value.endswith("\\$")
    python = value[:-1] + r"\Z" if ends else value
    if isinstance(instance, str) and not re.search(python, instance, re.ASCII):
        yield jsonschema.ValidationError("does not match the pattern")


def _checker(max_steps: int | None) -> Any:
    """Return a format checker that also carries the count: it is what every part of a validation shares."""
    import jsonschema

    class Checker(jsonschema.FormatChecker):
        steps = 0

        def spend(self, name: str, value: object, instance: object, schema: JSONObject) -> None:
            if max_steps is None:
                return
            self.steps += schema_bounds.cost(name, value, instance, schema)
            if self.steps > max_steps:
                raise schema_bounds.StepsExceededError

    checker = Checker(formats=())
    for name, is_formed in FORMATS.items():
        checker.checks(name)(is_formed)
    return checker
