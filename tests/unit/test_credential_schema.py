"""`credentialSchema` (VC JSON Schema 1.0): what is asked for, what comes out, and what counts as knowing the schema."""

from __future__ import annotations

import json
import sys
from typing import Any

import jsonschema
import pytest

from did_agent.credential.limits import parse_limits
from did_agent.credential.published_schema import CAPABILITY_SCHEMA, published_bytes, published_schemas
from did_agent.credential.schema import MAX_SCHEMAS, SchemaOutcome, schema_urls, validate
from did_agent.encoding.digest import digest_multibase
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import BadCredential, SchemaIndeterminate, SchemaViolated
from tests.fakes.credentials import root_document
from tests.fakes.schemas import CREDENTIAL_URL, DIALECTS, URL, credential, outcome, schema, schema_credential, sri


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_credential_follows_its_schema_or_not(dialect: str) -> None:
    found = schema(**{"$schema": dialect})
    assert outcome(found).result == "success"
    assert outcome(found, credential(age="old")).result == "failure"
    assert outcome(found, credential(age=None)).result == "failure"


def test_the_whole_credential_is_validated_and_never_its_proof() -> None:
    without = schema(**{"not": {"required": ["proof"]}})
    assert outcome(without, {**credential(), "proof": {"type": "Any"}}).result == "success"
    assert outcome(schema(required=["issuer", "nothing"])).result == "failure"


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({"$schema": None}, "failure"),
        ({"$schema": 7}, "failure"),
        ({"$schema": "https://json-schema.org/draft/2029-01/schema"}, "indeterminate"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "indeterminate"),
        ({"$schema": "http://json-schema.org/draft-07/schema"}, "success"),
        ({"$id": None}, "failure"),
        ({"$id": "relative"}, "failure"),
        ({"$id": URL + "2"}, "failure"),
        ({"$id": URL + "#"}, "success"),
        ({"type": "nothing"}, "failure"),
        ({"properties": 7}, "failure"),
    ],
)
def test_a_schema_says_which_it_is_and_in_which_dialect(change: dict[str, Any], result: str) -> None:
    assert outcome(schema(**change)).result == result


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "Other"},
        {"type": ["JsonSchema", "Other"]},
        {"type": None},
    ],
)
def test_another_kind_of_schema_is_not_decided_and_not_asked_for(entry: dict[str, Any]) -> None:
    document = credential(entry={"id": URL, **entry})
    assert schema_urls(document) == ()
    assert [found.result for found in validate(document, {URL: schema()})] == ["indeterminate"]


def test_what_must_be_had_is_named_once_and_ours_is_had_already() -> None:
    entries = [{"id": URL, "type": "JsonSchema"}, {"id": CREDENTIAL_URL, "type": ["JsonSchemaCredential"]}]
    ours = {"id": CAPABILITY_SCHEMA, "type": "JsonSchema"}
    assert schema_urls(credential(entry=[*entries, ours, entries[0]])) == (URL, CREDENTIAL_URL)
    assert schema_urls({}) == ()
    assert schema_urls(credential(entry={"id": "relative", "type": "JsonSchema"})) == ()


def test_a_schema_that_is_not_at_hand_decides_nothing() -> None:
    (found,) = validate(credential(), {})
    assert (found.result, type(found.error)) == ("indeterminate", SchemaIndeterminate)


def test_each_result_has_its_error() -> None:
    results = {name: SchemaOutcome(source={}, result=name).error for name in ("success", "failure", "indeterminate")}
    assert {name: error and type(error) for name, error in results.items()} == {
        "success": None,
        "failure": SchemaViolated,
        "indeterminate": SchemaIndeterminate,
    }


def test_every_schema_has_an_outcome_and_the_surplus_is_not_decided() -> None:
    entries = [{"id": URL, "type": "JsonSchema"}] * (MAX_SCHEMAS + 2)
    results = [found.result for found in validate(credential(entry=entries), {URL: schema()})]
    assert results == ["success"] * MAX_SCHEMAS + ["indeterminate"] * 2
    assert list(validate({"issuer": "did:example:a"}, {})) == []


# ---- digests


