"""`credentialSchema`: JsonSchema and JsonSchemaCredential (VC JSON Schema 1.0); the one door to jsonschema.

Three outcomes: success, failure, and indeterminate, which is never taken for success.  Schemas are evidence; nothing is
fetched, also not by `$ref`.  Patterns are judged only in schemas that are ours or pinned by a digest: Python's regular
expressions can be made to run for ever.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from did_agent.encoding.jcs import canonicalize

Result = Literal["success", "failure", "indeterminate"]

MAX_SCHEMAS: Final = 4  # of one credential
MAX_ERRORS: Final = 8  # looked at of one validation
_TYPES: Final = ("JsonSchema", "JsonSchemaCredential")
_DIALECTS: Final = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
)
_PATTERNS: Final = frozenset({"pattern", "patternProperties"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaOutcome:
    """What one entry of `credentialSchema` came to."""

    source: Mapping[str, object]  # the entry
    result: Result
    detail: str = ""


def schema_urls(document: Mapping[str, object]) -> tuple[str, ...]:
    """Return the addresses of the schemas that must be had."""
    return tuple(dict.fromkeys(str(entry["id"]) for entry in _entries(document) if isinstance(entry.get("id"), str)))


def validate(
    document: Mapping[str, object],
    schemas: Mapping[str, Mapping[str, object]],
    *,
    bundled: Mapping[str, Mapping[str, object]] | None = None,
) -> Iterator[SchemaOutcome]:
    """Yield the outcome of each entry; the whole credential is validated, without its proof.

    `schemas` are documents by their addresses; a JsonSchemaCredential is one whose proof was verified already.
    """
    for entry in _entries(document):
        yield _outcome(document, entry, schemas, bundled or {})


def _outcome(
    document: Mapping[str, object],
    entry: Mapping[str, object],
    schemas: Mapping[str, Mapping[str, object]],
    bundled: Mapping[str, Mapping[str, object]],
) -> SchemaOutcome:
    url = str(entry.get("id"))
    found = bundled.get(url) or schemas.get(url)
    if entry.get("type") not in _TYPES:
        return SchemaOutcome(source=entry, result="indeterminate", detail="a kind of schema that is not known")
    if found is None:
        return SchemaOutcome(source=entry, result="indeterminate", detail="the schema is not at hand")
    if "digestSRI" in entry and not _matches(entry["digestSRI"], canonicalize(found)):
        return SchemaOutcome(source=entry, result="failure", detail="the schema has another digest")
    if entry.get("type") == "JsonSchemaCredential":
        subject = found.get("credentialSubject")
        if found.get("id", url) != url or not isinstance(subject, dict) or subject.get("type") != "JsonSchema":
            return SchemaOutcome(source=entry, result="failure", detail="not the credential of a schema")
        found = subject.get("jsonSchema")
    if not isinstance(found, dict):
        return SchemaOutcome(source=entry, result="indeterminate", detail="the schema is not an object")
    return _validate(document, entry, found, trusted=url in bundled or "digestSRI" in entry)


def _validate(
    document: Mapping[str, object], entry: Mapping[str, object], schema: dict[str, Any], *, trusted: bool
) -> SchemaOutcome:
    # Loaded when a schema is met; most verifications meet none.
    import jsonschema
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    dialect = schema.get("$schema")
    if not isinstance(dialect, str) or dialect.rstrip("#") not in _DIALECTS:
        return SchemaOutcome(source=entry, result="indeterminate", detail="the dialect of the schema is not known")
    if not trusted and _has_patterns(schema):
        return SchemaOutcome(source=entry, result="indeterminate", detail="a pattern in a schema that is not pinned")
    kind = validator_for(schema)
    without_proof: Any = {name: value for name, value in document.items() if name != "proof"}
    registry: Registry[Any] = Registry()  # resolves nothing but what is in the schema and the dialects
    try:
        kind.check_schema(schema)
        checker = kind(schema, registry=registry, format_checker=kind.FORMAT_CHECKER)
        broken = next(iter(checker.iter_errors(without_proof)), None)
    except (jsonschema.SchemaError, Unresolvable, RecursionError) as error:
        return SchemaOutcome(
            source=entry, result="indeterminate", detail=f"the schema cannot be used: {type(error).__name__}"
        )
    if broken is None:
        return SchemaOutcome(source=entry, result="success")
    where = "/".join(map(str, broken.absolute_path))
    return SchemaOutcome(source=entry, result="failure", detail=f"{broken.validator} at /{where}"[:200])


def _entries(document: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    value = document.get("credentialSchema", [])
    listed = value if isinstance(value, list) else [value]
    return [entry for entry in listed if isinstance(entry, dict)][:MAX_SCHEMAS]


def _has_patterns(schema: object) -> bool:
    waiting = [schema]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if _PATTERNS & item.keys():
                return True
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return False


def _matches(digest: object, raw: bytes) -> bool:
    """Compare a subresource-integrity digest; of the canonical form, since evidence is parsed JSON."""
    if not isinstance(digest, str):
        return False
    name, _, encoded = digest.partition("-")
    if name not in ("sha256", "sha384", "sha512"):
        return False
    try:
        return hmac.compare_digest(base64.b64decode(encoded, validate=True), hashlib.new(name, raw).digest())
    except (binascii.Error, ValueError):
        return False
