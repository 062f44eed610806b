"""Builders of schemas, of credentials that name them, and of their digests."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from did_agent.credential.schema import SchemaOutcome, validate

URL = "https://schemas.example/person"
CREDENTIAL_URL = "https://schemas.example/credentials/1"
DIALECTS = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema#",
)


def schema(**members: Any) -> dict[str, Any]:
    """Return a schema of credentials whose subject has an age in years; a member that is None is left out."""
    age = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    found = {"$schema": DIALECTS[0], "$id": URL, "type": "object", "properties": {"credentialSubject": age}, **members}
    return {name: value for name, value in found.items() if value is not None}


def schema_credential() -> dict[str, Any]:
    """Return what a JsonSchemaCredential says, once its proof was verified."""
    return {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": CREDENTIAL_URL,
        "type": ["VerifiableCredential", "JsonSchemaCredential"],
        "issuer": "https://schemas.example",
        "credentialSchema": {"id": "https://www.w3.org/ns/credentials/json-schema/v2.json", "type": "JsonSchema"},
        "credentialSubject": {"id": URL, "type": "JsonSchema", "jsonSchema": schema()},
    }


def credential(*, entry: Any = None, pin: Any = None, age: Any = 7) -> dict[str, Any]:
    """Return a credential that names the schema at URL, or `entry` instead; `pin` are members of its entry."""
    subject = {"id": "did:example:subject"} if age is None else {"id": "did:example:subject", "age": age}
    return {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential"],
        "issuer": "https://issuer.example",
        "credentialSubject": subject,
        "credentialSchema": {"id": URL, "type": "JsonSchema", **(pin or {})} if entry is None else entry,
    }


def outcome(found: Any, document: dict[str, Any] | None = None) -> SchemaOutcome:
    """Return the outcome for a document when `found` is what its one URL serves."""
    (one,) = validate(credential() if document is None else document, {URL: found})
    return one


def sri(raw: bytes, name: str = "sha384") -> str:
    """Return a `digestSRI`."""
    return f"{name}-{base64.b64encode(hashlib.new(name, raw).digest()).decode()}"