def test_a_pinned_schema_is_the_one_with_the_digest() -> None:
    raw = json.dumps(schema(), indent=1).encode()
    for name in ("sha256", "sha384", "sha512"):
        pin = {"digestSRI": sri(raw, name)}
        assert outcome(raw, credential(pin=pin)).result == "success"
        assert outcome(raw + b"\n", credential(pin=pin)).result == "failure"
    both = {"digestSRI": sri(raw), "digestMultibase": digest_multibase(raw)}
    assert outcome(raw, credential(pin=both)).result == "success"
    assert outcome(raw, credential(pin={**both, "digestMultibase": digest_multibase(b"")})).result == "failure"


def test_a_digest_that_cannot_be_read_is_not_passed_over() -> None:
    raw = json.dumps(schema()).encode()
    for digest in ("md5-1B2M2Y8AsgTpgAmY7PhCfg==", "sha256-AAAA", "", 7, [], f"{sri(raw)} sha1-AAAA"):
        assert outcome(raw, credential(pin={"digestSRI": digest})).result == "failure"


def test_a_digest_needs_the_bytes_unless_they_were_canonical() -> None:
    # A value that was read has no bytes; only canonical JSON can be made from it again.
    spaced, canonical = json.dumps(schema(), indent=1).encode(), canonicalize(schema())
    assert outcome(schema(), credential(pin={"digestSRI": sri(spaced)})).result == "indeterminate"
    assert outcome(schema(), credential(pin={"digestSRI": sri(canonical)})).result == "success"


def test_bytes_are_read_strictly() -> None:
    raw = json.dumps(schema()).encode()
    assert outcome(raw).result == "success"
    assert outcome(raw[:-1] + b',"$id":"https://other.example/"}').result == "failure"
    assert outcome(b"[]").result == "failure"


# ---- schemas in credentials


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({}, "success"),
        ({"id": "https://schemas.example/credentials/2"}, "failure"),
        ({"id": None}, "failure"),
        ({"type": ["VerifiableCredential"]}, "failure"),
        ({"type": "JsonSchemaCredential"}, "failure"),
        ({"credentialSubject": {"type": "JsonSchema"}}, "failure"),
        ({"credentialSubject": {"type": "Other", "jsonSchema": schema()}}, "failure"),
        ({"credentialSubject": {"jsonSchema": schema()}}, "failure"),
        ({"credentialSubject": {"type": "JsonSchema", "jsonSchema": "{}"}}, "failure"),
        ({"credentialSchema": None}, "failure"),
        ({"credentialSchema": {"id": "https://schemas.example/meta", "type": "JsonSchema"}}, "failure"),
    ],
)
def test_the_credential_of_a_schema_follows_the_standard(change: dict[str, Any], result: str) -> None:
    held = {name: value for name, value in {**schema_credential(), **change}.items() if value is not None}
    document = credential(entry={"id": CREDENTIAL_URL, "type": "JsonSchemaCredential"})
    (found,) = validate(document, {}, credentials={CREDENTIAL_URL: held})
    assert found.result == result, found.detail


def test_a_credential_of_a_schema_judges_like_the_schema() -> None:
    document = credential(entry={"id": CREDENTIAL_URL, "type": "JsonSchemaCredential"}, age="old")
    (found,) = validate(document, {}, credentials={CREDENTIAL_URL: schema_credential()})
    assert found.result == "failure"


def test_a_credential_of_a_schema_is_pinned_by_the_bytes_it_came_in() -> None:
    raw = json.dumps(schema_credential()).encode()
    held = {CREDENTIAL_URL: schema_credential()}
    entry = {"id": CREDENTIAL_URL, "type": "JsonSchemaCredential", "digestSRI": sri(raw)}
    for sent, result in ((raw, "success"), (raw + b" ", "failure")):
        (found,) = validate(credential(entry=entry), {CREDENTIAL_URL: sent}, credentials=held)
        assert found.result == result


# ---- formats


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date-time", "2020-02-29T00:00:00Z", "2021-02-29T00:00:00Z"),
        ("date", "2020-02-29", "2020-2-29"),
        ("time", "12:00:00+01:00", "12:00"),
        ("email", "someone@example.com", "someone"),
        ("email", "someone@example.com", "söme@example.com"),
        ("idn-email", "söme@example.com", "söme"),
        ("hostname", "example.com", "-example-"),
        ("ipv4", "192.0.2.1", "192.0.2.256"),
        ("ipv6", "2001:db8::1", "2001:db8::1%eth0"),
        ("uri", "urn:a:b", "relative"),
        ("uri", "https://example.com/", "https://exämple.com/"),
        ("iri", "https://exämple.com/", "https://exämple .com/"),
        ("uri-reference", "../a#b", "a b"),
        ("iri-reference", "../ä#b", "a\nb"),
        ("uuid", "00000000-0000-4000-8000-000000000001", "00000000000040008000000000000001"),
        ("json-pointer", "/a/~0~1", "a"),
    ],
)
def test_formats_are_asserted(name: str, good: str, bad: str) -> None:
    rule = schema(properties={"credentialSubject": {"properties": {"age": {"format": name}}}})
    assert outcome(rule, credential(age=good)).result == "success"
    assert outcome(rule, credential(age=7)).result == "success"
    assert outcome(rule, credential(age=bad)).result == "failure"


def test_a_format_that_nobody_knows_is_a_note() -> None:
    rule = schema(properties={"credentialSubject": {"properties": {"age": {"format": "regex"}}}})
    assert outcome(rule, credential(age="(")).result == "success"


# ---- schemas that are had already


def test_our_own_schema_needs_no_evidence_and_nobody_replaces_it() -> None:
    entry = {"id": CAPABILITY_SCHEMA, "type": "JsonSchema", "digestSRI": sri(published_bytes(CAPABILITY_SCHEMA))}
    lax = {"$schema": DIALECTS[0], "$id": CAPABILITY_SCHEMA}
    # The entry itself is a member that our closed profile does not have.
    (found,) = validate(
        {**root_document(), "credentialSchema": entry}, {CAPABILITY_SCHEMA: lax}, bundled={CAPABILITY_SCHEMA: lax}
    )
    assert (found.result, found.detail) == ("failure", "additionalProperties at /")


def test_a_schema_of_the_operator_may_hold_any_pattern() -> None:
    rule = schema(properties={"credentialSubject": {"properties": {"age": {"pattern": "^(a|b)+$"}}}})
    document = credential(age="abba")
    assert [found.result for found in validate(document, {}, bundled={URL: rule})] == ["success"]
    assert [found.result for found in validate(credential(age="abc"), {}, bundled={URL: rule})] == ["failure"]
    assert [found.result for found in validate(document, {URL: rule})] == ["indeterminate"]


def test_the_end_of_a_pattern_is_the_end_of_the_text() -> None:
    rule = schema(properties={"credentialSubject": {"properties": {"age": {"pattern": "^a$"}}}})
    for text, result in (("a", "success"), ("a\n", "failure"), ("b", "failure")):
        assert [found.result for found in validate(credential(age=text), {}, bundled={URL: rule})] == [result]


def test_the_library_is_loaded_when_a_schema_is_met() -> None:
    import subprocess

    code = "import sys; from did_agent.credential import schema; list(schema.validate({}, {})); print('jsonschema' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


LIMITS: list[tuple[dict[str, Any], bool]] = [
    ({"maxCalls": 5}, True),
    ({"maxCalls": 5, "windowSeconds": 60, "maxRate": 60_000, "singleUse": True}, True),
    ({"maxAmount": "999999999999999.999999999", "currency": "EUR"}, True),
    ({}, False),
    ({"windowSeconds": 60}, False),
    ({"singleUse": False}, False),
    ({"maxRate": 0}, False),
    ({"maxRate": 60_001}, False),
    ({"maxAmount": "1000000000000000", "currency": "EUR"}, False),
    ({"maxAmount": "1"}, False),
    ({"maxCalls": 5, "maxWords": 1}, False),
]


@pytest.mark.parametrize(("limits", "is_valid"), LIMITS)
def test_the_published_schema_takes_the_limits_that_the_parser_takes(limits: dict[str, Any], is_valid: bool) -> None:
    definitions = published_schemas()[CAPABILITY_SCHEMA]["$defs"]
    validator = jsonschema.Draft202012Validator({"$ref": "#/$defs/limits", "$defs": definitions})
    assert validator.is_valid(limits) is is_valid
    try:
        parse_limits(limits)
    except BadCredential:
        assert not is_valid
    else:
        assert is_valid
